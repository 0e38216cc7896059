"""LoRA beside our parts, with diffusers' and kohya's keys."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from diffusers import UNet2DConditionModel, UNetMotionModel
from safetensors.torch import save_file
from torch import Tensor, nn

from anifacediff.backbone import FeatureCache, ReferenceNet, attach_lora
from anifacediff.conditioning import ExpressionAdapter, PoseEncoder
from anifacediff.errors import AttachmentError, CheckpointError
from anifacediff.testing.denoisers import denoise, random, stirred

RANK = 2
TARGETS = ("to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "conv1", "conv2", "ff.net.2", "time_emb_proj")


def weights(unet: nn.Module, targets: tuple[str, ...] = TARGETS) -> dict[str, Tensor]:
    """A random LoRA of the layers that the published latent consistency LoRA changes."""
    found: dict[str, Tensor] = {}
    for place, module in unet.named_modules():
        if place.endswith(targets) and isinstance(module, nn.Linear | nn.Conv2d) and "motion_modules" not in place:
            tail = module.weight.shape[2:]
            down = (RANK, module.weight.shape[1], *tail)
            found[f"unet.{place}.lora_A.weight"] = 0.2 * random(*down, seed=len(found))
            up = (module.weight.shape[0], RANK, *(1 for _ in tail))
            found[f"unet.{place}.lora_B.weight"] = 0.2 * random(*up, seed=len(found))
    return found


def added(unet: nn.Module, lora: Mapping[str, Tensor], scale: float = 1.0) -> None:
    """Add the products to the weights, written out."""
    for key, down in lora.items():
        if key.endswith("lora_A.weight"):
            place = key.removeprefix("unet.").removesuffix(".lora_A.weight")
            up = lora[key.replace("lora_A", "lora_B")]
            weight = unet.get_submodule(place).weight
            assert isinstance(weight, Tensor)
            with torch.no_grad():
                weight += scale * (up.flatten(1) @ down.flatten(1)).view_as(weight)


def everything(unet: UNet2DConditionModel) -> tuple[ReferenceNet, ExpressionAdapter, PoseEncoder]:
    return (
        stirred(ReferenceNet.from_unet(unet)),
        stirred(ExpressionAdapter.for_unet(unet, expression_dim=10)),
        stirred(PoseEncoder.for_unet(unet, block_out_channels=(8, 8, 8, 8))),
    )


@torch.no_grad()
def test_beside_attached_parts_it_adds_its_products(unet: UNet2DConditionModel):
    reference, expression, pose = everything(unet)
    lora, before = weights(unet), dict(unet.named_modules())
    with reference.attach(unet), expression.attach(unet), pose.attach(unet):

        def output() -> Tensor:
            told = {**expression(random(4, 10)), **pose(random(4, 3, 64, 64).abs())}
            return denoise(unet, {**reference.read(random(1, 4, 8, 8), random(1, 1, 24), unet), **told})

        plain = output()
        with attach_lora(unet, lora):
            found = output()
            cache = FeatureCache(unet, interval=2)
            with cache.attach(), cache.window(range(4), 5):
                assert torch.equal(output(), found)
        assert torch.equal(output(), plain)
        added(unet, lora)
        torch.testing.assert_close(found, output(), rtol=1e-4, atol=1e-5)
        assert not torch.allclose(found, plain, atol=1e-2)
    after = dict(unet.named_modules())
    assert list(after) == list(before)
    assert all(after[place] is module for place, module in before.items())


def test_on_a_video_denoiser(video_unet: UNetMotionModel):
    keys = list(video_unet.state_dict())
    with attach_lora(video_unet, weights(video_unet)):
        assert any("lora_A" in key for key in video_unet.state_dict())
    assert list(video_unet.state_dict()) == keys


@torch.no_grad()
def test_kohya_s_keys_and_scales_from_a_file(unet: UNet2DConditionModel, tmp_path: Path):
    lora = weights(unet, ("to_q", "to_out.0", "conv1"))
    kohya: dict[str, Tensor] = {}
    for key, value in lora.items():
        place, kind = key.removeprefix("unet.").removesuffix(".weight").rsplit(".", 1)
        layer = "lora_unet_" + place.replace(".", "_")
        kohya[f"{layer}.{'lora_down' if kind == 'lora_A' else 'lora_up'}.weight"] = value
        kohya[f"{layer}.alpha"] = torch.tensor(0.5 * RANK)
    save_file(kohya, tmp_path / "lcm.safetensors")
    with attach_lora(unet, tmp_path, weight_name="lcm.safetensors"):
        found = denoise(unet)
    added(unet, lora, 0.5)
    torch.testing.assert_close(found, denoise(unet), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_two_at_once_come_off_one_by_one(unet: UNet2DConditionModel):
    plain = denoise(unet)
    first = attach_lora(unet, weights(unet, ("to_q",)), name="first")
    alone = denoise(unet)
    second = attach_lora(unet, weights(unet, ("to_k",)), name="second")
    second.detach()
    torch.testing.assert_close(denoise(unet), alone)
    first.detach()
    assert torch.equal(denoise(unet), plain)


def test_a_name_that_is_taken_is_refused(unet: UNet2DConditionModel):
    lora = weights(unet, ("to_q",))
    with attach_lora(unet, lora), pytest.raises(AttachmentError, match="'lora' is on this denoiser already"):
        attach_lora(unet, lora)


def test_where_a_part_of_ours_stands_it_is_refused(unet: UNet2DConditionModel):
    pose = everything(unet)[2]
    lora = weights(unet, ("conv_in", "to_q"))
    with pose.attach(unet), pytest.raises(AttachmentError, match="changes conv_in, where a component of ours"):
        attach_lora(unet, lora)
    with attach_lora(unet, lora), pytest.raises(AttachmentError, match="not the stock convolution; fuse or unload"):
        pose.attach(unet)
    attach_lora(unet, lora)
    unet.fuse_lora()
    unet.unload_lora()
    pose.attach(unet).detach()


def test_what_is_not_for_this_denoiser_is_refused_and_leaves_nothing(unet: UNet2DConditionModel, tmp_path: Path):
    keys = list(unet.state_dict())
    elsewhere = {key.replace("down_blocks.0", "down_blocks.7"): value for key, value in weights(unet).items()}
    with pytest.raises(CheckpointError, match=r"of which \d+ are not in this denoiser: down_blocks\.7"):
        attach_lora(unet, elsewhere)
    with pytest.raises(CheckpointError, match="changes 0 layers of a UNet"):
        attach_lora(unet, {"text_encoder.layer.lora_A.weight": torch.zeros(2, 4)})
    wide = {
        key: value.repeat_interleave(2, -2 if "lora_B" in key else -1)
        for key, value in weights(unet, ("to_q",)).items()
    }
    with pytest.raises(CheckpointError, match="does not fit this denoiser"):
        attach_lora(unet, wide)
    with pytest.raises(CheckpointError, match="cannot be read"):
        attach_lora(unet, tmp_path)
    assert list(unet.state_dict()) == keys
