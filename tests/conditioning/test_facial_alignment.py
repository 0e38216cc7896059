"""Facial Alignment on a flat hand-made face, so that every drawn position can be worked out by hand."""

from dataclasses import dataclass, replace
from typing import Any

import jaxtyping
import pytest
import torch
from torch import Tensor

from anifacediff.conditioning import FacialAlignment
from anifacediff.conditioning.contracts import ControlRenderer
from anifacediff.conditioning.facial_alignment import Alignment
from anifacediff.errors import InputError, ShapeError
from anifacediff.geometry.contracts import MorphableModel, Rasterizer
from anifacediff.geometry.faces import Box, FaceParameters, WeakPerspective
from anifacediff.geometry.fragments import Fragments
from anifacediff.geometry.head import ParametricHead
from anifacediff.geometry.rasterizer import SpanRasterizer
from anifacediff.geometry.snapshots import ControlMaps


@dataclass(frozen=True)
class Card:
    """A square of side 2 that faces the viewer; shape widens it, expression lowers its bottom edge."""

    num_shape: int = 1
    num_expression: int = 1
    joint_names: tuple[str, ...] = ("global",)

    @property
    def triangles(self) -> Tensor:
        return torch.tensor([[0, 1, 2], [0, 2, 3]])

    def __call__(self, shape: Tensor, expression: Tensor, pose: Tensor) -> Tensor:
        corners = shape.new_tensor([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
        wider = corners * shape.new_tensor([1, 0, 0]) * shape[:, :, None]
        lower = shape.new_tensor([[0, -1, 0], [0, -1, 0], [0, 0, 0], [0, 0, 0]]) * expression[:, :, None]
        return corners + wider + lower + 0 * pose


def faces(
    *,
    center: tuple[tuple[float, float], ...] = ((32.0, 32.0),),
    scale: tuple[float, ...] = (8.0,),
    shape: float = 0.0,
    expression: float = 0.0,
    canvas: int = 64,
) -> FaceParameters:
    """Cards whose face box is the square of side 2 * scale about their centre, whatever their shape."""
    middle, half = torch.tensor(center), torch.tensor(scale)[:, None]
    return FaceParameters(
        shape=torch.full((len(center), 1), shape),
        expression=torch.full((len(center), 1), expression),
        pose=torch.zeros(len(center), 1, 3),
        camera=WeakPerspective(half[:, 0], middle),
        box=Box(torch.cat([middle - half, middle + half], dim=1)),
        canvas=(canvas, canvas),
    )


def drawn(maps: ControlMaps) -> list[tuple[int, int, int, int]]:
    """Left, top, right, bottom (exclusive) of the covered pixels of every frame."""
    boxes: list[tuple[int, int, int, int]] = []
    for mask in maps.mask:
        y, x = mask.nonzero().unbind(1)
        boxes.append((int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1))
    return boxes


def align(**options: Any) -> FacialAlignment:
    return FacialAlignment(Card(), image_size=64, **options)


CLIP = faces(center=((20.0, 30.0), (24.0, 26.0), (30.0, 30.0)), scale=(8.0, 8.0, 16.0))


def test_nothing_to_align_draws_the_driver_in_place() -> None:
    maps = align()(CLIP[:1], CLIP)
    assert drawn(maps) == [(12, 22, 28, 38), (16, 18, 32, 34), (14, 14, 46, 46)]


def test_shape_comes_from_the_reference_and_expression_from_the_driver() -> None:
    reference = faces(shape=0.5, expression=-0.25)
    driving = faces(shape=-0.5, expression=0.75)
    assert drawn(align()(reference, driving)) == [(20, 24, 44, 46)]
    assert drawn(align(align_shape=False)(reference, driving)) == [(28, 24, 36, 46)]


def test_a_reference_of_half_the_size_halves_the_drawing_about_the_box_centre() -> None:
    maps = align()(faces(center=((50.0, 50.0),), scale=(4.0,)), CLIP)
    assert drawn(maps) == [(16, 26, 24, 34), (20, 22, 28, 30), (22, 22, 38, 38)]


def test_without_scale_alignment_the_driver_keeps_its_size() -> None:
    maps = align(align_scale=False)(faces(center=((50.0, 50.0),), scale=(4.0,)), CLIP)
    assert drawn(maps) == [(12, 22, 28, 38), (16, 18, 32, 34), (14, 14, 46, 46)]


def test_one_factor_for_the_clip_lets_zooms_survive() -> None:
    """The third frame is twice as large as the first before and after."""
    for scale in (4.0, 6.0, 8.0):
        left, _, right, _ = zip(*drawn(align()(faces(scale=(scale,)), CLIP)), strict=True)
        widths = [b - a for a, b in zip(left, right, strict=True)]
        assert widths == [2 * scale, 2 * scale, 4 * scale]


def test_the_factor_is_the_ratio_of_mean_sides() -> None:
    reference = replace(faces(), box=Box(torch.tensor([[10.0, 10.0, 20.0, 14.0]])))  # (10 + 4) / 2 = 7
    plan = align().plan(reference, CLIP)  # first frame: 16
    assert plan.scale.item() == pytest.approx(7 / 16)


def test_the_pivot_is_the_box_and_not_the_model() -> None:
    """A box around the upper half of the card: halving keeps the box's centre, not the card's."""
    driving = replace(faces(), box=Box(torch.tensor([[24.0, 24.0, 40.0, 32.0]])))
    reference = replace(faces(), box=Box(torch.tensor([[0.0, 0.0, 8.0, 4.0]])))
    assert drawn(align()(reference, driving)) == [(28, 26, 36, 34)]


def test_reference_anchor_starts_at_the_reference_and_scales_the_motion() -> None:
    reference = faces(center=((40.0, 36.0),), scale=(4.0,))
    maps = align(anchor="reference")(reference, CLIP)
    # centres: (40, 36), then moved by half of the driver's (4, -4) and (10, 0)
    assert drawn(maps) == [(36, 32, 44, 40), (38, 30, 46, 38), (37, 28, 53, 44)]


def test_reference_anchor_without_scale_alignment_keeps_the_driver_s_motion() -> None:
    reference = faces(center=((34.0, 36.0),), scale=(4.0,))
    maps = align(anchor="reference", align_scale=False)(reference, CLIP)
    assert drawn(maps) == [(26, 28, 42, 44), (30, 24, 46, 40), (28, 20, 60, 52)]


def test_camera_anchor_sees_every_frame_as_the_reference_is_seen() -> None:
    reference = faces(center=((40.0, 36.0),), scale=(12.0,), shape=1.0)
    lowered = replace(CLIP, expression=torch.tensor([[0.0], [0.5], [0.0]]))
    found = drawn(align(anchor="camera")(reference, lowered))
    assert found == [(16, 24, 64, 48), (16, 24, 64, 54), (16, 24, 64, 48)]
    renderer = align(anchor="camera")
    seen = renderer.aligned(renderer.plan(reference, lowered[:1]), lowered)
    assert torch.equal(seen.box.corners, reference.box.corners.expand(3, 4))


def test_another_library_s_camera_is_named() -> None:
    class Foreign:
        perspective = False

        def project(self, points: Tensor) -> Tensor:
            return points

        def moved(self, similarity: object) -> "Foreign":
            return self

        def to(self, device: object = None, dtype: object = None) -> "Foreign":
            return self

        def __len__(self) -> int:
            return 1

        def __getitem__(self, frames: slice) -> "Foreign":
            return self

    reference = replace(CLIP[:1], camera=Foreign())
    with pytest.raises(InputError, match="a Foreign cannot be used for several frames"):
        align(anchor="camera")(reference, CLIP)


@pytest.mark.parametrize("anchor", ["driving", "reference", "camera"])
def test_canvases_of_any_size_are_brought_to_the_map(anchor: str) -> None:
    """The same picture at another resolution gives the same maps."""
    reference, driving = faces(center=((40.0, 36.0),), scale=(4.0,)), CLIP[:2]
    small = faces(center=((10.0, 9.0),), scale=(1.0,), canvas=16)
    large = faces(center=((80.0, 120.0), (96.0, 104.0)), scale=(32.0, 32.0), canvas=256)
    renderer = align(anchor=anchor)
    assert drawn(renderer(small, large)) == drawn(renderer(reference, driving))


@pytest.mark.parametrize("anchor", ["driving", "reference"])
def test_equal_shape_and_scale_give_identical_pictures(anchor: str) -> None:
    """The reference is the driver's first frame: aligned and unaligned agree in every bit."""
    clip = faces(center=((20.3, 30.1), (24.7, 26.9)), scale=(7.3, 9.1), shape=0.37, expression=0.2)
    options = {"maps": ("normal", "depth", "shaded")}
    aligned = align(anchor=anchor, **options)(clip[:1], clip)
    plain = align(align_shape=False, align_scale=False, **options)(clip[:1], clip)
    for name in ("normal", "depth", "shaded", "mask"):
        assert torch.equal(getattr(aligned, name), getattr(plain, name))


@pytest.mark.parametrize("anchor", ["driving", "reference"])
def test_pieces_equal_the_whole_clip(anchor: str) -> None:
    reference = faces(center=((40.0, 36.0),), scale=(5.0,), shape=0.2)
    renderer = align(anchor=anchor)
    whole = renderer(reference, CLIP)
    plan = renderer.plan(reference, CLIP[:1])
    pieces = [renderer.render(plan, CLIP[frames]) for frames in (slice(0, 1), slice(1, 1), slice(1, 3))]
    joined = ControlMaps.joined(pieces)
    assert whole.normal is not None
    assert joined.normal is not None
    assert torch.equal(whole.normal, joined.normal)
    assert torch.equal(whole.mask, joined.mask)


def test_pieces_of_a_real_head_equal_the_whole_clip() -> None:
    """Also where a product of matrices would round differently for another number of frames."""
    head = ParametricHead()
    generator = torch.Generator().manual_seed(0)
    pose = 0.2 * torch.randn(5, len(head.joint_names), 3, generator=generator)
    clip = FaceParameters(
        shape=torch.randn(5, head.num_shape, generator=generator),
        expression=torch.randn(5, head.num_expression, generator=generator),
        pose=pose,
        camera=WeakPerspective(torch.full((5,), 200.0), torch.full((5, 2), 32.0)),
        box=Box(torch.tensor([[16.0, 16.0, 48.0, 48.0]]).repeat(5, 1)),
        canvas=(64, 64),
    )
    renderer = FacialAlignment(head, image_size=64, maps=("normal", "depth", "shaded"))
    whole = renderer(clip[2:3], clip)
    plan = renderer.plan(clip[2:3], clip)
    joined = ControlMaps.joined([renderer.render(plan, clip[:3]), renderer.render(plan, clip[3:])])
    assert whole.mask.float().mean() > 0.1
    for name in ("normal", "depth", "shaded", "mask"):
        assert torch.equal(getattr(whole, name), getattr(joined, name))


def test_only_the_maps_asked_for_are_drawn() -> None:
    maps = align(maps=("depth",))(CLIP[:1], CLIP)
    assert maps.normal is None
    assert maps.shaded is None
    assert maps.depth is not None
    assert maps.depth.shape == (3, 1, 64, 64)


def test_the_convention_is_used() -> None:
    """The card faces the viewer: (0, 0, 1)."""
    pixels: list[list[float]] = []
    for convention in ("anifacediff", "deca"):
        normal = align(convention=convention)(CLIP[:1], CLIP[:1]).normal
        assert normal is not None
        pixels.append(normal[0, :, 30, 20].tolist())
    assert pixels == [[0.5, 0.5, 1.0], [0.0, 0.0, 1.0]]


def test_any_rasterizer_is_called() -> None:
    calls: list[tuple[int, int, bool]] = []

    class Counting:
        def __call__(
            self, screen: Tensor, triangles: Tensor, *, height: int, width: int, perspective: bool = False
        ) -> Fragments:
            calls.append((height, width, perspective))
            return SpanRasterizer()(screen, triangles, height=height, width=width, perspective=perspective)

    assert isinstance(Counting(), Rasterizer)
    maps = align(rasterizer=Counting())(CLIP[:1], CLIP)
    assert calls == [(64, 64, False)]
    assert maps.mask.any()


class Slope(Card):
    """A card that leans towards the viewer at its right and at its top."""

    def __call__(self, shape: Tensor, expression: Tensor, pose: Tensor) -> Tensor:
        x, y, _ = super().__call__(shape, expression, pose).unbind(-1)
        return torch.stack([x, y, x + y], dim=-1)


def test_pictures_carry_gradients_to_the_parameters() -> None:
    driving = faces(expression=0.5)
    driving.expression.requires_grad_()
    depth = FacialAlignment(Slope(), image_size=64, maps=("depth",))(faces(), driving).depth
    assert depth is not None
    depth.sum().backward()
    assert driving.expression.grad is not None
    assert driving.expression.grad.abs().sum() > 0


def test_it_has_no_weights_and_is_a_control_renderer() -> None:
    renderer = align()
    assert isinstance(Card(), MorphableModel)
    assert isinstance(renderer, ControlRenderer)
    assert renderer.state_dict() == {}
    assert isinstance(renderer.plan(CLIP[:1], CLIP), Alignment)


def test_bad_options_name_the_allowed_ones() -> None:
    with pytest.raises(InputError, match="anchor: expected one of driving, reference, camera; found 'face'"):
        align(anchor="face")
    with pytest.raises(InputError, match=r"convention: expected one of anifacediff, .*; found 'flame'"):
        align(convention="flame")
    with pytest.raises(InputError, match="maps: expected one or more of normal, depth, shaded"):
        align(maps=("albedo",))
    with pytest.raises(InputError, match="image_size: expected a positive number of pixels, found 0"):
        FacialAlignment(Card(), image_size=0)


def test_clips_that_cannot_be_aligned_are_refused() -> None:
    renderer = align()
    with pytest.raises(ShapeError, match="reference: expected exactly 1 frame, found 3"):
        renderer(CLIP, CLIP)
    with pytest.raises(ShapeError, match="driving: expected at least 1 frame"):
        renderer(CLIP[:1], CLIP[:0])
    with pytest.raises(InputError, match=r"driving\.canvas: expected a square, found 48 x 64"):
        renderer(CLIP[:1], replace(CLIP, canvas=(48, 64)))
    with pytest.raises(InputError, match=r"reference\.canvas: expected a square, found 0 x 0"):
        renderer(replace(CLIP[:1], canvas=(0, 0)), CLIP)
    empty = replace(CLIP[:1], box=Box(torch.tensor([[5.0, 5.0, 5.0, 5.0]])))
    for reference, driving, name in ((empty, CLIP, "reference"), (CLIP[:1], empty, "driving")):
        with pytest.raises(InputError, match=rf"{name}\.box: the face box .* is empty"):
            renderer(reference, driving)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("shape", torch.zeros(1, 2), "has 1 identity coefficients, found 2"),
        ("expression", torch.zeros(1, 3), "has 1 expression coefficients, found 3"),
        ("pose", torch.zeros(1, 2, 3), r"has 1 joints \(global\), found 2"),
    ],
)
def test_parameters_of_another_model_are_refused(
    field: str, value: Tensor, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # else the import hook refuses first
    changes: dict[str, Any] = {field: value}
    other = replace(faces(), **changes)
    for reference, driving, name in ((other, CLIP, "reference"), (faces(), other, "driving")):
        with pytest.raises(ShapeError, match=rf"{name}\.{field}: the morphable model Card {message}"):
            align()(reference, driving)


def test_something_that_is_no_face_model_is_refused():
    with pytest.raises((InputError, jaxtyping.TypeCheckError), match="morphable_model"):
        FacialAlignment(object())  # pyright: ignore[reportArgumentType]


def test_aligned_parameters_are_those_of_the_maps():
    reference, driving = faces(scale=(12.0,), shape=0.5), faces(scale=(8.0, 6.0), center=((30.0, 32.0), (34.0, 30.0)))
    align = FacialAlignment(Card(), image_size=64)
    plain = FacialAlignment(Card(), image_size=64, align_shape=False, align_scale=False)
    plan = align.plan(reference, driving)
    moved = align.aligned(plan, driving)
    wanted, found = align.render(plan, driving).normal, plain(moved[:1], moved).normal
    assert wanted is not None
    assert found is not None
    torch.testing.assert_close(found, wanted)
    assert torch.equal(moved.shape, reference.shape.expand(2, -1))
