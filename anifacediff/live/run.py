"""Frames in and frames out at once, of which only the newest wait."""

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, TypeVar

import numpy as np
from jaxtyping import UInt8

from anifacediff.live.newest import NewestOf

Picture = UInt8[np.ndarray, "h w 3"]
T = TypeVar("T")


@dataclass(frozen=True)
class LiveFrame(Generic[T]):
    """One frame that was worked on.

    Attributes:
        number: of the source's frame, from 0; numbers that are left out were dropped.
        source: h w 3, RGB, the source's frame.
        result: what was made of it.
        latency: seconds from when the source gave the frame to when the result was ready.
    """

    number: int
    source: Picture
    result: T
    latency: float


@dataclass(frozen=True)
class _Captured:
    number: int
    picture: Picture
    moment: float


class LiveRun(Generic[T]):
    """Takes frames from a source in one thread, works on the newest in another, and yields what is made of them.

    No queue can fill: a frame that is not taken before the next one comes is dropped, at the source and at the
    outcome. So a result is no older than the work on two frames, however fast the source and however long it runs.
    Order is kept. Errors of source and work are raised by the iteration. Leaving the ``with`` block ends both threads
    and closes a source that is a generator, once it has given its next frame and the work on one frame is done.

    Args:
        source: h w 3 each, RGB; a camera, or a clip at its own speed (:func:`~anifacediff.live.at_own_speed`).
        work: done on one frame after another, such as :class:`~anifacediff.live.FrameAnimator`; frames for which
            it returns None are passed over.
        clock: tells the seconds.

    Example:
        >>> with LiveRun(camera_frames(), animator) as run:  # doctest: +SKIP
        ...     for shown in run:
        ...         show(shown.result.image)
    """

    def __init__(
        self,
        source: Iterable[Picture],
        work: Callable[[Picture], T | None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._work = work
        self._clock = clock
        self._captured = NewestOf[_Captured](self._capture)
        self._worked = NewestOf[LiveFrame[T]](self._process)

    @property
    def dropped(self) -> int:
        """How many frames of the source, and results, were dropped by now."""
        return self._captured.dropped + self._worked.dropped

    def __iter__(self) -> Iterator[LiveFrame[T]]:
        return iter(self._worked)

    def __enter__(self) -> "LiveRun[T]":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End both threads, and wait for them."""
        self._captured.stop()
        self._worked.close()
        self._captured.close()

    def _capture(self, put: Callable[[_Captured], None]) -> None:
        frames = iter(self._source)
        try:
            for number, picture in enumerate(frames):
                put(_Captured(number, picture, self._clock()))
        finally:
            if isinstance(frames, Generator):
                frames.close()  # which lets go of a camera

    def _process(self, put: Callable[[LiveFrame[T]], None]) -> None:
        with self._captured:
            for frame in self._captured:
                result = self._work(frame.picture)
                if result is not None:
                    put(LiveFrame(frame.number, frame.picture, result, self._clock() - frame.moment))
