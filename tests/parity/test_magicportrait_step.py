"""One denoising step of our parts on MagicPortrait's weights, loaded through the converters, gives its numbers."""

from functools import cache
from typing import Any

import golden
import torch
from diffusers import DDIMScheduler, UNet2DConditionModel, UNetMotionModel
from test_magicportrait_guidance import encoder_of, maps_of
from torch import Tensor

from anifacediff.assemblies.published.moore import convert_denoising_unet, convert_reference_unet
from anifacediff.backbone.reference_net import ReferenceFeatures, ReferenceNet
from anifacediff.backbone.temporal import TemporalModules
from anifacediff.checkpoint import load_strict
from anifacediff.conditioning.geometric_guidance import GUIDANCE_MAPS, GeometricGuidanceEncoder

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
MID_DOWN_UP = (
    "mid_block.attentions.0",
    "down_blocks.0.attentions.0",
    "up_blocks.1.attentions.0",
    "up_blocks.1.attentions.1",
)

TELLS_ROUNDING = 7e-5  # half of what the published outputs with and without rounding differ by


@cache
def networks() -> tuple[golden.Golden, ReferenceNet, UNetMotionModel]:
    stored = golden.read("magicportrait/step")
    reference_net, unet = ReferenceNet(**CONFIG), UNet2DConditionModel(**CONFIG)
    denoiser = TemporalModules.for_unet(unet, heads=4).inflate(unet)
    converted = convert_reference_unet(stored.weights("reference_unet."), reference_net)
    assert converted.unused == ()
    assert converted.filled == ("conv_norm_out.bias", "conv_norm_out.weight", "conv_out.bias", "conv_out.weight")
    load_strict(reference_net, converted.tensors, "converted")
    converted = convert_denoising_unet(stored.weights("denoising_unet."), denoiser)
    assert converted.unused == ()
    load_strict(denoiser, converted.tensors, "converted")
    return stored, reference_net, denoiser


@cache
def guidance() -> tuple[GeometricGuidanceEncoder, dict[str, Tensor]]:
    """The encoder, and its condition from the maps that the golden was made with."""
    stored = golden.read("magicportrait/guidance_encoder")
    encoder = encoder_of(stored, *GUIDANCE_MAPS)
    with torch.no_grad():
        return encoder, encoder(maps_of(stored, *GUIDANCE_MAPS))


@torch.no_grad()
def predict(features: ReferenceFeatures | None) -> Tensor:
    """The denoiser's output; with guidance, of two rows with the same text in both."""
    stored, reference_net, denoiser = networks()
    encoder, pose_features = guidance()
    condition: dict[str, Any] = dict(pose_features)
    clips = 2 if features is not None and features.guidance else 1
    if features is not None:
        condition["reference_features"] = features
    latents = stored.arrays["latent"].repeat(clips, 1, 1, 1, 1)
    tokens = stored.arrays["text"].expand(4 * clips, -1, -1)
    with reference_net.attach(denoiser), encoder.attach(denoiser):
        return denoiser(latents, 500, tokens, cross_attention_kwargs=condition)[0]


@torch.no_grad()
def read(**options: Any) -> ReferenceFeatures:
    stored, reference_net, denoiser = networks()
    latents, text = stored.arrays["ref_latent"], stored.arrays["text"]
    return reference_net.read(latents, text, denoiser, **options)["reference_features"]


@torch.no_grad()
def test_banks():
    stored, reference_net, _ = networks()
    banks = reference_net.hidden_states(stored.arrays["ref_latent"], stored.arrays["text"])
    for number, place in enumerate(MID_DOWN_UP):
        stored.assert_close(banks[f"{place}.transformer_blocks.0.attn1"], f"bank_{number}", golden.WHOLE_STEP)


def test_without_the_reference():
    stored, _, _ = networks()
    stored.assert_close(predict(None), "noise_uncond_fwd", golden.WHOLE_STEP)


def test_with_the_reference():
    stored, _, _ = networks()
    stored.assert_close(predict(read()), "noise", TELLS_ROUNDING)


def test_with_states_rounded_to_half_precision():
    stored, _, _ = networks()
    rounded = predict(read(store_dtype=torch.float16))
    stored.assert_close(rounded, "noise_bank_fp16", TELLS_ROUNDING)


def test_a_second_call_that_does_not_clear_attends_twice():
    stored, _, _ = networks()
    once = read(store_dtype=torch.float16)
    stored.assert_close(
        predict(ReferenceFeatures.joined([once, once])), "noise_second_call_without_clear_bank_fp16", golden.WHOLE_STEP
    )


def test_guidance_and_the_scheduler():
    stored, _, _ = networks()
    both = predict(read(guidance=True))
    stored.assert_close(both, "noise_cfg", golden.WHOLE_STEP)
    guided = both[:1] + 3.5 * (both[1:] - both[:1])
    stored.assert_close(guided, "noise_guided", golden.WHOLE_STEP)
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
    scheduler.set_timesteps(20)
    assert scheduler.timesteps.tolist() == stored.arrays["timesteps"].tolist()
    step = scheduler.step(guided, int(scheduler.timesteps[9]), stored.arrays["latent"], return_dict=False)
    stored.assert_close(step[0], "ddim_prev", golden.WHOLE_STEP)
