"""Every check of metrics catches a metric that is broken in its way."""

import itertools
import math
import re
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from broken import complaint, conforms, names

from anifacediff.evaluation import Animation
from anifacediff.testing import MetricCase
from anifacediff.testing.metrics import CHECKS


class Difference:
    """A conformant metric of clips: the mean absolute error."""

    unit, higher_is_better = "", False

    def __call__(self, animation: Animation) -> Any:
        return float((animation.output.clamp(0, 1) - animation.needed("truth", "Difference")).abs().mean())


class DifferenceOfSets(Difference):
    sampling = "every frame"

    def __call__(self, animation: Any) -> Any:
        clips: Sequence[Animation] = animation
        return sum(super(DifferenceOfSets, self).__call__(clip) for clip in clips)


def test_metrics_without_faults_conform():
    assert conforms(MetricCase("of clips", Difference)) == []
    assert conforms(MetricCase("of sets", DifferenceOfSets)) == []


class Unitless:
    higher_is_better = False

    def __call__(self, animation: Animation) -> float:
        return 0.0


class NoUnit(Difference):
    unit = None


class NoDirection(Difference):
    higher_is_better = "lower"


class SamplingUnsaid(DifferenceOfSets):
    sampling = ""


class WrongWay(Difference):
    higher_is_better = True


class NanOnTruth(Difference):
    def __call__(self, animation: Animation) -> float:
        return super().__call__(animation) or math.nan


class Drawing(Difference):
    chance = itertools.count()

    def __call__(self, animation: Animation) -> float:
        return super().__call__(animation) + 1e-3 * next(self.chance)


class OfTensors(Difference):
    def __call__(self, animation: Animation) -> Any:
        return torch.tensor(super().__call__(animation))


class Clipping(Difference):
    def __call__(self, animation: Animation) -> float:
        animation.output.clamp_(0, 1)
        return super().__call__(animation)


class Beyond(Difference):
    def __call__(self, animation: Animation) -> float:
        return float((animation.output - animation.needed("truth", "Difference")).abs().mean())


class Assuming(Difference):
    def __call__(self, animation: Animation) -> float:
        truth: Any = animation.truth
        return float((animation.output.clamp(0, 1) - truth).abs().mean())


class Silent(Difference):
    def __call__(self, animation: Animation) -> float:
        return math.inf if animation.truth is None else super().__call__(animation)


BROKEN: list[tuple[str, type[Any], str]] = [
    ("says_what_it_is", Unitless, "lacks unit"),
    ("says_what_it_is", NoUnit, "unit: expected a string"),
    ("says_what_it_is", NoDirection, "higher_is_better: expected True or False"),
    ("says_what_it_is", SamplingUnsaid, "say in words what is taken"),
    ("truth_is_not_beaten", WrongWay, "is the direction the right one"),
    ("truth_is_not_beaten", NanOnTruth, "gives NaN"),
    ("is_deterministic", Drawing, "gave other figures"),
    ("is_deterministic", OfTensors, r"found a Tensor; convert it: float\("),
    ("is_deterministic", Clipping, "changed the animation"),
    ("values_beyond_the_range_are_clipped", Beyond, r"clip to \[0, 1\]"),
    ("missing_answers_are_asked_for", Assuming, "TypeError was raised"),
    ("missing_answers_are_asked_for", Silent, "raise an InputError"),
]


def test_every_check_is_seen_to_fail():
    assert {name for name, _, _ in BROKEN} == names(CHECKS)


@pytest.mark.parametrize(("name", "build", "message"), BROKEN, ids=[b[1].__name__ for b in BROKEN])
def test_a_broken_metric_is_caught(name: str, build: type[Any], message: str):
    found = complaint(MetricCase("metric", build), name)
    assert re.search(message, found), found
