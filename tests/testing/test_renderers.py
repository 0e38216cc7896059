"""Every check of control renderers catches a renderer that is broken in its way."""

import re
from dataclasses import replace
from typing import Any

import pytest
from broken import complaint, conforms, names

from anifacediff.conditioning import FacialAlignment
from anifacediff.conditioning.facial_alignment import Alignment
from anifacediff.geometry import ControlMaps, FaceParameters, ParametricHead, Similarity
from anifacediff.shapes import Tensor
from anifacediff.testing import RendererCase
from anifacediff.testing.renderers import CHECKS


class Base(FacialAlignment):
    def __init__(self, **options: Any):
        super().__init__(ParametricHead(), image_size=64, **options)


class Memberless:
    morphable_model = ParametricHead()


class OneFrameShort(Base):
    def forward(self, reference: FaceParameters, driving: FaceParameters) -> ControlMaps:
        return super().forward(reference, driving[:-1])


class BlankMaps(Base):
    def render(self, alignment: Alignment, driving: FaceParameters) -> ControlMaps:
        return ControlMaps(super().render(alignment, driving).mask)


class ColouredBackground(Base):
    def render(self, alignment: Alignment, driving: FaceParameters) -> ControlMaps:
        maps = super().render(alignment, driving)
        assert maps.normal is not None
        return replace(maps, normal=maps.normal.clamp(min=0.5))


class Signed(Base):
    def __init__(self):
        super().__init__(convention="deca")


class Normalising(Base):
    """Divides by the brightest pixel of the frames that are drawn together."""

    def render(self, alignment: Alignment, driving: FaceParameters) -> ControlMaps:
        maps = super().render(alignment, driving)
        assert maps.normal is not None
        return replace(maps, normal=maps.normal / maps.normal.max() / len(driving))


class Stiff(Base):
    def render(self, alignment: Alignment, driving: FaceParameters) -> ControlMaps:
        return super().render(alignment, replace(driving, expression=0 * driving.expression))


class Keeping(Base):
    def __init__(self):
        super().__init__(align_shape=False)


class Elsewhere(Base):
    def aligned(self, alignment: Alignment, driving: FaceParameters) -> FaceParameters:
        face = super().aligned(alignment, driving)
        middle: Tensor = face.box.center
        return face if self.drawing else face.moved(Similarity.about(middle, 0 * middle[:, 0] + 0.5))

    drawing = False

    def render(self, alignment: Alignment, driving: FaceParameters) -> ControlMaps:
        self.drawing = True
        maps = super().render(alignment, driving)
        self.drawing = False
        return maps


class Truncating(Base):
    def forward(self, reference: FaceParameters, driving: FaceParameters) -> ControlMaps:
        model = self.morphable_model
        cut = replace(driving, shape=driving.shape[:, : model.num_shape])
        return super().forward(reference, replace(cut, expression=cut.expression[:, : model.num_expression]))


BROKEN: list[tuple[str, type[Any], str]] = [
    ("has_the_members_of_a_renderer", Memberless, "plan, render"),
    ("draws_a_picture_for_each_frame", OneFrameShort, "3 driving frames gave 2 masks"),
    ("draws_a_picture_for_each_frame", BlankMaps, "no map is drawn"),
    ("values_lie_in_the_declared_range", ColouredBackground, "background is not 0 but up to"),
    ("values_lie_in_the_declared_range", Signed, "leave the declared range"),
    ("pieces_equal_the_whole", Normalising, "other pictures than all at once"),
    ("expression_and_pose_come_from_the_driver", Stiff, "another expression of the driving frames draws the same"),
    ("identity_comes_from_the_reference", Keeping, "must come from the reference alone"),
    ("aligned_parameters_are_what_is_drawn", Elsewhere, "pixels from the mask's"),
    ("parameters_of_another_model_are_refused", Truncating, "driving.shape with one coefficient too many"),
]


def test_facial_alignment_conforms_with_all_maps():
    maps = ("normal", "depth", "shaded")
    assert conforms(RendererCase("all", lambda: Base(maps=maps))) == []
    assert conforms(RendererCase("deca", Signed, limits=(-1.0, 1.0))) == []


def test_every_check_is_seen_to_fail():
    assert {name for name, _, _ in BROKEN} == names(CHECKS)


@pytest.mark.parametrize(("name", "build", "message"), BROKEN, ids=[f"{b[1].__name__}" for b in BROKEN])
def test_a_broken_renderer_is_caught(name: str, build: type[Any], message: str):
    found = complaint(RendererCase("renderer", build), name)
    assert re.search(message, found), found
