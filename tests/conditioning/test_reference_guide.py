import pytest
import torch
from moved_heads import HEAD, SIZE, face, ramps

from anifacediff.conditioning import PlaneSweep, ReferenceGuide, ReferenceWarp
from anifacediff.conditioning.reference_guide import blend_channels, blended, guide_channels, guide_latents
from anifacediff.errors import ShapeError
from anifacediff.shapes import Float, Tensor

WARP = ReferenceWarp(HEAD, image_size=SIZE)
SWEEP = PlaneSweep(HEAD, image_size=SIZE, depths=(0.0,), body_depths=(0.5,))


def encode(images: Tensor) -> Tensor:
    return torch.nn.functional.avg_pool2d(images, 8)


def test_a_guide_holds_the_moved_and_the_still_reference_and_what_is_shown():
    clip = face(yaw=0.3, frames=2)
    guide = ReferenceGuide(WARP, None, ramps(), face(), encode)(clip)
    warped = WARP(ramps(), face(), clip)
    assert guide.shape == (2, guide_channels(3), 8, 8)
    assert torch.equal(guide[:, :3], encode(warped.image))
    assert torch.equal(guide[:, 3:6], encode(ramps()).expand(2, -1, -1, -1))
    torch.testing.assert_close(guide[:, 6:], encode(warped.shown))
    assert torch.equal(guide, guide_latents([guide[:, :3], guide[:, 3:6]], warped.shown))


def test_planes_stand_between_the_still_reference_and_what_is_shown():
    clip = face(yaw=0.3, frames=2)
    guide = ReferenceGuide(WARP, SWEEP, ramps(), face(), encode)(clip)
    without = ReferenceGuide(WARP, None, ramps(), face(), encode)(clip)
    assert guide.shape == (2, guide_channels(3, 2), 8, 8)
    assert torch.equal(guide[:, :6], without[:, :6])
    assert torch.equal(guide[:, -1:], without[:, -1:])
    swept = SWEEP(ramps(), face(), clip)
    assert torch.equal(guide[:, 6:9], encode(swept[:, 0]))
    assert torch.equal(guide[:, 9:12], encode(swept[:, 1]))


@pytest.mark.parametrize("planes", [0, 2])
def test_a_blend_is_what_is_drawn_and_what_is_taken_over(planes: int):
    torch.manual_seed(0)
    predicted = torch.randn(2, blend_channels(3, planes), 4, 4)
    guide = torch.randn(2, guide_channels(3, planes), 4, 4)
    expected: Float[Tensor, "f c h w"] = predicted[:, :3].double()
    for source in range(2 + planes):
        part = slice(3 * source, 3 * source + 3)
        taken = 1 / (1 + torch.exp(-predicted[:, 3:][:, part].double()))
        expected = expected + taken * guide[:, part]
    torch.testing.assert_close(blended(predicted, guide, 3), expected.float())


def test_channels_that_do_not_fit_are_named():
    guide = torch.randn(2, 7, 4, 4)
    for channels in (3, 6, 7, 8, 10, 12):
        with pytest.raises(ShapeError, match=rf"predicted: .* = \(2, 9, 4, 4\), found \(2, {channels}, "):
            blended(torch.randn(2, channels, 4, 4), guide, 3)
    with pytest.raises(ShapeError, match="guide: expected n x 4"):
        blended(torch.randn(2, 9, 4, 4), guide, 4)
