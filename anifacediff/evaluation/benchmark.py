"""Arms on the scenes of a suite, judged by metrics."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import TypeAlias

import torch

from anifacediff.assemblies.anifacediff import AniFaceDiffPipeline
from anifacediff.errors import InputError
from anifacediff.evaluation.animate import ParameterReader, Sampling, Studio
from anifacediff.evaluation.arms import ARMS, choose
from anifacediff.evaluation.bootstrap import interval
from anifacediff.evaluation.contracts import Animation, ClipMetric, SetMetric
from anifacediff.evaluation.measures import Metric, SceneMetric
from anifacediff.evaluation.results import Row
from anifacediff.evaluation.scenes import TASKS, Scene, Suite, Task
from anifacediff.shapes import Float, Tensor
from anifacediff.synthetic.expression import ExpressiveHead

Progress: TypeAlias = Callable[[int, int], None]
ClipWatcher: TypeAlias = Callable[[str, Scene, Float[Tensor, "f 3 h w"]], None]


def run_benchmark(
    pipeline: AniFaceDiffPipeline,
    suite: Suite,
    arms: Sequence[str],
    metrics: Mapping[str, Metric],
    *,
    sampling: Sampling | None = None,
    tracker: ParameterReader | None = None,
    on_progress: Progress | None = None,
    on_clip: ClipWatcher | None = None,
) -> Sequence[Row]:
    """Judge arms on a suite; one arm's clips are in memory at a time, and all scenes.

    Args:
        pipeline: the model; left as it was.
        suite: what is drawn, in the size of the pipeline's pictures.
        arms: names from :data:`ARMS`; all of them if empty.
        metrics: by the names that they get in the rows.
        sampling: how the pipeline denoises.
        tracker: reads parameters off pictures, for arms that need it.
        on_progress: called with how many clips are drawn or made so far, and how many there are in all.
        on_clip: called with the name of an arm, a scene, and the arm's clip of it.

    Returns:
        A row for each task, arm and metric, in this order.

    Raises:
        InputError: if an arm is unknown or cannot be made, no metric is given, a metric cannot judge, or the suite's
            pictures have another size than the pipeline's.
    """
    chosen = choose(arms, tuple(ARMS), "arms")
    _check(pipeline, suite, metrics)
    plan: Sequence[tuple[Task, str]] = [(task, arm) for task in TASKS for arm in chosen if task in ARMS[arm].tasks]
    tell = _counter(len(suite) + sum(suite.count(task) for task, _ in plan), on_progress)
    studios = _studios(pipeline, suite, sampling or Sampling(), tracker, tell)
    rows: list[Row] = []
    for task, arm in plan:
        studio = studios[task]
        clips = _make(arm, studio, tell, on_clip)
        rows += [_row(task, arm, name, metric, studio.scenes, clips) for name, metric in metrics.items()]
    return rows


def _check(pipeline: AniFaceDiffPipeline, suite: Suite, metrics: Mapping[str, Metric]) -> None:
    if not metrics:
        raise InputError("metrics: there are none to judge by; give one at least.")
    size = int(pipeline.config["image_size"])
    if size != suite.size:
        raise InputError(f"suite.size: {suite.size} pixels, but the pipeline draws {size}; make the suite of its size.")
    face, drawn = pipeline.alignment.morphable_model, ExpressiveHead()
    sizes = [(model.num_shape, model.num_expression, model.joint_names) for model in (face, drawn)]
    if sizes[0] != sizes[1]:
        raise InputError(
            f"pipeline: its face model is a {type(face).__name__} with other coefficients than the avatars' "
            "('expressive'); only pipelines for drawn avatars can be judged by this suite."
        )


def _studios(
    pipeline: AniFaceDiffPipeline,
    suite: Suite,
    sampling: Sampling,
    tracker: ParameterReader | None,
    tell: Callable[[], None],
) -> Mapping[Task, Studio]:
    scenes: list[Scene] = []
    for scene in suite.scenes():
        scenes.append(scene)
        tell()
    return {
        task: Studio(pipeline, [scene for scene in scenes if scene.task == task], sampling, tracker) for task in TASKS
    }


def _make(arm: str, studio: Studio, tell: Callable[[], None], on_clip: ClipWatcher | None) -> Sequence[Animation]:
    clips: list[Animation] = []
    for index, scene in enumerate(studio.scenes):
        clip = ARMS[arm].make(studio, index)
        clips.append(scene.animation(clip))
        if on_clip is not None:
            on_clip(arm, scene, clip)
        tell()
    return clips


def _row(task: Task, arm: str, name: str, metric: Metric, scenes: Sequence[Scene], clips: Sequence[Animation]) -> Row:
    if isinstance(metric, SetMetric):
        identities = len({scene.identity for scene in scenes})
        return Row(task, arm, name, metric(clips), None, None, identities, metric.unit)
    scores = [_score(metric, scene, clip) for scene, clip in zip(scenes, clips, strict=True)]
    known = [(score, scene.identity) for score, scene in zip(scores, scenes, strict=True) if not math.isnan(score)]
    if not known:
        raise InputError(f"{name}: there is nothing to judge in any clip of {task!r}; leave the metric out.")
    figures, identities = (torch.tensor(column) for column in zip(*known, strict=True))
    found = interval(figures.double(), identities)
    return Row(task, arm, name, found.mean, found.low, found.high, found.n, metric.unit)


def _score(metric: ClipMetric | SceneMetric, scene: Scene, clip: Animation) -> float:
    return metric.judge(scene, clip) if isinstance(metric, SceneMetric) else metric(clip)


def _counter(total: int, on_progress: Progress | None) -> Callable[[], None]:
    """Make what is called after each clip."""
    done = count(1)

    def tell() -> None:
        if on_progress is not None:
            on_progress(next(done), total)

    return tell
