"""A stopwatch for stages that may lie in one another: every moment is counted once, for the innermost."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch

from anifacediff.profiling.memory import forget_peak, peak_bytes

OUTSIDE = "everything else"
"""The stage that runs while no other does."""


@dataclass(frozen=True)
class Spent:
    """What a stage took, without the stages inside it.

    Attributes:
        calls: how often it was entered.
        seconds: in all.
        work: counted in all, in the unit of the stopwatch's counter.
        peak: bytes at its peak, None if unknown; see :mod:`anifacediff.profiling.memory`.
    """

    calls: int = 0
    seconds: float = 0.0
    work: int = 0
    peak: int | None = None


class Stopwatch:
    """Times stages; the device is waited for whenever one begins or ends.

    Args:
        device: where the work is done.
        counter: gives the work done so far, for stages whose work is counted rather than timed.
    """

    def __init__(self, device: torch.device, *, counter: Callable[[], int] = lambda: 0) -> None:
        self._device = device
        self._counter = counter
        self._stack = [OUTSIDE]
        self._spent = {OUTSIDE: Spent(calls=1)}
        self._begin()

    @property
    def spent(self) -> dict[str, Spent]:
        """What each stage took until now, in the order in which they were first entered; what is outside comes last."""
        self._count()
        outside, *inside = self._spent
        return {name: self._spent[name] for name in (*inside, outside)}

    def enter(self, stage: str) -> None:
        """Begin a stage, inside the one that runs."""
        self._count()
        known = self._spent.get(stage, Spent())
        self._spent[stage] = replace(known, calls=known.calls + 1)
        self._stack.append(stage)

    def leave(self) -> None:
        """End the stage that was entered last."""
        self._count()
        self._stack.pop()

    @contextmanager
    def stage(self, name: str) -> Generator[None]:
        """Time what is inside the ``with``."""
        self.enter(name)
        try:
            yield
        finally:
            self.leave()

    def _begin(self) -> None:
        forget_peak(self._device)
        self._work = self._counter()
        self._since = time.perf_counter()

    def _count(self) -> None:
        if self._device.type != "cpu":
            torch.accelerator.synchronize(self._device)
        seconds, work = time.perf_counter() - self._since, self._counter() - self._work
        spent, peak = self._spent[self._stack[-1]], peak_bytes(self._device)
        self._spent[self._stack[-1]] = Spent(
            spent.calls,
            spent.seconds + seconds,
            spent.work + work,
            peak if spent.peak is None or peak is None else max(peak, spent.peak),
        )
        self._begin()
