"""Our parts on AniPortrait's weights, converted from its own keys, give AniPortrait's numbers."""

from collections.abc import Mapping

import golden
import pytest
import torch
from diffusers import UNetMotionModel
from networks import make_unet
from torch import Tensor

from anifacediff.assemblies.published.aniportrait import convert_multilevel_pose_guider, pose_encoder_for
from anifacediff.assemblies.published.moore import convert_denoising_unet, convert_reference_unet
from anifacediff.backbone.reference_net import ReferenceNet
from anifacediff.backbone.temporal import TemporalModules
from anifacediff.checkpoint import load_strict
from anifacediff.conditioning.pose_levels import attach_levels

# From the third map on, the published numbers are themselves 5e-5 away from ours in float64, and 6e-5 from themselves
# with another number of threads: the normalisation of maps of one pixel magnifies rounding.
POSE_MAPS = (golden.SINGLE_MODULE, golden.SINGLE_MODULE, *(golden.WHOLE_STEP,) * 3)


@pytest.fixture(autouse=True)
def _no_grad():  # pyright: ignore[reportUnusedFunction]
    with torch.no_grad():
        yield


def test_pose_guider():
    stored = golden.read("aniportrait/pose_guider")
    weights = stored.weights("pose_guider.")
    encoder = pose_encoder_for(weights)
    converted = convert_multilevel_pose_guider(weights, encoder)
    assert not converted.unused
    assert all(key.endswith("num_batches_tracked") for key in converted.filled)
    encoder.load_state_dict(dict(converted.tensors), assign=True)
    levels = encoder.features(stored.arrays["pose"][0].transpose(0, 1))
    for number, (level, tolerance) in enumerate(zip(levels, POSE_MAPS, strict=True)):
        stored.assert_close(level.transpose(0, 1)[None], f"out_{number}", tolerance)


def networks(stored: golden.Golden) -> tuple[ReferenceNet, UNetMotionModel]:
    unet = make_unet(cross_attention_dim=32, attention_head_dim=4)
    reference_net = ReferenceNet.from_unet(unet)
    load_strict(reference_net, convert_reference_unet(stored.weights("reference_unet."), reference_net).tensors, "step")
    denoiser = TemporalModules.for_unet(unet, heads=4).inflate(unet)
    load_strict(denoiser, convert_denoising_unet(stored.weights("denoising_unet."), denoiser).tensors, "step")
    return reference_net, denoiser


def test_step():
    stored = golden.read("aniportrait/step")
    arrays = stored.arrays
    reference_net, denoiser = networks(stored)
    token, latents = arrays["clip_embeds"], arrays["latent"]
    pose = {"pose_levels": tuple(arrays[f"pose_features_{level}"][0].transpose(0, 1) for level in range(3))}

    def predict(condition: Mapping[str, object], *, guidance: bool = False) -> Tensor:
        tokens, clips = token.expand(4, -1, -1), 2 if guidance else 1
        context = torch.cat([torch.zeros_like(tokens), tokens]) if guidance else tokens
        return denoiser(latents.repeat(clips, 1, 1, 1, 1), 500, context, cross_attention_kwargs=condition)[0]

    with reference_net.attach(denoiser), attach_levels(denoiser):
        stored.assert_close(predict({}), "noise_no_reference_no_pose", golden.WHOLE_STEP)
        stored.assert_close(predict(pose), "noise_no_reference", golden.WHOLE_STEP)
        read = reference_net.read(arrays["ref_latent"], token, denoiser)
        stored.assert_close(predict(pose | read), "noise", golden.WHOLE_STEP)
        read = reference_net.read(arrays["ref_latent"], token, denoiser, guidance=True)
        both = predict(pose | read, guidance=True)
    stored.assert_close(both, "noise_cfg", golden.WHOLE_STEP)
    stored.assert_close(both[:1] + 3.5 * (both[1:] - both[:1]), "noise_guided", golden.WHOLE_STEP)
