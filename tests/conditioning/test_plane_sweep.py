from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from moved_heads import HEAD, SIZE, face, ramps

from anifacediff.conditioning import PlaneSweep
from anifacediff.conditioning.plane_sweep import moved
from anifacediff.errors import InputError, ShapeError
from anifacediff.geometry import Box, FaceParameters, Perspective, WeakPerspective
from anifacediff.shapes import Tensor


def sweep(*depths: float, body: tuple[float, ...] = ()) -> PlaneSweep:
    return PlaneSweep(HEAD, image_size=SIZE, depths=depths or (0.0, 0.5, 1.0), body_depths=body)


def posed(**joints: float) -> FaceParameters:
    """A face whose joints are turned to the side."""
    one = face()
    pose = one.pose.clone()
    for name, yaw in joints.items():
        pose[:, HEAD.joint_names.index(name), 1] = yaw
    return replace(one, pose=pose)


def screen(one: FaceParameters) -> Tensor:
    """Where a picture has the vertices of the upper head, and how deep."""
    height = HEAD(*(torch.zeros_like(each) for each in (one.shape, one.expression, one.pose)))[0, :, 1]
    upper = height > height.min() + 0.35 * (height.max() - height.min())
    return one.camera.project(HEAD(one.shape, one.expression, one.pose))[0, upper]


def worst(reference: FaceParameters, driving: FaceParameters) -> float:
    """How far from its place in the reference, in pixels, a vertex is sought by the plane that goes through it."""
    source, target = screen(reference), screen(driving)
    depth = target[:, 2] - target[:, 2].mean()
    chosen = slice(None, None, len(target) // 40)
    through = sweep(*(depth / depth.square().mean().mul(3).sqrt())[chosen].tolist())
    maps = through.motions(reference, driving)[0]
    found = (maps[..., :2] @ target[chosen, :2, None])[..., 0] + maps[..., 2]
    return (found - source[chosen, :2]).norm(dim=1).max().item()


def test_a_reference_moved_to_itself_stays_as_it_is():
    image, turned = torch.rand(1, 3, SIZE, SIZE, generator=torch.manual_seed(0)), face(yaw=0.4)
    found = sweep()(image, turned, turned)
    assert found.shape == (1, 3, 3, SIZE, SIZE)
    torch.testing.assert_close(found, image[:, None].expand_as(found), atol=1e-3, rtol=0)


def test_what_lies_on_a_plane_is_fetched_from_where_the_reference_has_it():
    assert worst(face(yaw=-0.4), face(yaw=0.5, shift=3.0)) < 1e-2


def test_a_pinhole_camera_is_met_within_a_pixel():
    camera = Perspective(torch.tensor([360.0]), torch.tensor([[32.0, 32.0]]), torch.tensor([[0.0, 0.0, -2.0]]))
    reference, driving = (replace(face(yaw=yaw), camera=camera) for yaw in (-0.3, 0.3))
    assert worst(reference, driving) < 1.0


def test_a_shift_takes_every_plane_along():
    found = sweep()(ramps(), face(), face(shift=5.0))[0, :, 0, :, 5:]
    expected = ramps()[0, 0, :, 5:] - 5
    torch.testing.assert_close(found, expected.clamp(min=0.5).expand_as(found), atol=1e-2, rtol=0)


def test_the_deeper_a_plane_the_more_it_falls_behind_a_turn():
    maps = sweep(-1.0, 0.0, 1.0).motions(face(), face(yaw=0.3))[0]
    sought = maps[:, 0, 2]
    torch.testing.assert_close(sought[0] - sought[1], sought[1] - sought[2], atol=1e-3, rtol=0)
    assert (sought[0] - sought[1]).abs() > 3


def test_the_canvas_of_the_reference_may_have_another_size():
    small = face(yaw=0.2)
    assert isinstance(small.camera, WeakPerspective)
    camera = WeakPerspective(2 * small.camera.scale, 2 * small.camera.translation)
    large = replace(small, camera=camera, box=Box(2 * small.box.corners), canvas=(2 * SIZE, 2 * SIZE))
    torch.testing.assert_close(sweep().motions(large, face()), sweep().motions(small, face()), atol=1e-4, rtol=1e-4)


def test_a_clip_in_pieces_is_the_whole_clip():
    clip = replace(face(frames=5), pose=0.2 * torch.randn(5, len(HEAD.joint_names), 3, generator=torch.manual_seed(0)))
    pieces = [sweep()(ramps(), face(), clip[part]) for part in (slice(0, 2), slice(2, 5))]
    assert torch.equal(torch.cat(pieces), sweep()(ramps(), face(), clip))


def test_jaw_and_expression_move_no_hair():
    driving = face(yaw=0.3)
    pose = driving.pose.clone()
    pose[:, HEAD.joint_names.index("jaw"), 0] = 0.3
    talking = replace(driving, pose=pose, expression=3 * torch.ones_like(driving.expression))
    assert torch.equal(sweep().motions(face(), talking), sweep().motions(face(), driving))


def test_the_body_stays_when_the_neck_turns():
    maps = sweep(0.0, body=(0.0, 1.0)).motions(face(), posed(neck=0.4))[0]
    still = torch.eye(2, 3).expand(2, 2, 3)
    torch.testing.assert_close(maps[1:], still, atol=1e-3, rtol=0)
    assert (maps[0] - still[0]).abs().max() > 0.5


def test_the_body_moves_as_a_head_whose_neck_is_held_still():
    both = sweep(0.0, 1.0, body=(0.0, 1.0))
    turned = both.motions(face(), posed(**{"global": 0.3}))[0]
    assert torch.equal(turned[2:], turned[:2])
    bent = both.motions(face(), posed(**{"global": 0.3, "neck": -0.5, "jaw": 0.2}))[0]
    assert torch.equal(bent[2:], turned[2:])
    assert not torch.equal(bent[:2], turned[:2])


def test_a_sweep_may_be_of_the_body_alone():
    alone = PlaneSweep(HEAD, image_size=SIZE, depths=(), body_depths=(0.5,))
    found = alone(ramps(), face(), face(yaw=0.3))
    assert torch.equal(found, sweep(0.0, body=(0.5,))(ramps(), face(), face(yaw=0.3))[:, 1:])


def test_a_model_in_float64_has_planes_in_float64():
    exact = PlaneSweep(deepcopy(HEAD).double(), image_size=SIZE, depths=(0.0, 1.0), body_depths=())
    faces = [each.to(dtype=torch.float64) for each in (face(), face(yaw=0.3))]
    found = exact.motions(*faces)
    assert found.dtype == torch.float64
    torch.testing.assert_close(found.float(), sweep(0.0, 1.0).motions(face(), face(yaw=0.3)), atol=1e-3, rtol=1e-4)


def test_autocast_rounds_no_place():
    maps = sweep().motions(face(), face(yaw=0.3))[:, 1]
    with torch.autocast("cpu", torch.bfloat16):
        cast = moved(ramps(), maps)
    assert torch.equal(cast, moved(ramps(), maps))


def test_colours_come_from_where_the_maps_say():
    maps = torch.tensor([[[0.0, 1.0, 2.0], [0.5, 0.0, 1.0]]])
    found = moved(ramps(), maps)
    expected = torch.stack([(ramps()[0, 1] + 2), 0.5 * ramps()[0, 0] + 1]).clamp(0.5, SIZE - 0.5)
    torch.testing.assert_close(found[0, :2], expected, atol=1e-3, rtol=0)


def test_bad_input_is_named():
    with pytest.raises(InputError, match="depths"):
        PlaneSweep(HEAD, image_size=SIZE, depths=(), body_depths=())
    with pytest.raises(InputError, match=r"expected finite numbers, found \(0.0, nan\)"):
        sweep(0.0, body=(float("nan"),))
    with pytest.raises(ShapeError, match="image"):
        sweep()(torch.zeros(1, 3, 32, 32), face(), face())
    with pytest.raises(InputError, match="image"):
        sweep()(torch.full((1, 3, SIZE, SIZE), torch.nan), face(), face())
    with pytest.raises(InputError, match=r"reference\.canvas: expected a square, found 64 x 128"):
        sweep()(ramps(), replace(face(), canvas=(SIZE, 2 * SIZE)), face())
    with pytest.raises(InputError, match=r"face\.canvas"):
        sweep().motions(face(), replace(face(), canvas=(SIZE, 2 * SIZE)))
    with pytest.raises(ShapeError, match="exactly 1 frame, found 2"):
        sweep().motions(face(frames=2), face())
