import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderTiny,
    ConfigMixin,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    UNet2DConditionModel,
)
from diffusers.models.attention_processor import AttnProcessor2_0
from diffusers.models.unets.unet_motion_model import AnimateDiffTransformer3D, UNetMotionModel
from jaxtyping import TypeCheckError
from networks import make_unet
from portraits import Portrait, arrays, faces, portrait, stir
from safetensors.torch import load_file, save_file
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from anifacediff.assemblies.anifacediff import AniFaceDiffPipeline
from anifacediff.assemblies.exchange import UntrainedWarning
from anifacediff.assemblies.parts import small_parts, widen_input
from anifacediff.backbone.temporal import TemporalModules, frame_norm_groups
from anifacediff.conditioning.expression_adapter import ExpressionAdapter
from anifacediff.conditioning.facial_alignment import FacialAlignment
from anifacediff.conditioning.image_tokens import ImageTokens
from anifacediff.conditioning.pose_encoder import PoseEncoder
from anifacediff.errors import AttachmentError, CheckpointError, InputError, ShapeError
from anifacediff.registry import registry
from anifacediff.sampling.denoise import denoise_clip, stream_latents
from anifacediff.sampling.noise import FrameNoise
from anifacediff.sampling.windows import open_windows

SIZE = 64
SAVED = Path(__file__).parent / "saved"
pytestmark = pytest.mark.filterwarnings("ignore::anifacediff.assemblies.exchange.UntrainedWarning")


@pytest.fixture(scope="module")
def pipe() -> AniFaceDiffPipeline:
    pipe = AniFaceDiffPipeline.untrained(image_size=SIZE)
    pipe.set_progress_bar_config(disable=True)
    return _stirred(pipe)


def _stirred(pipe: AniFaceDiffPipeline) -> AniFaceDiffPipeline:
    stir(pipe)
    return pipe


@pytest.fixture(scope="module")
def reference(pipe: AniFaceDiffPipeline) -> Portrait:
    return portrait(pipe)


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


def test_gaze_and_eyelids_reach_an_adapter_that_was_made_for_them(reference: Portrait):
    parts = small_parts(seed=0, preset="final", image_size=SIZE, morphable_model="parametric")
    coefficients = registry.morphable_models["parametric"]().num_expression
    adapter = ExpressionAdapter.for_unet(parts.unet, expression_dim=coefficients + 2).eval()
    pipe = _stirred(AniFaceDiffPipeline(**vars(replace(parts, expression_adapter=adapter))))
    closed, opened = (replace(faces(pipe, 1), eyelids=torch.full((1, 2), lids)) for lids in (1.0, 0.0))
    first, second = (arrays(pipe(reference, driving, num_inference_steps=2)) for driving in (closed, opened))
    assert not np.array_equal(first, second)
    with pytest.raises(ShapeError, match=r"made for \d+ numbers a frame, found \d+ \(expression, gaze and eyelids"):
        pipe.stream(reference, faces(pipe, 1))


def test_from_zeros_the_seed_does_not_matter(pipe: AniFaceDiffPipeline, reference: Portrait):
    first = generate(pipe, reference, frames=2, start="zeros", seed=1)
    assert np.array_equal(first, generate(pipe, reference, frames=2, start="zeros", seed=2))
    assert not np.array_equal(first, generate(pipe, reference, frames=2, seed=1))


def test_reference_net_may_be_shown_where_the_face_is(reference: Portrait):
    def pipeline(reference_pose: bool) -> AniFaceDiffPipeline:
        pipe = AniFaceDiffPipeline.untrained(image_size=SIZE)
        pipe.detach()
        return _stirred(AniFaceDiffPipeline(**pipe.components, reference_pose=reference_pose))

    assert not np.array_equal(generate(pipeline(True), reference), generate(pipeline(False), reference))


@pytest.mark.parametrize(("planes", "body"), [((), ()), ((0.0, 1.0), ()), ((0.0,), (0.5,))])
def test_a_guided_pipeline_sees_where_the_reference_moves(
    reference: Portrait, tmp_path: Path, planes: tuple[float, ...], body: tuple[float, ...]
):
    bare = AniFaceDiffPipeline.untrained(image_size=SIZE)
    bare.detach()
    parts = bare.components
    options: dict[str, Any] = {"image_size": SIZE, "reference_warp": True}
    options |= {"reference_planes": planes, "reference_body_planes": body}
    guide, out = 9 + 4 * len(planes + body), 12 + 4 * len(planes + body)
    with pytest.raises(InputError, match=f"guide_channels={guide} and a denoiser with out_channels={out}, found 0 and"):
        AniFaceDiffPipeline(**parts, **options)
    parts["pose_encoder"] = PoseEncoder.for_unet(bare.unet, guide_channels=guide)
    parts["unet"] = UNetMotionModel.from_config({**bare.unet.config, "out_channels": out})
    pipe = _stirred(AniFaceDiffPipeline(**parts, **options))
    expected = generate(pipe, reference)
    assert np.array_equal(generate(pipe, reference, window_size=4, overlap=2).shape, expected.shape)
    pipe.save_pretrained(tmp_path)
    assert np.array_equal(generate(AniFaceDiffPipeline.from_pretrained(tmp_path), reference), expected)
    assert pipe.pose_encoder.guide_out is not None
    torch.nn.init.zeros_(pipe.pose_encoder.guide_out.weight)
    assert not np.array_equal(generate(pipe, reference), expected)


def test_planes_are_shown_beside_the_moved_reference_only():
    pipe = AniFaceDiffPipeline.untrained(image_size=SIZE)
    pipe.detach()
    with pytest.raises(InputError, match="set reference_warp, too"):
        AniFaceDiffPipeline(**pipe.components, reference_planes=(0.0,))
    with pytest.raises(InputError, match="set reference_warp, too"):
        AniFaceDiffPipeline(**pipe.components, reference_body_planes=(0.0,))


def test_frames_leave_from_the_front(pipe: AniFaceDiffPipeline, reference: Portrait):
    evaluated: list[int] = []

    def note(done: int, total: int) -> None:
        evaluated.append(total)

    stream: Iterator[object] = iter(
        pipe.stream(reference, faces(pipe, 40), num_inference_steps=2, window_size=8, overlap=2, on_window=note)
    )
    next(stream)
    assert len(evaluated) < evaluated[0] / 2
    assert 1 + sum(1 for _ in stream) == 40


def test_every_path_matters_alone(pipe: AniFaceDiffPipeline, reference: Portrait, monkeypatch: pytest.MonkeyPatch):
    def no_token(self: ImageTokens, images: object) -> torch.Tensor:
        return torch.zeros(1, 1, 32)

    def no_features(self: PoseEncoder, maps: torch.Tensor, guide: torch.Tensor | None = None) -> torch.Tensor:
        return torch.zeros(len(maps), 32, SIZE // 8, SIZE // 8)

    base = generate(pipe, reference)
    dark = Portrait(np.zeros_like(reference.image), reference.parameters)
    with monkeypatch.context() as patch:
        patch.setattr(ImageTokens, "forward", no_token)
        without_token = generate(pipe, reference)
        assert not np.array_equal(without_token, base), "CLIP token"
        assert not np.array_equal(generate(pipe, dark), without_token), "ReferenceNet"
    pipe.expression_adapter.scale = 0.0
    try:
        assert not np.array_equal(generate(pipe, reference), base), "Expression Adapter"
    finally:
        pipe.expression_adapter.scale = 1.0
    with monkeypatch.context() as patch:
        patch.setattr(PoseEncoder, "features", no_features)
        assert not np.array_equal(generate(pipe, reference), base), "Pose Encoder"


def test_streamed_equals_clip_wide(pipe: AniFaceDiffPipeline, reference: Portrait):
    """The skewed order of the windows against a whole step for all of them, on the real denoiser."""
    driving = faces(pipe, 100)
    clip = pipe.prepare(reference, driving, 2.0)
    windows, noise = open_windows(100, 24, 4), FrameNoise(0, (4, SIZE // 8, SIZE // 8))
    with torch.no_grad():
        streamed = torch.cat(list(stream_latents(clip, pipe.scheduler, windows=windows, noise=noise, num_steps=3)))
        clip_wide = denoise_clip(clip, pipe.scheduler, windows=windows, noise=noise, num_steps=3)
    assert torch.equal(streamed, clip_wide)
    assert len(streamed) == 100


def test_a_closed_loop_wraps_round(pipe: AniFaceDiffPipeline, reference: Portrait):
    open_order = generate(pipe, reference, 10, window_size=6, overlap=2)
    closed = generate(pipe, reference, 10, window_size=6, overlap=2, closed_loop=True)
    assert closed.shape == open_order.shape
    assert not np.array_equal(closed, open_order)
    one_window = generate(pipe, reference, window_size=6)
    assert np.array_equal(generate(pipe, reference, window_size=6, closed_loop=True), one_window)


def test_guidance_contrasts_two_evaluations(pipe: AniFaceDiffPipeline, reference: Portrait):
    driving = faces(pipe, 4)
    latents, timestep, frames = torch.randn(4, 4, SIZE // 8, SIZE // 8), torch.tensor(500), range(4)
    given = pipe.prepare(reference, driving, 1.0)
    guided = pipe.prepare(reference, driving, 3.5)
    pose = {"pose_features": guided._pose_features(frames)[0]}
    nothing = torch.zeros(4, 1, 32)
    with torch.no_grad():
        without = pipe.unet(latents.transpose(0, 1)[None], timestep, nothing, cross_attention_kwargs=pose)[0][0]
    without = without.transpose(0, 1)
    expected = without + 3.5 * (given(latents, timestep, frames) - without)
    torch.testing.assert_close(guided(latents, timestep, frames), expected, rtol=1e-4, atol=1e-5)


def test_conditions_are_held_for_the_frames_in_flight_only(pipe: AniFaceDiffPipeline, reference: Portrait):
    held: list[int] = []
    clip = pipe.prepare(reference, faces(pipe, 60), 1.0)
    noise = FrameNoise(0, (4, SIZE // 8, SIZE // 8))
    latents = stream_latents(clip, pipe.scheduler, windows=open_windows(60, 6, 2), noise=noise, num_steps=3)
    for _ in pipe.finish(latents, clip):
        held.append(len(clip.pose_features))
    assert max(held) <= 3 * 4 + 6
    assert not len(clip.pose_features)


@pytest.mark.parametrize("scheduler", [DPMSolverMultistepScheduler, EulerAncestralDiscreteScheduler])
def test_other_schedulers(pipe: AniFaceDiffPipeline, reference: Portrait, scheduler: type):
    before = pipe.scheduler
    assert isinstance(before, ConfigMixin)
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
    assert isinstance(pipe.alignment, FacialAlignment)
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


def test_a_pipeline_can_be_saved_over_the_files_that_it_was_loaded_from(
    pipe: AniFaceDiffPipeline, reference: Portrait, tmp_path: Path
):
    pipe.save_pretrained(tmp_path)
    loaded = AniFaceDiffPipeline.from_pretrained(tmp_path)
    loaded.save_pretrained(tmp_path)
    assert np.array_equal(generate(loaded, reference, 2), generate(pipe, reference, 2))


@pytest.mark.parametrize("frame_norm_groups", [None, 8])
def test_round_trip_of_every_setting(reference: Portrait, tmp_path: Path, frame_norm_groups: int | None):
    parts = small_parts(seed=0, preset="final", image_size=SIZE, morphable_model="parametric")
    settings: dict[str, Any] = vars(parts) | {"frame_norm_groups": frame_norm_groups, "align_scale": False}
    if frame_norm_groups is None:
        normalise_as_stock(parts.unet)
    pipe = AniFaceDiffPipeline(
        **settings, align_shape=False, anchor="reference", convention="deca", rasterizer="anifacediff/span"
    )
    expected = generate(_stirred(pipe), reference)
    pipe.save_pretrained(tmp_path)
    loaded = AniFaceDiffPipeline.from_pretrained(tmp_path)
    assert np.array_equal(generate(loaded, reference), expected)
    for name in ("align_shape", "align_scale", "anchor", "convention", "rasterizer", "frame_norm_groups"):
        assert loaded.config[name] == pipe.config[name], name


def normalise_as_stock(unet: UNetMotionModel) -> None:
    for module in unet.modules():
        if isinstance(module, AnimateDiffTransformer3D):
            stock = torch.nn.GroupNorm(32, module.norm.num_channels, eps=1e-6)
            stock.load_state_dict(module.norm.state_dict())
            module.norm = stock


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
    with pytest.raises(CheckpointError, match="there is no such folder, and it is no name of a Hub model"):
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


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("model_index.json", "[]"),
        ("model_index.json", "extra"),
        ("model_index.json", '"image_size": "64"'),
        ("expression_adapter/config.json", "{}"),
        ("scheduler/scheduler_config.json", "[]"),
        ("scheduler/scheduler_config.json", '"beta_schedule": "none such"'),
        ("scheduler/scheduler_config.json", '"_class_name": "FlowMatchEulerDiscreteScheduler"'),
    ],
)
def test_malformed_json(pipe: AniFaceDiffPipeline, tmp_path: Path, file: str, content: str):
    pipe.save_pretrained(tmp_path)
    path = tmp_path / file
    if content == "extra":
        content = '"somebody": "else"'
    if content.startswith('"'):
        path.write_text(json.dumps(json.loads(path.read_text()) | json.loads(f"{{{content}}}")))
    else:
        path.write_text(content)
    with pytest.raises(CheckpointError, match=file.split("/")[0].removesuffix(".json")):
        AniFaceDiffPipeline.from_pretrained(tmp_path)


def test_bad_options(pipe: AniFaceDiffPipeline, reference: Portrait):
    with pytest.raises(InputError, match="start: expected one of noise, shared, zeros, found 'ones'"):
        generate(pipe, reference, start="ones")
    with pytest.raises(InputError, match="the clip has no frames"):
        pipe(reference, faces(pipe, 1)[:0])
    with pytest.raises(ShapeError, match="33 frames is longer than the 32 positions"):
        pipe(reference, faces(pipe, 40), window_size=33)
    with pytest.raises(InputError, match="size"):
        pipe(reference, faces(pipe, 4), window_size=0)
    assert len(generate(pipe, reference, 3, window_size=2)) == 3
    with pytest.raises(InputError, match="image_size: must be a multiple of the VAE's 8 pixels, found 100"):
        AniFaceDiffPipeline.untrained(image_size=100)


@pytest.mark.parametrize("shape", [(64, 64), (64, 64, 4), (64, 32, 3), (0, 0, 3)])
def test_bad_reference_images(pipe: AniFaceDiffPipeline, reference: Portrait, shape: tuple[int, ...]):
    bad = Portrait(np.zeros(shape, np.uint8), reference.parameters)
    with pytest.raises((ShapeError, TypeCheckError), match="image"):
        pipe(bad, faces(pipe, 1))


def test_a_constructor_that_fails_leaves_the_denoiser_as_it_was():
    parts = small_parts(seed=0, preset="final", image_size=SIZE, morphable_model="parametric")
    adapter = ExpressionAdapter.for_unet(
        make_unet(block_out_channels=(32, 32)), expression_dim=parts.expression_adapter.expression_dim
    )
    before = dict(parts.unet.attn_processors)
    with pytest.raises(AttachmentError, match="other cross-attention layers"):
        AniFaceDiffPipeline(**vars(replace(parts, expression_adapter=adapter, frame_norm_groups=8)))
    assert type(parts.unet.conv_in) is torch.nn.Conv2d
    assert all(parts.unet.attn_processors[name] is processor for name, processor in before.items())
    assert frame_norm_groups(parts.unet) == 32
    with pytest.raises(InputError, match="made for 7 expression coefficients"):
        AniFaceDiffPipeline(
            **vars(replace(parts, expression_adapter=ExpressionAdapter.for_unet(parts.unet, expression_dim=7)))
        )


def test_a_replaced_processor_is_noticed(reference: Portrait):
    pipe = AniFaceDiffPipeline.untrained(image_size=SIZE)
    pipe.unet.set_attn_processor(AttnProcessor2_0())
    with pytest.raises(AttachmentError, match="was replaced"):
        generate(pipe, reference, 1)


def test_detach_gives_the_denoiser_back():
    parts = small_parts(seed=0, preset="final", image_size=SIZE, morphable_model="parametric")
    normalise_as_stock(parts.unet)
    sample, context = torch.randn(1, 4, 3, 8, 8), torch.randn(3, 1, 32)
    before, output = dict(parts.unet.attn_processors), parts.unet(sample, 5, context)[0]
    pipe = AniFaceDiffPipeline(**vars(parts))
    pipe.detach()
    assert all(parts.unet.attn_processors[name] is processor for name, processor in before.items())
    assert torch.equal(parts.unet(sample, 5, context)[0], output)


def test_from_public_folders(reference: Portrait, tmp_path: Path):
    """The layout of Stable Diffusion 1.5, a motion adapter and a CLIP image encoder, with random weights."""
    unet = UNet2DConditionModel(
        block_out_channels=(32, 64),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=32,
        attention_head_dim=(2, 4),  # pyright: ignore[reportArgumentType]
    )
    unet.save_pretrained(tmp_path / "sd" / "unet")
    AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,  # pyright: ignore[reportArgumentType]
        up_block_types=("UpDecoderBlock2D",) * 4,  # pyright: ignore[reportArgumentType]
        block_out_channels=(8, 8, 8, 8),  # pyright: ignore[reportArgumentType]
        norm_num_groups=8,
    ).save_pretrained(tmp_path / "sd" / "vae")
    TemporalModules.for_unet(unet, heads=4).save_pretrained(tmp_path / "motion")
    config = CLIPVisionConfig.from_dict(
        {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 16, "patch_size": 8}
    )
    config.projection_dim = 32
    encoder = CLIPVisionModelWithProjection(config)
    encoder.save_pretrained(tmp_path / "clip")
    whole = tmp_path / "clip" / "model.safetensors"
    # A whole CLIP checkpoint holds its text half too.
    save_file(load_file(whole) | {"text_model.final_layer_norm.bias": torch.zeros(4)}, whole, metadata={"format": "pt"})
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


def test_a_tiny_autoencoder_may_stand_in():
    pipe = AniFaceDiffPipeline.untrained(image_size=SIZE)
    pipe.set_progress_bar_config(disable=True)
    own = arrays(pipe(portrait(pipe), faces(pipe, 2), num_inference_steps=1))
    torch.manual_seed(0)
    pipe.register_modules(vae=AutoencoderTiny(encoder_block_out_channels=(8,) * 4, decoder_block_out_channels=(8,) * 4))
    tiny = arrays(pipe(portrait(pipe), faces(pipe, 2), num_inference_steps=1))
    assert tiny.shape == own.shape
    assert not np.array_equal(tiny, own)
