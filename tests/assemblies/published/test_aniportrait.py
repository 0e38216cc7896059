"""AniPortrait's pose guider in its published keys, with narrow attention; its numbers are in tests/parity."""

import json
from pathlib import Path

import pytest
import torch
from networks import make_unet
from torch import Tensor

from anifacediff.assemblies.published.aniportrait import (
    convert_aniportrait,
    convert_multilevel_pose_guider,
    pose_encoder_for,
)
from anifacediff.assemblies.published.folders import Architecture
from anifacediff.backbone.reference_net import ReferenceNet
from anifacediff.conditioning.multilevel_pose import MultiLevelPoseEncoder
from anifacediff.conditioning.pose_encoder import PoseEncoder
from anifacediff.errors import CheckpointError, InputError

GOLDEN = Path(__file__).parents[2] / "parity" / "data" / "aniportrait" / "pose_guider.json"
NARROW = {1408: 16, 5632: 64, 11264: 128}


@pytest.fixture
def weights() -> dict[str, Tensor]:
    described = json.loads(GOLDEN.read_text())
    shapes: dict[str, list[int]] = described["params"] | described["kept_buffers"]
    return {
        key.removeprefix("pose_guider."): torch.randn([NARROW.get(size, size) for size in shape])
        for key, shape in shapes.items()
    }


def convert(weights: dict[str, Tensor]) -> MultiLevelPoseEncoder:
    encoder = pose_encoder_for(weights)
    encoder.load_state_dict(dict(convert_multilevel_pose_guider(weights, encoder).tensors), assign=True)
    return encoder


def test_every_tensor_is_used(weights: dict[str, Tensor]):
    encoder = convert(weights)
    assert len(encoder.state_dict()) == len(weights)
    found = {
        "scale": encoder.scale,
        "final_proj.weight": encoder.conv_out.weight,
        "conv_layers.21.weight": encoder.get_parameter("stem.21.weight"),
        "conv_layers_4.1.running_var": encoder.get_buffer("steps.3.1.running_var"),
        "cross_attn1.proj_in.weight": encoder.get_parameter("attentions.0.proj_in.weight"),
    }
    for key, tensor in found.items():
        assert torch.equal(tensor, weights[key]), key
    assert not encoder.training


def test_a_guider_without_attention(weights: dict[str, Tensor]):
    bare = {key: tensor for key, tensor in weights.items() if not key.startswith("cross_attn")}
    assert len(convert(bare).attentions) == 0


def test_sizes_are_the_published_ones_where_the_file_has_them(weights: dict[str, Tensor]):
    assert len(pose_encoder_for(weights).attentions) == 4
    published = {"final_proj.weight": torch.zeros(320, 128, 1, 1)}
    assert pose_encoder_for(published).block_out_channels == (320, 640, 1280, 1280)


@pytest.mark.parametrize("key", ["conv_layers_2.3.weight", "scale", "cross_attn3.norm.bias"])
def test_missing_keys_are_listed(weights: dict[str, Tensor], key: str):
    encoder = pose_encoder_for(weights)
    del weights[key]
    with pytest.raises(CheckpointError, match=r"(?s)mine\.pth.*1 missing keys.*a pose guider of AniPortrait"):
        convert_multilevel_pose_guider(weights, encoder, source="mine.pth")


def test_extra_and_misshapen_keys_are_listed(weights: dict[str, Tensor]):
    encoder = pose_encoder_for(weights)
    with pytest.raises(CheckpointError, match=r"1 unexpected keys: cross_attn5\.norm\.weight"):
        convert_multilevel_pose_guider({**weights, "cross_attn5.norm.weight": torch.zeros(3)}, encoder)
    with pytest.raises(CheckpointError, match=r"1 mismatched keys: scale \(2,\) instead of \(1,\)"):
        convert_multilevel_pose_guider({**weights, "scale": torch.zeros(2)}, encoder)


def test_files_of_another_kind_are_named_for_what_they_are():
    with torch.device("meta"):
        theirs: dict[str, Tensor] = PoseEncoder().state_dict()
    motion = {"down_blocks.0.motion_modules.0.temporal_transformer.norm.weight": torch.zeros(3)}
    for found, look in (
        (theirs, r"14 unexpected keys: blocks\.0\.bias, .*a pose guider of Animate Anyone"),
        (motion, r"1 unexpected keys: down_blocks\..*motion modules"),
        ({}, r"93 missing keys: conv_out\.bias, "),
    ):
        with pytest.raises(CheckpointError, match=f"(?s){look}"):
            convert_multilevel_pose_guider(found, pose_encoder_for(found))


def tiny_files(folder: Path, guider: dict[str, Tensor]) -> dict[str, Path]:
    """AniPortrait's files for a tiny denoiser, in its own keys: the UNets' from the golden of one step."""
    described = json.loads((GOLDEN.parent / "step.json").read_text())
    shapes: dict[str, list[int]] = described["params"] | described["kept_buffers"]
    files: dict[str, Path] = {}
    for name in ("denoising_unet", "reference_unet"):
        prefix = f"{name}."
        unet = {key.removeprefix(prefix): torch.zeros(shapes[key]) for key in shapes if key.startswith(prefix)}
        torch.save(unet, path := folder / f"{name}.pth")
        files[name] = path
    torch.save(guider, path := folder / "pose_guider.pth")
    return {**files, "pose_guider": path}


def test_a_folder_that_diffusers_loads(weights: dict[str, Tensor], tmp_path: Path):
    weights = {key: tensor for key, tensor in weights.items() if not key.endswith("num_batches_tracked")}
    files = tiny_files(tmp_path, weights)
    config = make_unet(cross_attention_dim=32, attention_head_dim=4).config
    unused = convert_aniportrait(files, tmp_path / "out", architecture=Architecture(config, motion_heads=4))
    assert unused == {"unet": (), "reference_net": (), "pose_encoder": ()}
    loaded = MultiLevelPoseEncoder.from_pretrained(tmp_path / "out" / "pose_encoder")
    assert torch.equal(loaded.scale, weights["scale"])
    assert isinstance(ReferenceNet.from_pretrained(tmp_path / "out" / "reference_net"), ReferenceNet)
    assert (tmp_path / "out" / "unet" / "config.json").is_file()


def test_files_are_named_and_an_animate_anyone_guider_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="missing denoising_unet, pose_guider, reference_unet"):
        convert_aniportrait({}, tmp_path / "out")
    files = tiny_files(tmp_path, PoseEncoder(block_out_channels=(4, 8), out_channels=32).state_dict())
    config = make_unet(cross_attention_dim=32, attention_head_dim=4).config
    with pytest.raises(CheckpointError, match=r"(?s)pose_guider\.pth.*looks like a pose guider of Animate Anyone"):
        convert_aniportrait(files, tmp_path / "out", architecture=Architecture(config, motion_heads=4))
    assert not (tmp_path / "out").exists()
