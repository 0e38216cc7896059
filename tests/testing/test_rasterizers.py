"""Every check of rasterisers catches a rasteriser that is broken in its way."""

import re
from dataclasses import replace
from typing import Any

import pytest
import torch
from broken import complaint, conforms, names

from anifacediff.geometry import Fragments, SpanRasterizer
from anifacediff.shapes import Tensor
from anifacediff.testing import RasterizerCase
from anifacediff.testing.rasterizers import CHECKS


class Changed(SpanRasterizer):
    """The default rasteriser with something changed before or after."""

    def __call__(
        self, screen: Tensor, triangles: Tensor, *, height: int, width: int, perspective: bool = False
    ) -> Fragments:
        seen = super().__call__(
            self.before(screen), triangles, height=height, width=width, perspective=self.corrected(perspective)
        )
        return self.after(seen)

    def before(self, screen: Tensor) -> Tensor:
        return screen

    def corrected(self, perspective: bool) -> bool:
        return perspective

    def after(self, seen: Fragments) -> Fragments:
        return seen


class Flipped(Changed):
    def before(self, screen: Tensor) -> Tensor:
        return screen * torch.tensor([1.0, -1.0, 1.0]) + torch.tensor([0.0, 9.0, 0.0])


class HalfAPixelOff(Changed):
    def before(self, screen: Tensor) -> Tensor:
        return screen + torch.tensor([0.5, 0.5, 0.0])


class Shrinking(Changed):
    """Drops what lies on a triangle's edge."""

    def after(self, seen: Fragments) -> Fragments:
        inner = seen.barycentric.amin(1) > 1e-6
        return replace(
            seen, pixel=seen.pixel[inner], triangle=seen.triangle[inner], barycentric=seen.barycentric[inner]
        )


class FarWins(Changed):
    def before(self, screen: Tensor) -> Tensor:
        return screen * torch.tensor([1.0, 1.0, -1.0])


class Unnormalised(Changed):
    def after(self, seen: Fragments) -> Fragments:
        return replace(seen, barycentric=seen.barycentric * 1.01)


class CornersExchanged(Changed):
    def after(self, seen: Fragments) -> Fragments:
        return replace(seen, barycentric=seen.barycentric.flip(1))


class NeverCorrected(Changed):
    def corrected(self, perspective: bool) -> bool:
        return False


class WithoutGradient(Changed):
    def before(self, screen: Tensor) -> Tensor:
        return screen.detach()


class HalfTheGradient(Changed):
    def before(self, screen: Tensor) -> Tensor:
        return screen / 2 + screen.detach() / 2


class Unsorted(Changed):
    def after(self, seen: Fragments) -> Fragments:
        return replace(
            seen, pixel=seen.pixel.flip(0), triangle=seen.triangle.flip(0), barycentric=seen.barycentric.flip(0)
        )


class FirstFrameOnly(Changed):
    def before(self, screen: Tensor) -> Tensor:
        return screen[:1].expand_as(screen)


class Clamping(Changed):
    def before(self, screen: Tensor) -> Tensor:
        return torch.cat([screen[..., :1].clamp(max=12.9), screen[..., 1:]], dim=2) - torch.tensor([0.5, 0.0, 0.0])

    def after(self, seen: Fragments) -> Fragments:
        if seen.pixel.numel():
            return seen
        return replace(
            seen, pixel=torch.zeros(1).long(), triangle=torch.zeros(1).long(), barycentric=torch.full((1, 3), 1 / 3)
        )


BROKEN: list[tuple[str, type[Any], str]] = [
    ("covers_the_known_pixels", Flipped, "flipped axis"),
    ("covers_the_known_pixels", HalfAPixelOff, "pixels differ from those"),
    ("centre_of_the_first_pixel_is_at_one_half", HalfAPixelOff, r"row 0, column 0 alone, but covers \["),
    ("neighbours_leave_no_gap", Shrinking, "shared edge belongs to one"),
    ("nearer_triangle_wins", FarWins, "depth grows away"),
    ("weights_reproduce_the_screen", Unnormalised, "sums from 1.0100"),
    ("weights_reproduce_the_screen", CornersExchanged, "order of the triangle's indices"),
    ("perspective_is_corrected", NeverCorrected, "w / depth"),
    ("gradients_are_those_of_the_weights", WithoutGradient, "carries no gradient"),
    ("gradients_are_those_of_the_weights", HalfTheGradient, r"differs from finite differences by 50\.0%"),
    ("frames_are_numbered", FirstFrameOnly, "flat index into"),
    ("frames_are_numbered", Unsorted, "ascending"),
    ("nothing_in_sight_is_an_empty_answer", Clamping, "covers 1 pixels"),
]


def test_the_default_rasteriser_conforms():
    assert conforms(RasterizerCase("changed in nothing", Changed)) == []


def test_every_check_is_seen_to_fail():
    assert {name for name, _, _ in BROKEN} == names(CHECKS)


@pytest.mark.parametrize(("name", "build", "message"), BROKEN, ids=[f"{b[1].__name__}-{b[0]}" for b in BROKEN])
def test_a_broken_rasteriser_is_caught(name: str, build: type[Any], message: str):
    found = complaint(RasterizerCase("rasteriser", build), name)
    assert re.search(message, found), found
