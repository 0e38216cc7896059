"""Our parts on Animate Anyone's weights give Animate Anyone's numbers."""

from typing import Any

import golden
import pytest
import torch
from diffusers import DDIMScheduler, UNet2DConditionModel, UNetMotionModel
from diffusers.models.attention import AttentionMixin, BasicTransformerBlock
from diffusers.models.unets.unet_motion_model import AnimateDiffTransformer3D
from einops import rearrange
from torch import Tensor, nn

from anifacediff.assemblies.published import (
    convert_denoising_unet,
    convert_motion_modules,
    convert_pose_guider,
    convert_reference_unet,
)
from anifacediff.attachment import attach, modules_by_place, spatial_attention, split_heads
from anifacediff.backbone.reference_net import KeysValues, ReferenceAttnProcessor, ReferenceFeatures, ReferenceNet
from anifacediff.backbone.temporal import PerFrameGroupNorm, TemporalModules
from anifacediff.checkpoint import load_strict
from anifacediff.conditioning.pose_encoder import PoseEncoder

CONFIG: dict[str, Any] = {
    "sample_size": 8,
    "block_out_channels": (32, 64),
    "layers_per_block": 1,
    "cross_attention_dim": 32,
    "attention_head_dim": 4,
    "norm_num_groups": 8,
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
}


@pytest.fixture(autouse=True)
def _no_grad():  # pyright: ignore[reportUnusedFunction]
    with torch.no_grad():
        yield


def test_pose_guider():
    stored = golden.read("animate_anyone/pose_guider")
    encoder = PoseEncoder(out_channels=32)
    load_strict(encoder, convert_pose_guider(stored.weights("pose_guider."), encoder).tensors, "pose_guider")
    features = encoder.features(stored.arrays["conditioning"][0].transpose(0, 1))
    stored.assert_close(features.transpose(0, 1)[None], "output", golden.SINGLE_MODULE)


class OneBlock(nn.Module, AttentionMixin):
    """A denoiser of a single transformer block."""

    def __init__(self) -> None:
        super().__init__()
        self.block = BasicTransformerBlock(32, 4, 8, cross_attention_dim=32)

    def forward(self, hidden: Tensor, context: Tensor, features: ReferenceFeatures | None = None) -> Tensor:
        kwargs = {} if features is None else {"reference_features": features}
        return self.block(hidden, encoder_hidden_states=context, cross_attention_kwargs=kwargs)


@pytest.mark.parametrize(("name", "guidance"), [("output", False), ("output_cfg", True)])
def test_reference_block(name: str, guidance: bool):
    stored = golden.read("animate_anyone/reference_block")
    reader, writer = OneBlock(), OneBlock()
    load_strict(reader, stored.weights("read."), "read")
    load_strict(writer, stored.weights("write."), "write")
    arrays = stored.arrays
    stored.assert_close(reader(arrays["hidden"], arrays["encoder"]), "output_no_reference", golden.SINGLE_MODULE)
    stored.assert_close(writer(arrays["ref_hidden"], arrays["ref_encoder"]), "ref_output", golden.SINGLE_MODULE)
    bank = writer.block.norm1(arrays["ref_hidden"])
    stored.assert_close(bank, "bank", golden.SINGLE_MODULE)

    layers = spatial_attention(reader, "attn1")
    attn = layers["block.attn1"]
    # With guidance the second half of the rows is the second clip alone.
    bank = bank[1:] if guidance else bank
    memory = KeysValues(split_heads(attn.to_k(bank), 4), split_heads(attn.to_v(bank), 4))
    features = ReferenceFeatures({"block.attn1": memory}, guidance)
    attachment = attach(
        reader, layers, lambda place, stock: ReferenceAttnProcessor(stock, place), argument="reference_features"
    )
    with attachment:
        stored.assert_close(reader(arrays["hidden"], arrays["encoder"], features), name, golden.SINGLE_MODULE)


def test_temporal_module():
    stored = golden.read("animate_anyone/temporal_module")
    module = AnimateDiffTransformer3D(
        num_attention_heads=4,
        attention_head_dim=8,
        in_channels=32,
        positional_embeddings="sinusoidal",
        num_positional_embeddings=32,
    )
    module.norm = PerFrameGroupNorm(32, 32, eps=1e-6)
    place = "down_blocks.0.motion_modules.0"  # any: the golden is of one module
    weights = {f"{place}{key}": value for key, value in stored.weights("motion_module").items()}
    converted = convert_motion_modules(weights, modules_by_place({place: module}))
    load_strict(module, {key.removeprefix(f"{place}."): value for key, value in converted.tensors.items()}, "module")
    hidden = stored.arrays["hidden"]
    output = module(rearrange(hidden, "b c f h w -> (b f) c h w"), num_frames=4)
    stored.assert_close(rearrange(output, "(b f) c h w -> b c f h w", f=4), "output", golden.SINGLE_MODULE)


def _networks(stored: golden.Golden) -> tuple[ReferenceNet, UNetMotionModel]:
    reference_net = ReferenceNet(**CONFIG)
    converted = convert_reference_unet(stored.weights("reference_unet."), reference_net)
    load_strict(reference_net, converted.tensors, "reference_unet")
    unet = UNet2DConditionModel(**CONFIG)
    denoiser = TemporalModules.for_unet(unet, heads=4).inflate(unet)
    converted = convert_denoising_unet(stored.weights("denoising_unet."), denoiser)
    load_strict(denoiser, converted.tensors, "denoising_unet")
    return reference_net, denoiser


def test_step():
    stored = golden.read("animate_anyone/step")
    arrays = stored.arrays
    reference_net, denoiser = _networks(stored)
    token = arrays["clip_embeds"]
    banks = reference_net.hidden_states(arrays["ref_latent"], token)
    mid_down_up = [
        "mid_block.attentions.0",
        "down_blocks.0.attentions.0",
        "up_blocks.1.attentions.0",
        "up_blocks.1.attentions.1",
    ]
    for number, place in enumerate(mid_down_up):
        stored.assert_close(banks[f"{place}.transformer_blocks.0.attn1"], f"bank_{number}", golden.WHOLE_STEP)

    pose = PoseEncoder.for_unet(denoiser)
    pose_features = {"pose_features": arrays["pose_features"][0].transpose(0, 1)}
    tokens = token.expand(4, -1, -1)
    with reference_net.attach(denoiser), pose.attach(denoiser):
        plain = denoiser(arrays["latent"], 500, tokens)[0]
        stored.assert_close(plain, "noise_no_reference_no_pose", golden.WHOLE_STEP)
        posed = denoiser(arrays["latent"], 500, tokens, cross_attention_kwargs=pose_features)[0]
        stored.assert_close(posed, "noise_no_reference", golden.WHOLE_STEP)
        condition = {**pose_features, **reference_net.read(arrays["ref_latent"], token, denoiser)}
        stored.assert_close(
            denoiser(arrays["latent"], 500, tokens, cross_attention_kwargs=condition)[0], "noise", golden.WHOLE_STEP
        )
        condition = {**pose_features, **reference_net.read(arrays["ref_latent"], token, denoiser, guidance=True)}
        both = denoiser(
            arrays["latent"].repeat(2, 1, 1, 1, 1),
            500,
            torch.cat([torch.zeros_like(tokens), tokens]),
            cross_attention_kwargs=condition,
        )[0]
    stored.assert_close(both, "noise_cfg", golden.WHOLE_STEP)
    guided = both[:1] + 3.5 * (both[1:] - both[:1])
    stored.assert_close(guided, "noise_guided", golden.WHOLE_STEP)


@pytest.mark.parametrize(("name", "index"), [("ddim_prev", 14), ("ddim_prev_first", 0), ("ddim_prev_last", 29)])
def test_scheduler(name: str, index: int):
    stored = golden.read("animate_anyone/step")
    scheduler = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="linear",
        clip_sample=False,
        steps_offset=1,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
    )
    scheduler.set_timesteps(30)
    assert scheduler.timesteps.tolist() == stored.arrays["timesteps"].tolist()
    timestep = int(scheduler.timesteps[index])
    step = scheduler.step(stored.arrays["noise_guided"], timestep, stored.arrays["latent"], return_dict=False)
    stored.assert_close(step[0], name, golden.SINGLE_MODULE)
