"""Every check of detectors catches a detector that is broken in its way."""

import itertools
import re
from typing import Any

import pytest
import torch
from broken import complaint, conforms, names

from anifacediff.shapes import Float, Tensor
from anifacediff.testing import DetectorCase
from anifacediff.testing.detectors import CHECKS


class Brightness:
    """A conformant detector: bright frames are generated."""

    def __call__(self, images: Float[Tensor, "f 3 h w"]) -> Any:
        return images.mean((1, 2, 3))


class OfTheClip(Brightness):
    def __call__(self, images: Any) -> Any:
        return super().__call__(images).mean()


class Listing(Brightness):
    def __call__(self, images: Any) -> Any:
        return super().__call__(images).tolist()


class Counting(Brightness):
    def __call__(self, images: Any) -> Any:
        return super().__call__(images).round().long()


class Dividing(Brightness):
    def __call__(self, images: Any) -> Any:
        return super().__call__(images) / 0


class Drawing(Brightness):
    chance = itertools.count()

    def __call__(self, images: Any) -> Any:
        return super().__call__(images) + next(self.chance)


class Darkening(Brightness):
    def __call__(self, images: Any) -> Any:
        return super().__call__(images.mul_(0.5))


class Learning(Brightness):
    def __init__(self) -> None:
        self.weight = torch.ones((), requires_grad=True)

    def __call__(self, images: Any) -> Any:
        return super().__call__(images) * self.weight


BROKEN: list[tuple[str, type[Any], str]] = [
    ("scores_each_frame", OfTheClip, "one each"),
    ("scores_each_frame", Listing, "expected a tensor"),
    ("scores_each_frame", Counting, r"call .float\(\)"),
    ("scores_each_frame", Dividing, "not all finite"),
    ("is_deterministic", Drawing, "gave other scores"),
    ("is_deterministic", Darkening, "changed the frames"),
    ("keeps_no_gradient", Learning, "torch.no_grad"),
]


def test_a_detector_without_faults_conforms():
    assert conforms(DetectorCase("brightness", Brightness)) == []


def test_every_check_is_seen_to_fail():
    assert {name for name, _, _ in BROKEN} == names(CHECKS)


@pytest.mark.parametrize(("name", "build", "message"), BROKEN, ids=[b[1].__name__ for b in BROKEN])
def test_a_broken_detector_is_caught(name: str, build: type[Any], message: str):
    found = complaint(DetectorCase("detector", build), name)
    assert re.search(message, found), found
