"""Files of Animate Anyone's open code become weights of our components, or are named for what they look like."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import golden
import pytest
import torch
from diffusers import UNet2DConditionModel
from diffusers.loaders.single_file_utils import convert_animatediff_checkpoint_to_diffusers
from diffusers.models.attention import BasicTransformerBlock
from hypothesis import given, settings
from hypothesis import strategies as st
from test_animate_anyone import CONFIG
from torch import Tensor

from anifacediff.assemblies.published.conversion import ConvertedWeights, tensors_of
from anifacediff.assemblies.published.folders import STABLE_DIFFUSION_1_5, Architecture
from anifacediff.assemblies.published.moore import (
    MotionLayout,
    convert_denoising_unet,
    convert_moore,
    convert_motion_modules,
    convert_pose_guider,
    convert_reference_unet,
)
from anifacediff.backbone.reference_net import ReferenceNet
from anifacediff.backbone.temporal import TemporalModules
from anifacediff.checkpoint import load_strict
from anifacediff.conditioning.pose_encoder import PoseEncoder
from anifacediff.errors import AssetError, CheckpointError, InputError, OutputError

State = dict[str, Tensor]
SMALL = Architecture(CONFIG, motion_heads=4)


def table(frames: int, width: int) -> Tensor:
    """Sinusoids as AnimateDiff's code defines them, in float64: even columns sine, odd ones cosine."""
    places = torch.arange(frames, dtype=torch.float64)[:, None]
    speeds = torch.tensor([math.exp(-math.log(10000) * 2 * column / width) for column in range(width // 2)])
    waves = torch.stack([(places * speeds).sin(), (places * speeds).cos()], dim=-1)
    return waves.flatten(1)[None].float()


def published(prefix: str, name: str = "step") -> State:
    return golden.read(f"animate_anyone/{name}").weights(prefix)


UNET, REFERENCE = published("denoising_unet."), published("reference_unet.")
GUIDER = published("pose_guider.", "pose_guider")
DENOISER, WRITER, ENCODER = (
    SMALL.video_unet(max_frames=32, mid_block=True),
    ReferenceNet(**CONFIG),
    PoseEncoder(out_channels=32),
)
MOTION = {key: value for key, value in UNET.items() if "motion_modules" in key}
PLAIN = {key: value for key, value in UNET.items() if key not in MOTION}
TABLES: State = {
    key.replace("to_q.weight", "pos_encoder.pe"): table(32, value.shape[0])
    for key, value in MOTION.items()
    if key.endswith("to_q.weight")
}


def assert_same(actual: ConvertedWeights, expected: ConvertedWeights) -> None:
    assert actual.tensors.keys() == expected.tensors.keys()
    for key, tensor in actual.tensors.items():
        torch.testing.assert_close(tensor, expected.tensors[key], rtol=0, atol=2e-6 if key.endswith("pe") else 0)


def test_motion_modules_in_a_file_of_their_own_and_tables_in_it():
    whole = convert_denoising_unet(UNET, DENOISER)
    assert all(key.endswith("pos_embed.pe") for key in whole.filled)
    split = convert_denoising_unet(PLAIN, DENOISER, motion_module=MOTION | TABLES)
    assert_same(split, whole)
    assert (split.unused, split.filled) == ((), ())


def test_the_denoising_file_has_the_last_word():
    stale = {key: value + 1 for key, value in MOTION.items()}
    converted = convert_denoising_unet(UNET, DENOISER, motion_module=stale)
    assert_same(converted, convert_denoising_unet(UNET, DENOISER))
    assert converted.unused == tuple(f"motion_module: {key}" for key in MOTION)


def test_motion_modules_in_the_keys_of_animatediff_and_of_diffusers():
    unet = UNet2DConditionModel(**CONFIG)
    layout = MotionLayout.of(MOTION | TABLES)
    assert layout == MotionLayout(max_frames=32, mid_block=True)
    temporal = TemporalModules.for_unet(unet, heads=4, max_frames=32, mid_block=layout.mid_block)
    original = convert_motion_modules(MOTION | TABLES, temporal)
    theirs = convert_animatediff_checkpoint_to_diffusers(MOTION)
    assert original.tensors.keys() == temporal.state_dict().keys()
    assert all(torch.equal(original.tensors[key], value) for key, value in theirs.items())
    again = convert_motion_modules(dict(original.tensors), temporal)
    assert_same(again, original)
    assert MotionLayout.of(dict(original.tensors)) == layout


def test_modules_without_a_middle_and_with_a_shorter_table():
    third = {key: value[:, :24] if key.endswith("pe") else value for key, value in (MOTION | TABLES).items()}
    third = {key: value for key, value in third.items() if not key.startswith("mid_block")}
    layout = MotionLayout.of(third)
    assert layout == MotionLayout(max_frames=24, mid_block=False)
    temporal = TemporalModules.for_unet(UNet2DConditionModel(**CONFIG), heads=4, max_frames=24, mid_block=False)
    load_strict(temporal, convert_motion_modules(third, temporal).tensors, "third")


def test_a_reference_unet_with_and_without_its_last_layers():
    without = convert_reference_unet(REFERENCE, WRITER)
    assert set(without.filled) == {"conv_norm_out.weight", "conv_norm_out.bias", "conv_out.weight", "conv_out.bias"}
    assert not without.tensors["conv_out.weight"].any()
    with_layers = convert_reference_unet({**REFERENCE, **{key: PLAIN[key] for key in without.filled}}, WRITER)
    assert with_layers.filled == ()
    assert torch.equal(with_layers.tensors["conv_out.weight"], PLAIN["conv_out.weight"])


def test_what_is_filled_has_the_precision_of_the_file():
    halved = convert_reference_unet({key: value.half() for key, value in REFERENCE.items()}, WRITER)
    assert {tensor.dtype for tensor in halved.tensors.values()} == {torch.float16}


def test_a_network_of_stable_diffusions_size_has_its_number_of_weights():
    """Stable Diffusion 1.5's UNet has 859,520,964."""
    unet = STABLE_DIFFUSION_1_5.video_unet(max_frames=32, mid_block=True)
    plain = {key: value for key, value in unet.named_parameters() if "motion_modules" not in key}
    assert sum(value.numel() for value in plain.values()) == 859_520_964
    assert {value.device.type for value in plain.values()} == {"meta"}
    assert plain["mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight"].shape == (1280, 768)
    blocks = [module for module in unet.modules() if isinstance(module, BasicTransformerBlock)]
    assert {block.num_attention_heads for block in blocks} == {8}


FAULTS: dict[str, tuple[Callable[[], object], str]] = {
    "a reference UNet": (
        lambda: convert_denoising_unet(REFERENCE, DENOISER),
        r"a reference_unet \(without an output\)",
    ),
    "no motion modules": (lambda: convert_denoising_unet(PLAIN, DENOISER), "denoising_unet without motion modules"),
    "a pose guider": (lambda: convert_reference_unet(GUIDER, WRITER), "looks like a pose guider of Animate Anyone"),
    "a video UNet": (lambda: convert_pose_guider(UNET, ENCODER), "looks like a video UNet with motion modules"),
    "another UNet for motion": (
        lambda: convert_denoising_unet(PLAIN, DENOISER, motion_module=PLAIN),
        r"motion_module: holds \d+ keys that are of no motion module: conv_in.weight",
    ),
    "another size": (
        lambda: convert_pose_guider({**GUIDER, "conv_out.weight": torch.zeros(320, 256, 3, 3)}, ENCODER),
        r"1 mismatched keys: conv_out\.weight \(320, 256, 3, 3\) instead of \(32, 256, 3, 3\)",
    ),
    "a longer table": (
        lambda: convert_denoising_unet(
            UNET | {key: torch.zeros(1, 40, value.shape[2]) for key, value in TABLES.items()}, DENOISER
        ),
        r"pos_embed\.pe \(1, 40, 64\) instead of \(1, 32, 64\)",
    ),
    "tables that differ": (
        lambda: convert_denoising_unet(UNET | {**TABLES, next(iter(TABLES)): torch.zeros(1, 32, 32)}, DENOISER),
        r"two different tensors for down_blocks\.0\.motion_modules\.0\.transformer_blocks\.0\.pos_embed\.pe",
    ),
    "an empty file": (lambda: convert_pose_guider({}, ENCODER), "nothing that is known here"),
    "things that are no tensors": (
        lambda: tensors_of({"conv_in.weight": torch.zeros(1), "epoch": 3}, "guider.pth"),
        r"guider\.pth: holds something that is no tensor at epoch",
    ),
    "a state of another kind": (lambda: tensors_of({"state_dict": [1]}, "guider.pth"), "state_dict is a list"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_does_not_fit_is_named(fault: str):
    convert, message = FAULTS[fault]
    with pytest.raises(CheckpointError, match=message):
        convert()


@given(st.sampled_from(sorted(GUIDER)), st.booleans())
@settings(max_examples=8, deadline=None)
def test_any_key_missing_or_renamed_is_named(key: str, renamed: bool):
    state = {name: value for name, value in GUIDER.items() if name != key}
    if renamed:
        state[f"{key}s"] = GUIDER[key]
    with pytest.raises(CheckpointError) as caught:
        convert_pose_guider(state, ENCODER)
    assert f"missing keys: {key}" in str(caught.value)
    assert (f"unexpected keys: {key}s" in str(caught.value)) == renamed


def test_a_state_dictionary_is_found_in_what_training_leaves():
    left = {"state_dict": {f"module.{key}": value for key, value in GUIDER.items()}, "global_step": 47360}
    assert tensors_of(left, "guider.pth").keys() == GUIDER.keys()


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    states: dict[str, Any] = {
        "denoising_unet": PLAIN,
        "motion_module": {"state_dict": MOTION | TABLES},
        "reference_unet": REFERENCE,
        "pose_guider": GUIDER,
    }
    for name, state in states.items():
        torch.save(state, tmp_path / f"{name}.pth")
    return {name: tmp_path / f"{name}.pth" for name in states}


def test_files_become_a_folder(files: dict[str, Path], tmp_path: Path):
    folder = tmp_path / "made" / "moore"
    unused = convert_moore(files, folder, architecture=SMALL)
    assert unused == {"unet": (), "reference_net": (), "pose_encoder": ()}
    assert sorted(path.name for path in folder.iterdir()) == ["pose_encoder", "reference_net", "unet"]
    assert not list(folder.parent.glob(".*"))
    encoder = PoseEncoder.from_pretrained(folder / "pose_encoder")
    assert all(torch.equal(value, GUIDER[key]) for key, value in encoder.state_dict().items())
    network = ReferenceNet.from_pretrained(folder / "reference_net")
    assert torch.equal(network.state_dict()["conv_in.weight"], REFERENCE["conv_in.weight"])
    with pytest.raises(OutputError, match="exists already"):
        convert_moore(files, folder, architecture=SMALL)


def test_a_bad_file_leaves_nothing(files: dict[str, Path], tmp_path: Path):
    content = files["pose_guider"].read_bytes()
    files["pose_guider"].write_bytes(content[: len(content) // 2])
    with pytest.raises(AssetError, match=r"pose_guider\.pth"):
        convert_moore(files, tmp_path / "moore", architecture=SMALL)
    assert not (tmp_path / "moore").exists()
    assert not list(tmp_path.glob(".*"))
    with pytest.raises(CheckpointError, match=r"(?s)reference_unet\.pth.*not those of this component"):
        convert_moore(files | {"denoising_unet": files["reference_unet"]}, tmp_path / "moore", architecture=SMALL)
    with pytest.raises(InputError, match="missing pose_guider, unknown guider"):
        convert_moore(
            {name.removeprefix("pose_"): path for name, path in files.items()}, tmp_path / "moore", architecture=SMALL
        )
