"""Running a clip under a stopwatch, beside what its counted work would take at the rate of a matrix product."""

import warnings
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import asdict, dataclass
from typing import Protocol, TypeAlias

import numpy as np

from anifacediff.assemblies.exchange import GeneratedFrame, Reference, UntrainedWarning
from anifacediff.assemblies.pipeline import AnimationPipeline
from anifacediff.geometry.faces import FaceParameters
from anifacediff.profiling.floors import counted_work, matmul_rate
from anifacediff.profiling.stages import MAPS, watched
from anifacediff.profiling.stopwatch import OUTSIDE, Spent, Stopwatch
from anifacediff.provenance.contracts import Mark
from anifacediff.shapes import UInt8

TRACKING, MARK, WRITE = "tracking", "mark", "write"


class Writer(Protocol):
    """Takes the frames of a clip, such as :class:`~anifacediff.media.VideoWriter`."""

    def write(self, image: UInt8[np.ndarray, "h w 3"], /) -> None: ...


Opened: TypeAlias = Callable[[], AbstractContextManager[Writer]]
"""Opens a writer; what leaving its context takes belongs to writing."""


@dataclass(frozen=True)
class StageCost:
    """What a stage of a clip takes.

    Attributes:
        name: of the stage.
        calls: how often it runs; of the denoiser, windows times steps.
        seconds: in all.
        flops: floating-point operations in all, None for stages that are no networks.
        floor_seconds: what they would take at the measured rate.
        peak_gib: peak of memory while it runs, None if unknown.
    """

    name: str
    calls: int
    seconds: float
    flops: int | None
    floor_seconds: float | None
    peak_gib: float | None


@dataclass(frozen=True)
class Profile:
    """What a clip takes; all figures are of one run, so that their ratios hold on a busy machine, too.

    Attributes:
        stages: in the order in which they first begin, everything else last; every moment is counted in one.
        flops_per_second: measured in the same run, see :func:`matmul_rate`.
    """

    stages: tuple[StageCost, ...]
    flops_per_second: float

    @property
    def seconds(self) -> float:
        """Of all stages."""
        return sum(stage.seconds for stage in self.stages)

    def to_json(self) -> dict[str, object]:
        """Everything, as JSON takes it."""
        return {**asdict(self), "seconds": self.seconds}


def profile_clip(
    pipe: AnimationPipeline,
    track: Callable[[], tuple[Reference, FaceParameters]],
    open_writer: Opened,
    *,
    num_inference_steps: int,
    guidance_scale: float | None = None,
    mark: Mark | None = None,
    compiled: bool = False,
) -> Profile:
    """Track, animate, mark and write a clip; before it is timed, once with a single step, whose work is counted.

    Args:
        pipe: the pipeline.
        track: gives the two faces.
        open_writer: opens what takes the frames of the timed run.
        num_inference_steps: denoising steps.
        guidance_scale: see :meth:`AnimationPipeline.stream`.
        mark: left in every frame; none if None.
        compiled: compile the denoiser before the timed run.
    """
    device = pipe.device
    watch = Stopwatch(device)
    with watch.stage(TRACKING):
        reference, driving = track()
    tracking = watch.spent[TRACKING]

    def run(watch: Stopwatch, steps: int, open_writer: Opened) -> dict[str, Spent]:
        with warnings.catch_warnings(), watched(pipe, watch):
            warnings.simplefilter("ignore", UntrainedWarning)
            frames = pipe.stream(
                reference, driving, num_inference_steps=steps, guidance_scale=guidance_scale, start="noise"
            )
            _finished(frames, watch, open_writer, mark)
        return watch.spent

    with counted_work() as count:
        counted = run(Stopwatch(device, counter=count), 1, _nowhere)
    if compiled:
        pipe.compile_denoiser()
        run(Stopwatch(device), 1, _nowhere)
    spent = {TRACKING: tracking, **run(Stopwatch(device), num_inference_steps, open_writer)}
    rate = matmul_rate(device, pipe.unet.dtype)
    return Profile(tuple(_cost(name, each, counted.get(name, Spent()), rate) for name, each in spent.items()), rate)


def _finished(frames: Iterable[GeneratedFrame], watch: Stopwatch, open_writer: Opened, mark: Mark | None) -> None:
    with ExitStack() as opened:
        with watch.stage(WRITE):
            writer = opened.enter_context(open_writer())
        for frame in frames:
            with watch.stage(MARK) if mark is not None else nullcontext():
                finished = frame if mark is None else frame.marked(mark)
            with watch.stage(WRITE):
                writer.write(finished.image)
        with watch.stage(WRITE):
            opened.close()


class _Nowhere:
    """Writes nothing."""

    def write(self, image: UInt8[np.ndarray, "h w 3"], /) -> None: ...


def _nowhere() -> AbstractContextManager[Writer]:
    return nullcontext(_Nowhere())


def _cost(name: str, spent: Spent, counted: Spent, rate: float) -> StageCost:
    network = counted.work and name not in (MAPS, OUTSIDE)
    flops = counted.work * spent.calls // counted.calls if network else None
    return StageCost(
        name,
        spent.calls,
        spent.seconds,
        flops,
        None if flops is None else flops / rate,
        None if spent.peak is None else spent.peak / 2**30,
    )
