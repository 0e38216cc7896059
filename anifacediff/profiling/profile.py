"""Running a clip under a stopwatch, beside what its counted work would take at the rate of a matrix product."""

import warnings
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass

import numpy as np

from anifacediff.assemblies.exchange import GeneratedFrame, Reference, UntrainedWarning
from anifacediff.assemblies.pipeline import AnimationPipeline
from anifacediff.geometry.faces import FaceParameters
from anifacediff.profiling.floors import counted_work, matmul_rate
from anifacediff.profiling.stages import MAPS, watched
from anifacediff.profiling.stopwatch import OUTSIDE, Spent, Stopwatch
from anifacediff.shapes import UInt8

TRACKING, WRITE = "tracking", "write"


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
    write: Callable[[UInt8[np.ndarray, "h w 3"]], None],
    *,
    num_inference_steps: int,
    guidance_scale: float | None = None,
    compiled: bool = False,
) -> Profile:
    """Track, animate and write a clip; before it is timed, once with a single step, whose work is counted.

    Args:
        pipe: the pipeline.
        track: gives the two faces.
        write: takes the frames of the timed run.
        num_inference_steps: denoising steps.
        guidance_scale: see :meth:`AnimationPipeline.stream`.
        compiled: compile the denoiser before the timed run.
    """
    device = pipe.device
    watch = Stopwatch(device)
    with watch.stage(TRACKING):
        reference, driving = track()
    tracking = watch.spent[TRACKING]

    def run(watch: Stopwatch, steps: int, write: Callable[[UInt8[np.ndarray, "h w 3"]], None]) -> dict[str, Spent]:
        with warnings.catch_warnings(), watched(pipe, watch):
            warnings.simplefilter("ignore", UntrainedWarning)
            frames = pipe.stream(
                reference, driving, num_inference_steps=steps, guidance_scale=guidance_scale, start="noise"
            )
            _written(frames, watch, write)
        return watch.spent

    with counted_work() as count:
        counted = run(Stopwatch(device, counter=count), 1, _drop)
    if compiled:
        pipe.compile_denoiser()
        run(Stopwatch(device), 1, _drop)
    spent = {TRACKING: tracking, **run(Stopwatch(device), num_inference_steps, write)}
    rate = matmul_rate(device, pipe.unet.dtype)
    return Profile(tuple(_cost(name, each, counted.get(name, Spent()), rate) for name, each in spent.items()), rate)


def _written(
    frames: Iterable[GeneratedFrame], watch: Stopwatch, write: Callable[[UInt8[np.ndarray, "h w 3"]], None]
) -> None:
    for frame in frames:
        with watch.stage(WRITE):
            write(frame.image)


def _drop(picture: UInt8[np.ndarray, "h w 3"]) -> None:
    """Write nothing."""


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
