import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, DPMSolverMultistepScheduler, EulerAncestralDiscreteScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor2_0
from safetensors.torch import load_file, save_file
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from anifacediff.assemblies.anifacediff import AniFaceDiffOutput, AniFaceDiffPipeline, UntrainedWarning
from anifacediff.assemblies.parts import widen_input
from anifacediff.backbone.temporal import TemporalModules
from anifacediff.errors import AttachmentError, CheckpointError, InputError, ShapeError
from anifacediff.geometry.faces import Box, FaceParameters, WeakPerspective

SIZE = 64
SAVED = Path(__file__).parent / "saved"
pytestmark = pytest.mark.filterwarnings("ignore::anifacediff.assemblies.anifacediff.UntrainedWarning")


@dataclass(frozen=True)
class Portrait:
    image: np.ndarray
    parameters: FaceParameters


@pytest.fixture(scope="module")
def pipe() -> AniFaceDiffPipeline:
    pipe = AniFaceDiffPipeline.untrained(image_size=SIZE)
    pipe.set_progress_bar_config(disable=True)
    return _stirred(pipe)


def _stirred(pipe: AniFaceDiffPipeline) -> AniFaceDiffPipeline:
    """Give the zero-initialised layers weights, so that every path matters."""
    torch.manual_seed(0)
    for part in (pipe.unet, pipe.pose_encoder, pipe.expression_adapter):
        for parameter in part.parameters():
            if not parameter.abs().max() > 0:
                torch.nn.init.normal_(parameter, std=0.3)
    return pipe


def faces(pipe: AniFaceDiffPipeline, frames: int) -> FaceParameters:
    model = pipe.alignment.morphable_model
    generator = torch.Generator().manual_seed(1)
    return FaceParameters(
        shape=torch.zeros(frames, model.num_shape),
        expression=torch.randn(frames, model.num_expression, generator=generator) * 0.5,
        pose=torch.randn(frames, len(model.joint_names), 3, generator=generator) * 0.1,
        camera=WeakPerspective(torch.full((frames,), 500.0), torch.full((frames, 2), 128.0)),
        box=Box(torch.tensor([[60.0, 60.0, 190.0, 190.0]]).expand(frames, 4)),
        canvas=(256, 256),
    )


@pytest.fixture(scope="module")
def reference(pipe: AniFaceDiffPipeline) -> Portrait:
    image = np.random.default_rng(0).integers(0, 255, (256, 256, 3), np.uint8)
    return Portrait(image, faces(pipe, 1))


def arrays(output: AniFaceDiffOutput) -> np.ndarray:
    return np.stack([np.asarray(frame) for frame in output.frames])


def generate(pipe: AniFaceDiffPipeline, reference: Portrait, frames: int = 6, **options: object) -> np.ndarray:
    return arrays(pipe(reference, faces(pipe, frames), num_inference_steps=2, **options))


def test_one_frame_for_each_driving_frame(pipe: AniFaceDiffPipeline, reference: Portrait):
    output = pipe(reference, faces(pipe, 6), num_inference_steps=2)
    assert [frame.size for frame in output.frames] == [(SIZE, SIZE)] * 6
    assert all(np.asarray(control).max() > 0 for control in output.control)


def test_the_same_seed_gives_the_same_video(pipe: AniFaceDiffPipeline, reference: Portrait):
    first = generate(pipe, reference, seed=3)
    assert np.array_equal(generate(pipe, reference, seed=3), first)
    assert not np.array_equal(generate(pipe, reference, seed=4), first)


def test_frames_leave_from_the_front(pipe: AniFaceDiffPipeline, reference: Portrait):
    evaluated: list[int] = []
    stream: Iterator[object] = iter(
        pipe.stream(
            reference,
            faces(pipe, 40),
            num_inference_steps=2,
            window_size=8,
            overlap=2,
            on_window=lambda done, total: evaluated.append(total),
        )
    )
    next(stream)
    assert len(evaluated) < evaluated[0] / 2
    assert 1 + sum(1 for _ in stream) == 40


def test_every_input_matters(pipe: AniFaceDiffPipeline, reference: Portrait):
    driving = faces(pipe, 4)
    base = arrays(pipe(reference, driving, num_inference_steps=2))
    other_image = Portrait(255 - reference.image, reference.parameters)
    pose = driving.pose.clone()
    pose[:, 0, 1] += 0.5
    expression = FaceParameters(
        driving.shape, driving.expression + 1, driving.pose, driving.camera, driving.box, driving.canvas
    )
    turned = FaceParameters(driving.shape, driving.expression, pose, driving.camera, driving.box, driving.canvas)
    for image, clip in ((other_image, driving), (reference, expression), (reference, turned)):
        assert not np.array_equal(arrays(pipe(image, clip, num_inference_steps=2)), base)


def test_long_clips_do_not_depend_on_the_order_of_windows(pipe: AniFaceDiffPipeline, reference: Portrait):
    """One window that wraps nothing: the closed loop of a short clip is the open order."""
    assert np.array_equal(
        generate(pipe, reference, window_size=6), generate(pipe, reference, window_size=6, closed_loop=True)
    )


def test_guidance(pipe: AniFaceDiffPipeline, reference: Portrait):
    plain = generate(pipe, reference)
    assert not np.array_equal(generate(pipe, reference, guidance_scale=3.5), plain)
    almost = generate(pipe, reference, guidance_scale=1 + 1e-6).astype(int)
    assert np.abs(almost - plain).max() <= 1, "guidance 1 is the conditional prediction"


@pytest.mark.parametrize("scheduler", [DPMSolverMultistepScheduler, EulerAncestralDiscreteScheduler])
def test_other_schedulers(pipe: AniFaceDiffPipeline, reference: Portrait, scheduler: type):
    before = pipe.scheduler
    pipe.scheduler = scheduler.from_config(before.config)
    try:
        assert generate(pipe, reference, 10, window_size=6, overlap=2).shape[0] == 10
    finally:
        pipe.scheduler = before


def test_short_clips_and_single_frames(pipe: AniFaceDiffPipeline, reference: Portrait):
    assert len(generate(pipe, reference, 1)) == 1
    assert len(generate(pipe, reference, 26)) == 26


def test_v1_concatenates_and_leaves_the_scale(reference: Portrait):
    pipe = AniFaceDiffPipeline.untrained(image_size=SIZE, preset="v1")
    assert pipe.unet.conv_in.in_channels == 8
    assert not pipe.alignment.align_scale
    assert len(generate(pipe, reference)) == 6


def test_untrained_parts_are_announced(pipe: AniFaceDiffPipeline, reference: Portrait):
    with pytest.warns(UntrainedWarning, match="vae, image_encoder, unet, pose_encoder"):
        generate(pipe, reference, 1)


def test_round_trip_is_bit_equal(pipe: AniFaceDiffPipeline, reference: Portrait, tmp_path: Path):
    expected = generate(pipe, reference, guidance_scale=2.0)
    pipe.save_pretrained(tmp_path)
    loaded = AniFaceDiffPipeline.from_pretrained(tmp_path)
    assert np.array_equal(generate(loaded, reference, guidance_scale=2.0), expected)
    assert loaded.untrained_parts == pipe.untrained_parts
    keys = load_file(tmp_path / "unet" / "diffusion_pytorch_model.safetensors").keys()
    assert not any("expression" in key or "pose" in key.replace("pos_embed", "") for key in keys)


def test_saved_folders_stay_loadable(pipe: AniFaceDiffPipeline, tmp_path: Path):
    """``saved`` holds the JSON files and the weights' names of a folder written when the format was fixed."""
    pipe.save_pretrained(tmp_path)
    for path in SAVED.rglob("*.json"):
        if path.name != "keys.json":
            shutil.copy(path, tmp_path / path.relative_to(SAVED))
    AniFaceDiffPipeline.from_pretrained(tmp_path)
    for component, expected in json.loads((SAVED / "keys.json").read_text()).items():
        weights = next((tmp_path / component).glob("*.safetensors"))
        assert sorted(load_file(weights)) == expected, component


@pytest.mark.parametrize("component", ["unet", "vae", "image_encoder", "pose_encoder"])
@pytest.mark.parametrize("damage", ["truncated", "missing", "a key too few", "no folder"])
def test_damaged_folders(pipe: AniFaceDiffPipeline, tmp_path: Path, component: str, damage: str):
    pipe.save_pretrained(tmp_path)
    weights = next((tmp_path / component).glob("*.safetensors"))
    if damage == "truncated":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif damage == "missing":
        weights.unlink()
    elif damage == "no folder":
        shutil.rmtree(tmp_path / component)
    else:
        tensors = load_file(weights)
        tensors.pop(sorted(tensors)[0])
        save_file(tensors, weights, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=component):
        AniFaceDiffPipeline.from_pretrained(tmp_path)


def test_bad_folders(pipe: AniFaceDiffPipeline, tmp_path: Path):
    with pytest.raises(CheckpointError, match="neither a folder here nor a model"):
        AniFaceDiffPipeline.from_pretrained(tmp_path / "nowhere" / "at" / "all")
    with pytest.raises(CheckpointError, match=r"model_index\.json"):
        AniFaceDiffPipeline.from_pretrained(tmp_path)
    (tmp_path / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    with pytest.raises(CheckpointError, match="made by StableDiffusionPipeline, not by AniFaceDiffPipeline"):
        AniFaceDiffPipeline.from_pretrained(tmp_path)


def test_a_scheduler_must_be_diffusers_own(pipe: AniFaceDiffPipeline, tmp_path: Path):
    pipe.save_pretrained(tmp_path)
    (tmp_path / "scheduler" / "scheduler_config.json").write_text('{"_class_name": "AutoencoderKL"}')
    with pytest.raises(CheckpointError, match="'AutoencoderKL' is no scheduler"):
        AniFaceDiffPipeline.from_pretrained(tmp_path)


def test_bad_options(pipe: AniFaceDiffPipeline, reference: Portrait):
    with pytest.raises(InputError, match="the clip has no frames"):
        pipe(reference, faces(pipe, 1)[:0])
    with pytest.raises(ShapeError, match="33 frames is longer than the 32 positions"):
        pipe(reference, faces(pipe, 40), window_size=33)
    with pytest.raises(InputError, match="expression coefficients"):
        _with_other_adapter(pipe)


def _with_other_adapter(pipe: AniFaceDiffPipeline) -> None:
    adapter = type(pipe.expression_adapter).for_unet(pipe.unet, expression_dim=7)
    AniFaceDiffPipeline(**{**pipe.components, "expression_adapter": adapter})


def test_a_replaced_processor_is_noticed(reference: Portrait):
    pipe = AniFaceDiffPipeline.untrained(image_size=SIZE)
    pipe.unet.set_attn_processor(AttnProcessor2_0())
    with pytest.raises(AttachmentError, match="was replaced"):
        generate(pipe, reference, 1)


def test_detach_gives_the_denoiser_back():
    pipe = AniFaceDiffPipeline.untrained(image_size=SIZE)
    pipe.detach()
    assert {type(processor).__module__.split(".")[0] for processor in pipe.unet.attn_processors.values()} == {
        "diffusers"
    }
    assert type(pipe.unet.conv_in) is torch.nn.Conv2d


def test_from_public_folders(reference: Portrait, tmp_path: Path):
    """The layout of Stable Diffusion 1.5, a motion adapter and a CLIP image encoder, with random weights."""
    unet = UNet2DConditionModel(
        block_out_channels=(32, 64),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=32,
        attention_head_dim=(2, 4),
    )
    unet.save_pretrained(tmp_path / "sd" / "unet")
    AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8, 8, 8, 8),
        norm_num_groups=8,
    ).save_pretrained(tmp_path / "sd" / "vae")
    TemporalModules.for_unet(unet, heads=4).save_pretrained(tmp_path / "motion")
    config = CLIPVisionConfig.from_dict(
        {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 16, "patch_size": 8}
    )
    config.projection_dim = 32
    CLIPVisionModelWithProjection(config).save_pretrained(tmp_path / "clip")
    pipe = AniFaceDiffPipeline.from_stable_diffusion(
        tmp_path / "sd", motion_adapter=tmp_path / "motion", image_encoder=tmp_path / "clip", image_size=SIZE
    )
    assert pipe.untrained_parts == ("pose_encoder", "expression_adapter", "reference_net")
    assert torch.equal(pipe.reference_net.conv_in.weight, unet.conv_in.weight)
    assert generate(pipe, reference).shape == (6, SIZE, SIZE, 3)


def test_widened_input_ignores_the_new_channels():
    unet = UNet2DConditionModel(
        block_out_channels=(32,), down_block_types=("DownBlock2D",), up_block_types=("UpBlock2D",), layers_per_block=1
    )
    sample, context = torch.randn(1, 4, 8, 8), torch.zeros(1, 1, 1280)
    wider = widen_input(unet, 2)
    output = wider(torch.cat([sample, torch.randn(1, 2, 8, 8)], 1), 3, context)[0]
    torch.testing.assert_close(output, unet(sample, 3, context)[0])
