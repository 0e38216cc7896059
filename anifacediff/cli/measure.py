"""Running the benchmark, and telling what was measured."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from anifacediff.assemblies.anifacediff import AniFaceDiffPipeline
from anifacediff.assemblies.exchange import UntrainedWarning
from anifacediff.cli.report import reported_progress, warn
from anifacediff.evaluation.animate import Sampling
from anifacediff.evaluation.arms import ARMS, choose, needs_tracker
from anifacediff.evaluation.benchmark import run_benchmark
from anifacediff.evaluation.drawn_tracker import DrawnTracker
from anifacediff.evaluation.measures import PIXEL_METRICS, READER_METRICS, Metric
from anifacediff.evaluation.page import Gallery, Report
from anifacediff.evaluation.scenes import Suite


@dataclass(frozen=True)
class Choice:
    """What is compared and how; nothing chosen means all there is.

    Attributes:
        arms: who.
        metrics: by what.
        sampling: how clips are denoised.
    """

    arms: tuple[str, ...]
    metrics: tuple[str, ...]
    sampling: Sampling


def pipeline_to_judge(model: str | None, device: torch.device) -> AniFaceDiffPipeline:
    """Load a folder or Hub id, or the pipeline that comes with the package."""
    pipe = AniFaceDiffPipeline.nano() if model is None else AniFaceDiffPipeline.from_pretrained(model)
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(device)


def measure(pipe: AniFaceDiffPipeline, suite: Suite, choice: Choice, name: str) -> Report:
    """Run the benchmark under a progress bar.

    Args:
        pipe: the model.
        suite: what is drawn.
        choice: of arms and metrics.
        name: of the model, for the report.

    Raises:
        InputError: if an arm or metric is unknown; the message lists those there are.
    """
    names = choose(choice.metrics, (*PIXEL_METRICS, *READER_METRICS), "metrics")
    arms = choose(choice.arms, tuple(ARMS), "arms")
    tracker = DrawnTracker() if any(map(needs_tracker, arms)) or not set(names) <= set(PIXEL_METRICS) else None
    known = PIXEL_METRICS if tracker is None else {**PIXEL_METRICS, **_readers(tracker)}
    metrics = {metric: known[metric] for metric in names}
    gallery = Gallery("model" if "model" in arms else arms[-1], pipe.alignment)
    notes = _notes(pipe, suite, choice.sampling, name)
    with warnings.catch_warnings(), reported_progress("Evaluating (clips)") as tell:
        warnings.simplefilter("ignore", UntrainedWarning)  # the notes say so
        rows = run_benchmark(
            pipe, suite, arms, metrics, sampling=choice.sampling, tracker=tracker, on_progress=tell, on_clip=gallery
        )
    if tracker is not None:
        notes.append("Drawn reader: networks of our own for drawn avatars; not comparable with published figures.")
    legend = [f"{arm}: {ARMS[arm].about}." for arm in arms]
    return Report(rows, [*notes, " ".join(legend)], gallery, suite.fps)


def _readers(tracker: DrawnTracker) -> Mapping[str, Metric]:
    return {name: make(tracker) for name, make in READER_METRICS.items()}


def _notes(pipe: AniFaceDiffPipeline, suite: Suite, sampling: Sampling, name: str) -> list[str]:
    steps = pipe.config["num_inference_steps"] if sampling.steps is None else sampling.steps
    start = sampling.start or pipe.config["start"]
    notes = [
        f"Model: {name}; {steps} steps from {start}, seed {sampling.seed}.",
        f"Suite {suite.name}: {suite.identities} avatars drawn from seeds kept for evaluation, each under its own "
        f"motion (same) and under other motions (cross, {suite.drivers} each); {suite.frames} frames at {suite.fps} a "
        f"second, {suite.size} pixels. Intervals: 95 %, bootstrap over avatars.",
    ]
    if start == "zeros":
        notes.append("Started from zeros, the model gives one smooth, mean-like answer, not one of many possible ones.")
    if pipe.untrained_parts:
        notes.insert(0, f"UNTRAINED: {', '.join(pipe.untrained_parts)}. These figures and pictures mean nothing.")
        warn(notes[0])
    return notes
