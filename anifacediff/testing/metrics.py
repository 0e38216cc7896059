"""Checks of metrics."""

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from anifacediff.errors import InputError
from anifacediff.evaluation.contracts import Animation, ClipMetric, SetMetric
from anifacediff.shapes import Float, Tensor
from anifacediff.testing.checks import Case, CheckFunction, require

Metric = ClipMetric | SetMetric
SIZE, CLIPS, ROUNDING = 32, 3, 1e-6


@dataclass(frozen=True)
class MetricCase(Case[Metric]):
    """A metric to check.

    Attributes:
        name: of the component, in reports.
        build: makes a metric; a function without arguments, with its extractor in place.
        frames: of the clips that it is given.
    """

    frames: int = 8

    @property
    def checks(self) -> tuple[CheckFunction, ...]:
        return CHECKS


def says_what_it_is(case: MetricCase) -> None:
    """It has a unit and a direction, and is a ClipMetric, or a SetMetric that says what it samples."""
    metric: Any = case.made()
    require(
        isinstance(metric, ClipMetric),  # as a SetMetric is, too
        f"{type(metric).__name__} lacks unit, higher_is_better or a call; see anifacediff.evaluation.ClipMetric.",
    )
    require(isinstance(metric.unit, str), f'unit: expected a string, "" if it has none, found {metric.unit!r}.')
    require(
        isinstance(metric.higher_is_better, bool),
        f"higher_is_better: expected True or False, found {metric.higher_is_better!r}.",
    )
    if isinstance(metric, SetMetric):
        said: Any = metric.sampling
        require(said and isinstance(said, str), "sampling: say in words what is taken from each clip.")


def truth_is_not_beaten(case: MetricCase) -> None:
    """What is shown is best when it is the truth: damage never improves the figure, and much damage makes it worse."""
    metric = case.made()
    perfect, little, much = (judge(metric, clips(case.frames, damage)) for damage in (0.0, 0.05, 0.5))
    require(not math.isnan(perfect), "the truth, judged by itself, gives NaN.")
    sign = 1 if metric.higher_is_better else -1
    slack = ROUNDING * max(1.0, abs(much) if math.isfinite(much) else 1.0)
    require(
        sign * perfect >= sign * little - slack and sign * perfect > sign * much,
        f"the truth scores {perfect:.4g}, noise of 0.05 {little:.4g}, of 0.5 {much:.4g}, with higher_is_better="
        f"{metric.higher_is_better}; is the direction the right one?",
    )


def is_deterministic(case: MetricCase) -> None:
    """The same animations have the same figure, a float, also from a metric that is built again."""
    metric, again = case.made(), case.made()
    given = clips(case.frames, 0.1)
    before = [each.output.clone() for each in given]
    first = judge(metric, given)
    require(isinstance(first, float), f"expected a float, found a {type(first).__name__}; convert it: float(...).")
    require(
        first == judge(metric, given) == judge(again, given),
        "the same animations gave other figures; draw places and subsets with a generator of a fixed seed.",
    )
    same = all(torch.equal(old, each.output) for old, each in zip(before, given, strict=True))
    require(same, "the metric changed the animation that it was given.")


def values_beyond_the_range_are_clipped(case: MetricCase) -> None:
    """Outputs brighter than white are judged as white: values are clipped to [0, 1] first."""
    metric = case.made()
    inside = [_changed(each, torch.ones_like(each.output)) for each in clips(case.frames, 0.0)]
    beyond = [_changed(each, each.output * 2) for each in inside]
    first, second = judge(metric, inside), judge(metric, beyond)
    require(first == second, f"a white output scores {first:.4g}, one twice as bright {second:.4g}; clip to [0, 1].")


def missing_answers_are_asked_for(case: MetricCase) -> None:
    """Without truth and driving clip it raises an InputError that says what it needs, or manages without them."""
    metric = case.made()
    bare = [Animation(each.output, each.reference) for each in clips(case.frames, 0.1)]
    try:
        figure = judge(metric, bare)
    except InputError as error:
        require(
            "truth" in str(error) or "driving" in str(error),
            f"{error!r} does not say which is missing; ask for it by animation.needed('truth', ...).",
        )
        return
    require(math.isfinite(figure), f"without truth and driving clip the figure is {figure}; raise an InputError.")


CHECKS: tuple[CheckFunction, ...] = (
    says_what_it_is,
    truth_is_not_beaten,
    is_deterministic,
    values_beyond_the_range_are_clipped,
    missing_answers_are_asked_for,
)


def judge(metric: Metric, animations: list[Animation]) -> Any:
    """The figure of a set of clips, or of the first one for a metric of clips."""
    return metric(animations) if isinstance(metric, SetMetric) else metric(animations[0])


def clips(frames: int, damage: float) -> list[Animation]:
    """Three animations of smooth pictures that move a little, whose output is the truth with noise.

    Args:
        frames: of each.
        damage: standard deviation of the noise.
    """
    return [_animation(seed, frames, damage) for seed in range(CLIPS)]


@cache
def _animation(seed: int, frames: int, damage: float) -> Animation:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 6, 6, generator=generator)
    large = torch.nn.functional.interpolate(coarse, size=(SIZE, SIZE + frames), mode="bilinear")[0]
    truth = torch.stack([large[..., frame : frame + SIZE] for frame in range(frames)])
    noise = damage * torch.randn(truth.shape, generator=generator)
    return Animation(truth + noise, truth[:1], truth=truth, driving=truth)


def _changed(animation: Animation, output: Float[Tensor, "f 3 h w"]) -> Animation:
    return Animation(output, animation.reference, truth=animation.truth, driving=animation.driving)


def mean_colours(images: Float[Tensor, "f 3 h w"]) -> Float[Tensor, "f d"]:
    """Mean colours of 4 x 4 parts of pictures; an extractor for trying out metrics that need one."""
    return torch.nn.functional.adaptive_avg_pool2d(images, 4).flatten(1)


def clip_colours(clips: Float[Tensor, "n t 3 h w"]) -> Float[Tensor, "n d"]:
    """Mean colours of clips; an extractor for trying out metrics that need one."""
    return torch.nn.functional.adaptive_avg_pool2d(clips.flatten(1, 2), 2).flatten(1)
