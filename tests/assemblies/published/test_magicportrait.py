"""MagicPortrait's files become a folder of ours that gives MagicPortrait's numbers."""

from pathlib import Path

import golden
import pytest
import torch
from diffusers import UNetMotionModel
from test_animate_anyone import CONFIG

from anifacediff.assemblies.published.folders import Architecture
from anifacediff.assemblies.published.magicportrait import (
    GUIDANCE_FILES,
    convert_guidance_encoders,
    convert_magicportrait,
)
from anifacediff.backbone.reference_net import ReferenceNet
from anifacediff.backbone.temporal import normalise_per_frame
from anifacediff.checkpoint import load_pretrained
from anifacediff.conditioning.geometric_guidance import GeometricGuidanceEncoder
from anifacediff.errors import CheckpointError, InputError

STEP, GUIDANCE = golden.read("magicportrait/step"), golden.read("magicportrait/guidance_encoder")
DEPTH = GUIDANCE.weights("guidance_encoder_depth.")


@torch.no_grad()
def test_files_become_a_folder_that_gives_the_published_numbers(tmp_path: Path):
    files = {name: tmp_path / f"{name}.pth" for name in ("denoising_unet", "reference_unet", *GUIDANCE_FILES.values())}
    for name, path in files.items():
        torch.save((GUIDANCE if "guidance" in name else STEP).weights(f"{name}."), path)
    unused = convert_magicportrait(files, tmp_path / "made", architecture=Architecture(CONFIG, motion_heads=4))
    assert unused["unet"] == unused["reference_net"] == ()
    assert len(unused["guidance_encoder"]) == 3 * 6 * 19  # attentions 0 to 4 and guidance_attention, of each map
    assert "guidance_encoder_render: guidance_attention.norm.weight" in unused["guidance_encoder"]

    encoder = GeometricGuidanceEncoder.from_pretrained(tmp_path / "made" / "guidance_encoder")
    reference_net = ReferenceNet.from_pretrained(tmp_path / "made" / "reference_net")
    unet = load_pretrained(UNetMotionModel, tmp_path / "made" / "unet")
    normalise_per_frame(unet, 32)
    maps = [GUIDANCE.arrays[f"{name}_input"][0].transpose(0, 1) for name in ("depth", "normal", "render")]
    latents, text = STEP.arrays["ref_latent"], STEP.arrays["text"]
    with reference_net.attach(unet), encoder.attach(unet):
        condition = {**encoder(torch.cat(maps, 1)), **reference_net.read(latents, text, unet)}
        noise = unet(STEP.arrays["latent"], 500, text.expand(4, -1, -1), cross_attention_kwargs=condition)[0]
    STEP.assert_close(noise, "noise", golden.WHOLE_STEP)


def test_faults_are_named():
    encoder = GeometricGuidanceEncoder(maps=("depth",), out_channels=32)
    attention = "attentions.5.proj_in.bias"
    missing = {key: value for key, value in DEPTH.items() if key != attention}
    with pytest.raises(CheckpointError, match=r"(?s)guidance_encoder_depth.*1 missing keys: attention\.proj_in\.bias"):
        convert_guidance_encoders({"guidance_encoder_depth": missing}, encoder)
    beyond = {**DEPTH, "attentions.6.norm.bias": torch.zeros(1), "blocks.6.weight": torch.zeros(1)}
    with pytest.raises(
        CheckpointError, match=r"(?s)2 unexpected keys: attentions\.6.*blocks\.6.*a guidance encoder of MagicPortrait"
    ):
        convert_guidance_encoders({"guidance_encoder_depth": beyond}, encoder)
    guider = {key: value for key, value in DEPTH.items() if "attention" not in key}
    with pytest.raises(CheckpointError, match="looks like a pose guider of Animate Anyone"):
        convert_guidance_encoders({"guidance_encoder_depth": guider}, encoder)
    with pytest.raises(InputError, match="missing guidance_encoder_depth, unknown guidance_encoder_normal"):
        convert_guidance_encoders({"guidance_encoder_normal": DEPTH}, encoder)


def test_every_tensor_is_converted_or_named():
    converted = convert_guidance_encoders(
        {"guidance_encoder_depth": DEPTH}, GeometricGuidanceEncoder(maps=("depth",), out_channels=32)
    )
    named = {key.removeprefix("guidance_encoder_depth: ") for key in converted.unused}
    used = {key.removeprefix("encoders.depth.").replace("attention.", "attentions.5.") for key in converted.tensors}
    assert named | used == DEPTH.keys()
    assert not named & used
