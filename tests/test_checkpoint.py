from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, UNetMotionModel
from safetensors.torch import load_file, save_file
from torch import nn

from anifacediff.checkpoint import load_pretrained, load_strict, read_weights, unmap
from anifacediff.conditioning.pose_encoder import PoseEncoder
from anifacediff.errors import CheckpointError

WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    PoseEncoder(block_out_channels=(4, 4), out_channels=4).save_pretrained(tmp_path)
    return tmp_path


def test_loaded_weights_are_aligned_and_equal(saved: Path):
    loaded = PoseEncoder.from_pretrained(saved)
    stored = load_file(saved / WEIGHTS)
    for name, weight in loaded.state_dict().items():
        assert torch.equal(weight, stored[name])
        assert weight.data_ptr() % 64 == 0


MAPPINGS = Path("/proc/self/maps")


@pytest.fixture
def saved_video_unet(tmp_path: Path) -> Path:
    """It has buffers that are views of others when they are loaded."""
    unet = UNetMotionModel(
        block_out_channels=(8,),
        down_block_types=("DownBlockMotion",),
        up_block_types=("UpBlockMotion",),
        layers_per_block=1,
        norm_num_groups=4,
        motion_num_attention_heads=2,
    )
    unet.save_pretrained(tmp_path)
    return tmp_path


@pytest.mark.skipif(not MAPPINGS.exists(), reason="the system does not list a process's mapped files")
def test_weights_leave_their_file_when_they_are_told_to(saved_video_unet: Path):
    loaded = load_pretrained(UNetMotionModel, saved_video_unet, mapped=True)
    assert str(saved_video_unet) in MAPPINGS.read_text()
    stored = {name: weight.clone() for name, weight in loaded.state_dict().items()}
    assert unmap(loaded) is loaded
    assert str(saved_video_unet) not in MAPPINGS.read_text()
    for name, weight in loaded.state_dict().items():
        assert torch.equal(weight, stored[name])
        assert weight.data_ptr() % 64 == 0


def test_weights_in_memory_of_their_own_stay_where_they_are(saved: Path):
    loaded = PoseEncoder.from_pretrained(saved)
    before = [weight.data_ptr() for weight in loaded.parameters()]
    assert [weight.data_ptr() for weight in unmap(loaded).parameters()] == before


@pytest.mark.parametrize("change", ["missing", "unexpected", "misshapen"])
def test_keys_that_do_not_fit(saved: Path, change: str):
    weights = load_file(saved / WEIGHTS)
    if change == "missing":
        del weights["conv_in.bias"]
    elif change == "unexpected":
        weights["somebody.else"] = torch.zeros(1)
    else:
        weights["conv_in.bias"] = torch.zeros(5)
    save_file(weights, saved / WEIGHTS)
    with pytest.raises(CheckpointError, match="somebody.else" if change == "unexpected" else "conv_in.bias"):
        PoseEncoder.from_pretrained(saved)


def test_a_truncated_file(saved: Path):
    file = saved / WEIGHTS
    file.write_bytes(file.read_bytes()[:-50])
    with pytest.raises(CheckpointError, match="Cannot load"):
        PoseEncoder.from_pretrained(saved)
    with pytest.raises(CheckpointError, match="truncated"):
        read_weights(file)


def test_a_missing_file(saved: Path):
    (saved / WEIGHTS).unlink()
    with pytest.raises(CheckpointError, match="Cannot load"):
        PoseEncoder.from_pretrained(saved)
    with pytest.raises(CheckpointError, match="no such file"):
        read_weights(saved / WEIGHTS)


def test_pickles_are_not_read(saved: Path):
    weights = load_file(saved / WEIGHTS)
    (saved / WEIGHTS).unlink()
    torch.save(weights, saved / "diffusion_pytorch_model.bin")
    with pytest.raises(CheckpointError):
        PoseEncoder.from_pretrained(saved)


def test_stock_models_are_loaded_strictly_too(tmp_path: Path):
    AutoencoderKL(block_out_channels=(4,), norm_num_groups=2, layers_per_block=1).save_pretrained(tmp_path)
    load_pretrained(AutoencoderKL, tmp_path)
    weights = load_file(tmp_path / WEIGHTS)
    weights.pop("encoder.conv_in.bias")
    save_file(weights, tmp_path / WEIGHTS)
    with pytest.raises(CheckpointError, match=r"1 missing keys: encoder.conv_in.bias"):
        load_pretrained(AutoencoderKL, tmp_path)


def test_load_strict_changes_nothing_on_error():
    module = nn.Linear(2, 2)
    before = module.weight.clone()
    with pytest.raises(
        CheckpointError,
        match=r"(?s)here.*1 missing keys: bias.*1 unexpected keys: other.*weight \(1, 2\) instead of \(2, 2\)",
    ):
        load_strict(module, {"weight": torch.zeros(1, 2), "other": torch.zeros(1)}, "here")
    assert torch.equal(module.weight, before)


def test_read_weights_of_another_format(tmp_path: Path):
    (tmp_path / "x.safetensors").write_bytes(b"not safetensors at all")
    with pytest.raises(CheckpointError, match="not a readable safetensors file"):
        read_weights(tmp_path / "x.safetensors")
