"""MIMAFace's files become weights of ours, or are named for what they look like."""

from collections.abc import Callable
from pathlib import Path

import golden
import pytest
import torch
from diffusers import UNetMotionModel
from safetensors.torch import save_file
from test_mimaface_step import SMALL, published
from torch import Tensor

from anifacediff.assemblies.published.mimaface import (
    MIMAFACE,
    convert_denoiser,
    convert_mimaface,
    convert_modulation,
)
from anifacediff.assemblies.published.moore import MotionLayout
from anifacediff.checkpoint import load_strict
from anifacediff.conditioning.motion_identity import MotionIdentityModulation
from anifacediff.errors import AssetError, CheckpointError, InputError

State = dict[str, Tensor]
IMAGE, VIDEO = published()
DENOISER = SMALL.video_unet(max_frames=32, mid_block=False)
NORM = "motion_modules.0.temporal_transformer.norm.bias"
WIDTH, SIZES = 8, {"clip": 5, "arcface": 6, "gaze": 4, "exp": 3, "tex": 2, "gamma": 7, "angles": 3, "translation": 3}


def mim(blocks: int = 2) -> State:
    """A small ``mim.pth``."""
    described = golden.read("mimaface/mim").shapes
    shapes = {name.removeprefix("mim."): shape for name, shape in described.items()}
    state: State = {}
    for name, shape in shapes.items():
        narrow = [size // 96 for size in shape]
        if name.startswith("transform_dim_") and name.endswith("weight"):
            narrow[1] = SIZES[name.removeprefix("transform_dim_").removesuffix(".weight")]
        if "resblocks" not in name or int(name.split(".")[2]) < blocks:
            state[name] = torch.randn(narrow)
    return state


def modulation() -> MotionIdentityModulation:
    sizes = {"identity": 6, "gaze": 4, "expression": 3, "texture": 2, "illumination": 7, "angles": 3, "translation": 3}
    return MotionIdentityModulation(sizes=sizes, image_dim=5, width=WIDTH, layers=2)


def test_a_small_modulation_is_loaded_with_nothing_left_over():
    model = modulation()
    state = mim()
    converted = convert_modulation(state, model)
    load_strict(model, converted.tensors, "mim")
    assert converted.unused == ()
    assert torch.equal(model.state_dict()["projections.expression.weight"], state["transform_dim_exp.weight"])
    assert torch.equal(model.state_dict()["projections.illumination.weight"], state["transform_dim_gamma.weight"])


def test_what_the_published_code_does_not_use_is_named():
    converted = convert_denoiser(IMAGE, VIDEO, DENOISER)
    left = {f"3dunet.pth: {key}" for key in VIDEO if "motion_modules" not in key and not key.startswith("conv_in.")}
    assert set(converted.unused) == left | {"unet.pth: conv_in.weight", "unet.pth: conv_in.bias"}
    assert torch.equal(converted.tensors["conv_in.weight"], VIDEO["conv_in.weight"])
    assert torch.equal(converted.tensors["conv_out.weight"], IMAGE["conv_out.weight"])
    assert all(key.endswith("pos_embed.pe") for key in converted.filled)


@pytest.mark.parametrize("name", ["unet.pth", "diffusion_pytorch_model.safetensors"])
def test_files_as_published_become_folders(tmp_path: Path, name: str):
    files = {"unet": tmp_path / name, "3dunet": tmp_path / "3dunet.pth", "mim": tmp_path / "mim.pth"}
    save_file(IMAGE, files["unet"]) if files["unet"].suffix == ".safetensors" else torch.save(IMAGE, files["unet"])
    torch.save({f"module.{key}": value for key, value in VIDEO.items()}, files["3dunet"])
    with pytest.raises(AssetError, match=r"mim\.pth"):
        convert_mimaface(files, tmp_path / "out", architecture=SMALL)
    torch.save(mim(), files["mim"])
    unused = convert_mimaface(files, tmp_path / "out", architecture=SMALL)
    assert unused["modulation"] == ()
    assert "3dunet.pth: conv_out.weight" in unused["unet"]
    denoiser = UNetMotionModel.from_pretrained(tmp_path / "out" / "unet")
    expected = convert_denoiser(IMAGE, VIDEO, DENOISER).tensors
    assert all(torch.equal(value, expected[key]) for key, value in denoiser.state_dict().items())
    model = MotionIdentityModulation.from_pretrained(tmp_path / "out" / "modulation")
    assert model.average_over_clip
    assert len(model.blocks) == 2


def without(state: State, key: str) -> State:
    return {name: value for name, value in state.items() if name != key}


FAULTS: dict[str, tuple[Callable[[], object], str]] = {
    "swapped": (
        lambda: convert_denoiser(VIDEO, IMAGE, DENOISER),
        r"3dunet\.pth: holds no motion modules.*looks like a UNet of Stable Diffusion",
    ),
    "video twice": (
        lambda: convert_denoiser(VIDEO, VIDEO, DENOISER),
        r"unet\.pth: holds motion modules.*looks like a video UNet",
    ),
    "mim for 3dunet": (lambda: convert_denoiser(IMAGE, mim(), DENOISER), r"looks like .*mim\.pth"),
    "unet for mim": (lambda: convert_modulation(IMAGE, modulation()), "looks like a UNet of Stable Diffusion"),
    "empty": (lambda: convert_modulation({}, modulation()), r"(?s)mim\.pth.*looks like nothing"),
    "missing": (
        lambda: convert_denoiser(without(IMAGE, "conv_out.bias"), VIDEO, DENOISER),
        "1 missing keys: conv_out.bias",
    ),
    "left over": (
        lambda: convert_modulation({**mim(), "transform_dim_mouth.weight": torch.zeros(1)}, modulation()),
        "1 unexpected keys: transform_dim_mouth.weight",
    ),
    "a block too many": (
        lambda: convert_modulation(mim(3), modulation()),
        r"12 unexpected keys: mapper\.resblocks\.2\.attn\.c_proj\.bias",
    ),
    "a mid-block module": (
        lambda: convert_denoiser(IMAGE, {**VIDEO, f"mid_block.{NORM}": torch.zeros(1)}, DENOISER),
        f"1 unexpected keys: mid_block.{NORM}",
    ),
    "misshapen": (
        lambda: convert_denoiser(IMAGE, {**VIDEO, "conv_in.weight": torch.zeros(32, 8, 3, 3)}, DENOISER),
        r"conv_in\.weight \(32, 8, 3, 3\) instead of \(32, 13, 3, 3\)",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_does_not_fit_is_named(fault: str):
    convert, message = FAULTS[fault]
    with pytest.raises(CheckpointError, match=message):
        convert()


def test_a_file_that_is_not_named_is_asked_for(tmp_path: Path):
    with pytest.raises(InputError, match="missing 3dunet, mim"):
        convert_mimaface({"unet": tmp_path / "unet.pth"}, tmp_path / "out")


def test_the_denoiser_is_of_stable_diffusions_size():
    denoiser = MIMAFACE.video_unet(max_frames=None, mid_block=False)
    assert denoiser.conv_in.weight.shape == (320, 13, 3, 3)
    assert MotionLayout.of(denoiser.state_dict()) == MotionLayout(max_frames=32, mid_block=False)
