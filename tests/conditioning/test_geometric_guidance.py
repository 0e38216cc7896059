from pathlib import Path

import pytest
import torch
from diffusers import UNet2DConditionModel
from jaxtyping import TypeCheckError
from torch import Tensor, nn

from anifacediff.conditioning.geometric_guidance import GeometricGuidanceEncoder, MapName
from anifacediff.conditioning.pose_encoder import PoseEncoder
from anifacediff.errors import AttachmentError, CheckpointError, InputError, ShapeError
from anifacediff.geometry.snapshots import ControlMaps

WIDTHS = (4, 8, 8, 32)


def made(*maps: MapName, loud: bool = True) -> GeometricGuidanceEncoder:
    torch.manual_seed(0)
    encoder = GeometricGuidanceEncoder(maps=maps, block_out_channels=WIDTHS, attention_heads=4, out_channels=32)
    for parameter in encoder.parameters() if loud else ():
        nn.init.normal_(parameter, std=0.2)
    return encoder.eval()


def run(unet: UNet2DConditionModel, sample: Tensor, condition: object = None) -> Tensor:
    return unet(sample, 5, torch.ones(len(sample), 1, 24), cross_attention_kwargs=condition, return_dict=False)[0]


@pytest.mark.parametrize("maps", [("normal",), ("depth", "shaded"), ("depth", "normal", "shaded")])
def test_features_are_the_sum_over_the_maps(maps: tuple[MapName, ...]):
    encoder, pictures = made(*maps), torch.rand(2, 3 * len(maps), 32, 16)
    parts = zip(encoder.encoders.values(), pictures.split(3, 1), strict=True)
    alone = [each(part)["pose_features"] for each, part in parts]
    features = encoder(pictures)["pose_features"]
    assert features.shape == (2, 32, 4, 2)
    torch.testing.assert_close(features, torch.stack(alone).sum(0))


def test_a_fresh_encoder_changes_nothing_and_a_trained_one_is_added_after_conv_in(unet: UNet2DConditionModel):
    sample, pictures = torch.randn(2, 4, 8, 8), torch.rand(2, 6, 64, 64)
    fresh, trained = made("depth", "normal", loud=False), made("depth", "normal")
    with fresh.attach(unet):
        assert torch.equal(run(unet, sample, fresh(pictures)), run(unet, sample))
    seen: list[Tensor] = []
    with trained.attach(unet):
        condition = trained(pictures)
        hook = unet.down_blocks[0].register_forward_pre_hook(
            lambda module, args, kwargs: seen.append(kwargs["hidden_states"]), with_kwargs=True
        )
        run(unet, sample, condition)
        hook.remove()
        torch.testing.assert_close(seen[0], unet.conv_in(sample) + condition["pose_features"])


def test_attention_reaches_across_the_picture():
    """The convolutions alone see 31 pixels; with self-attention a far corner matters."""
    far = torch.zeros(1, 3, 128, 128)
    far[..., -8:, -8:] = 1
    attending, blind = made("normal"), PoseEncoder(block_out_channels=WIDTHS, out_channels=32)
    for parameter in blind.parameters():
        nn.init.normal_(parameter, std=0.2)
    for encoder, reached in ((attending, True), (blind, False)):
        change = (encoder.features(far) - encoder.features(torch.zeros_like(far)))[0, :, 0, 0]
        assert bool(change.abs().max() > 1e-4) == reached


def test_it_takes_the_place_of_a_pose_encoder(unet: UNet2DConditionModel):
    encoder = GeometricGuidanceEncoder.for_unet(unet, block_out_channels=WIDTHS, attention_heads=4)
    with encoder.attach(unet), pytest.raises(AttachmentError, match="attached to this denoiser already"):
        PoseEncoder.for_unet(unet).attach(unet)
    with pytest.raises(AttachmentError, match="320 channels"):
        GeometricGuidanceEncoder(block_out_channels=WIDTHS, attention_heads=4).attach(unet)


def test_stacking_drawn_maps():
    maps = ControlMaps(torch.ones(2, 8, 8) > 0, torch.rand(2, 3, 8, 8), torch.rand(2, 1, 8, 8))
    stacked = made("normal", "depth").stack(maps)
    assert maps.normal is not None
    assert maps.depth is not None
    assert torch.equal(stacked, torch.cat([maps.normal, maps.depth, maps.depth, maps.depth], 1))
    with pytest.raises(InputError, match="shaded not drawn"):
        made("shaded", "depth").stack(maps)


def test_bad_input():
    with pytest.raises(ShapeError, match=r"maps: expected shape \(f c h w\) = \(any, 6, any, any\)"):
        made("depth", "normal")(torch.rand(1, 3, 16, 16))
    with pytest.raises(ShapeError, match="multiples of 8"):
        made("depth")(torch.rand(1, 3, 12, 16))
    with pytest.raises(InputError, match="NaN"):
        made("depth")(torch.full((1, 3, 16, 16), torch.nan))
    for maps in ((), ("depth", "depth"), ("colour",)):
        with pytest.raises((InputError, TypeCheckError), match=r"each once|Type-check"):
            GeometricGuidanceEncoder(maps=maps)  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match="5 do not divide the last width 32"):
        GeometricGuidanceEncoder(block_out_channels=WIDTHS, attention_heads=5)


def test_save_and_load(tmp_path: Path):
    encoder, pictures = made("depth", "shaded"), torch.rand(1, 6, 16, 16)
    encoder.save_pretrained(tmp_path)
    loaded = GeometricGuidanceEncoder.from_pretrained(tmp_path)
    assert torch.equal(loaded(pictures)["pose_features"], encoder(pictures)["pose_features"])
    assert loaded.maps == ("depth", "shaded")
    with pytest.raises(CheckpointError):
        PoseEncoder.from_pretrained(tmp_path)
