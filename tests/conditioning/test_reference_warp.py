import math
from dataclasses import replace

import pytest
import torch
from moved_heads import HEAD, SIZE, face, ramps

from anifacediff.conditioning import FacialAlignment, ReferenceWarp
from anifacediff.errors import InputError, ShapeError
from anifacediff.geometry import Box, FaceParameters, WeakPerspective
from anifacediff.geometry.snapshots import Topology, vertex_normals


def warp() -> ReferenceWarp:
    return ReferenceWarp(HEAD, image_size=SIZE)


def covered(frame: FaceParameters) -> torch.Tensor:
    align = FacialAlignment(HEAD, image_size=SIZE, align_shape=False, align_scale=False)
    return align(frame, frame).mask[0]


def test_a_reference_moved_to_itself_stays_as_it_is():
    torch.manual_seed(0)
    image, turned = torch.rand(1, 3, SIZE, SIZE), face(yaw=0.4)
    found = warp()(image, turned, turned)
    torch.testing.assert_close(found.image, image, atol=2e-4, rtol=0)


def test_pixels_come_from_where_the_reference_has_the_same_spot():
    reference, driving = face(yaw=-0.3), face(yaw=0.3, shift=3.0)
    image = warp()(ramps(), reference, driving).image[0]
    vertices = [HEAD(one.shape, one.expression, one.pose) for one in (reference, driving)]
    source, target = (one.camera.project(each)[0] for one, each in zip((reference, driving), vertices, strict=True))
    frontal = vertex_normals(vertices[1], Topology.of(HEAD.triangles))[0, :, 2] > 0.8
    nearest = torch.zeros(len(target), dtype=torch.bool)
    cells = target[:, :2].floor().long().clamp(0, SIZE - 1)
    for cell in cells[frontal].unique(dim=0):
        inside = (cells == cell).all(1).nonzero()[:, 0]
        nearest[inside[target[inside, 2].argmin()]] = True
    chosen = nearest & frontal & covered(driving)[cells[:, 1], cells[:, 0]]
    assert chosen.sum() > 100
    within = target[chosen, :2] - (cells[chosen] + 0.5)
    error = image[:2, cells[chosen, 1], cells[chosen, 0]].T + within - source[chosen, :2]
    assert error.abs().quantile(0.95) < 0.35, "of a pixel"


def test_a_shifted_face_takes_its_pixels_along_and_leaves_what_is_far_in_place():
    reference, driving = face(), face(shift=5.0)
    image = warp()(ramps(), reference, driving).image[0]
    moved = ramps()[0] - torch.tensor([5.0, 0.0, 0.0])[:, None, None]
    inside = covered(driving)
    torch.testing.assert_close(image[:, inside], moved[:, inside], atol=1e-2, rtol=0)
    beside = image[0, 32, -6:] - ramps()[0, 0, 32, -6:]
    assert (beside <= 0).all()
    assert (beside.diff() > 0).all(), "the motion fades"


def test_shown_is_the_cosine_to_the_viewer_and_zero_where_the_reference_hides():
    reference = face(yaw=math.radians(60))
    shown = warp()(ramps(), reference, face()).shown[0, 0]
    turned = HEAD(reference.shape, reference.expression, reference.pose)
    cosine = vertex_normals(turned, Topology.of(HEAD.triangles))[0, :, 2].clamp(min=0)
    spots = face().camera.project(HEAD(face().shape, face().expression, face().pose))[0]
    front = spots[:, 2] < spots[:, 2].min() + 12
    cells = spots[front, :2].floor().long()
    torch.testing.assert_close(shown[cells[:, 1], cells[:, 0]].mean(), cosine[front].mean(), atol=0.05, rtol=0)
    inside = covered(face())
    assert shown[inside].min() == 0
    assert shown.max() <= 1 + 1e-5


def test_the_canvas_of_the_reference_may_have_another_size():
    small = face(yaw=0.2)
    large = replace(
        small,
        camera=WeakPerspective(2 * small.camera.scale, 2 * small.camera.translation),  # pyright: ignore[reportAttributeAccessIssue]
        box=Box(2 * small.box.corners),
        canvas=(2 * SIZE, 2 * SIZE),
    )
    torch.testing.assert_close(warp()(ramps(), large, face()).image, warp()(ramps(), small, face()).image)


def test_a_clip_in_pieces_is_the_whole_clip():
    clip = replace(face(frames=5), pose=0.2 * torch.randn(5, len(HEAD.joint_names), 3, generator=torch.manual_seed(0)))
    whole = warp()(ramps(), face(), clip)
    pieces = [warp()(ramps(), face(), clip[part]) for part in (slice(0, 2), slice(2, 5))]
    assert torch.equal(torch.cat([piece.image for piece in pieces]), whole.image)
    assert torch.equal(torch.cat([piece.shown for piece in pieces]), whole.shown)


def test_bad_input_is_named():
    with pytest.raises(InputError, match="at least 32 pixels, found 16"):
        ReferenceWarp(HEAD, image_size=16)
    with pytest.raises(ShapeError, match="image"):
        warp()(torch.zeros(1, 3, 32, 32), face(), face())
    with pytest.raises(InputError, match="image"):
        warp()(torch.full((1, 3, SIZE, SIZE), torch.nan), face(), face())
    with pytest.raises(InputError, match=r"reference\.canvas: expected a square, found 64 x 128"):
        warp()(ramps(), replace(face(), canvas=(SIZE, 2 * SIZE)), face())
    with pytest.raises(InputError, match=r"face\.canvas"):
        warp()(ramps(), face(), replace(face(), canvas=(SIZE, 2 * SIZE)))
    with pytest.raises(ShapeError, match="exactly 1 frame, found 2"):
        warp()(ramps(), face(frames=2), face())
