"""Our geometric guidance on MagicPortrait's weights gives MagicPortrait's features."""

import golden
import pytest
import torch
from torch import Tensor

from anifacediff.assemblies.published.magicportrait import GUIDANCE_FILES, convert_guidance_encoders
from anifacediff.checkpoint import load_strict
from anifacediff.conditioning.geometric_guidance import GUIDANCE_MAPS, GeometricGuidanceEncoder, MapName

STORED = {"depth": "depth", "normal": "normal", "shaded": "render"}


def encoder_of(stored: golden.Golden, *maps: MapName) -> GeometricGuidanceEncoder:
    encoder = GeometricGuidanceEncoder(maps=maps, out_channels=32)
    weights = {GUIDANCE_FILES[name]: stored.weights(f"{GUIDANCE_FILES[name]}.") for name in maps}
    converted = convert_guidance_encoders(weights, encoder)
    load_strict(encoder, converted.tensors, "converted")
    assert len(converted.tensors) + len(converted.unused) == sum(map(len, weights.values()))
    assert all("attentions." in key or "guidance_attention." in key for key in converted.unused)
    return encoder


def maps_of(stored: golden.Golden, *maps: MapName) -> Tensor:
    return torch.cat([stored.arrays[f"{STORED[name]}_input"][0].transpose(0, 1) for name in maps], 1)


@pytest.mark.parametrize("name", GUIDANCE_MAPS)
@torch.no_grad()
def test_one_map(name: MapName):
    stored = golden.read("magicportrait/guidance_encoder")
    features = encoder_of(stored, name).features(maps_of(stored, name))
    stored.assert_close(features.transpose(0, 1)[None], f"{STORED[name]}_output", golden.SINGLE_MODULE)


@torch.no_grad()
def test_the_sum_of_three():
    stored = golden.read("magicportrait/guidance_encoder")
    encoder = encoder_of(stored, *GUIDANCE_MAPS)
    features = encoder(maps_of(stored, *GUIDANCE_MAPS))["pose_features"]
    stored.assert_close(features.transpose(0, 1)[None], "sum_output", golden.SINGLE_MODULE)
    used = sum(parameter.numel() for parameter in encoder.parameters())
    assert used == 3 * 1606896, "as many as influence the published outputs"
