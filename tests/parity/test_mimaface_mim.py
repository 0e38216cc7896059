"""MIMAFace's modulation, converted from its own keys, gives MIMAFace's tokens."""

import golden
import pytest
import torch

from anifacediff.assemblies.published.mimaface import convert_modulation
from anifacediff.checkpoint import load_strict
from anifacediff.conditioning.motion_identity import MotionIdentity, MotionIdentityModulation

EMBEDS = {
    "identity": "arcface",
    "gaze": "gaze",
    "expression": "exp",
    "texture": "tex",
    "illumination": "gamma",
    "angles": "angles",
    "translation": "translation",
}


@torch.no_grad()
@pytest.mark.parametrize(("average", "name"), [(False, "tokens"), (True, "tokens_mean_over_frames")])
def test_tokens(average: bool, name: str):
    stored = golden.read("mimaface/mim")
    model = MotionIdentityModulation(average_over_clip=average)
    load_strict(model, convert_modulation(stored.weights("mim."), model).tensors, "mim")
    given = MotionIdentity(**{ours: stored.arrays[f"{theirs}_embeds"] for ours, theirs in EMBEDS.items()})
    tokens = model(stored.arrays["object_embeds"][0], given)
    assert not average or torch.equal(tokens[0], tokens[2])
    stored.assert_close(tokens[: len(stored.arrays[name])], name, golden.SINGLE_MODULE)
