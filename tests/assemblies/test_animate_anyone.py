"""Animate Anyone and AniPortrait, small and with random weights: each condition, and the published order of work."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler
from portraits import Portrait, arrays, assert_same_latents, faces, in_published_order, portrait, recorded, stir

from anifacediff.assemblies.animate_anyone import AnimateAnyonePipeline
from anifacediff.conditioning.image_tokens import ImageTokens
from anifacediff.conditioning.multilevel_pose import MultiLevelPoseEncoder
from anifacediff.conditioning.pose_encoder import PoseEncoder
from anifacediff.errors import CheckpointError, InputError, ShapeError
from anifacediff.sampling.noise import GivenNoise

SIZE = 64
LATENT = (4, SIZE // 8, SIZE // 8)
PICTURES = np.random.default_rng(2).integers(0, 255, (7, SIZE, SIZE, 3), np.uint8)
pytestmark = pytest.mark.filterwarnings("ignore::anifacediff.assemblies.exchange.UntrainedWarning")


@pytest.fixture(scope="module", params=[False, True], ids=["animate_anyone", "aniportrait"])
def pipe(request: pytest.FixtureRequest) -> AnimateAnyonePipeline:
    pipe = AnimateAnyonePipeline.untrained(image_size=SIZE, multilevel=request.param)
    pipe.set_progress_bar_config(disable=True)
    stir(pipe)
    return pipe


@pytest.fixture(scope="module")
def reference(pipe: AnimateAnyonePipeline) -> Portrait:
    return portrait(pipe)


def generate(pipe: AnimateAnyonePipeline, reference: Portrait, frames: int = 3, **options: Any) -> np.ndarray:
    return arrays(pipe(reference, faces(pipe, frames), num_inference_steps=2, **options))


def from_pictures(pipe: AnimateAnyonePipeline, reference: Portrait, pictures: np.ndarray, **options: Any) -> np.ndarray:
    return np.stack([frame.image for frame in pipe.stream_pictures(reference.image, pictures, **options)])


def test_one_frame_for_each_driving_frame_even_of_one(pipe: AnimateAnyonePipeline, reference: Portrait):
    for frames in (1, 9):
        output = pipe(reference, faces(pipe, frames), num_inference_steps=1, window_size=8)
        assert [frame.size for frame in output.frames] == [(SIZE, SIZE)] * frames
        assert all(np.asarray(control).max() > 0 for control in output.control)


def test_it_comes_back_from_its_folder(pipe: AnimateAnyonePipeline, reference: Portrait, tmp_path: Path):
    before = generate(pipe, reference)
    pipe.save_pretrained(tmp_path)
    loaded = AnimateAnyonePipeline.from_pretrained(tmp_path)
    loaded.set_progress_bar_config(disable=True)
    assert type(loaded.pose_encoder) is type(pipe.pose_encoder)
    assert np.array_equal(generate(loaded, reference), before)


def test_a_pose_encoder_of_the_other_system_is_refused(pipe: AnimateAnyonePipeline, tmp_path: Path):
    pipe.save_pretrained(tmp_path)
    index = tmp_path / "model_index.json"
    kinds = PoseEncoder, MultiLevelPoseEncoder
    other = kinds[type(pipe.pose_encoder) is kinds[0]]
    index.write_text(json.dumps(json.loads(index.read_text()) | {"pose_encoder": [other.__module__, other.__name__]}))
    with pytest.raises(CheckpointError, match="pose_encoder"):
        AnimateAnyonePipeline.from_pretrained(tmp_path)


def test_pose_and_reference_are_seen(pipe: AnimateAnyonePipeline, reference: Portrait):
    before = generate(pipe, reference)
    still = replace(faces(pipe, 3), pose=torch.zeros_like(faces(pipe, 3).pose))
    assert not np.array_equal(arrays(pipe(reference, still, num_inference_steps=2)), before)
    assert not np.array_equal(generate(pipe, Portrait(255 - reference.image, reference.parameters)), before)


def test_pictures_drawn_elsewhere_give_what_ours_give(pipe: AnimateAnyonePipeline, reference: Portrait):
    with recorded(pipe) as finished:
        output = pipe(reference, faces(pipe, 3), num_inference_steps=2)
        drawn = np.stack([np.asarray(control) for control in output.control])
        for pictures in (drawn, 255 - drawn):
            from_pictures(pipe, reference, pictures, num_inference_steps=2)
    ours, same, other = finished
    assert (same - ours).abs().mean() < 0.1 * (other - ours).abs().mean()  # pictures are rounded to bytes


@torch.no_grad()
@pytest.mark.parametrize("rounded", [False, True])
def test_the_whole_of_the_published_order(rounded: bool, pipe: AnimateAnyonePipeline, reference: Portrait):
    """Written out: closed windows, means over visits, then guidance, then one step for all frames."""
    frames, size, overlap, steps = 7, 4, 1, 2
    noise = torch.randn(frames, *LATENT, generator=torch.Generator().manual_seed(3))
    pipe.register_to_config(round_reference=rounded)
    options = {"num_inference_steps": steps, "window_size": size, "overlap": overlap, "closed_loop": True}
    with recorded(pipe) as found:
        from_pictures(pipe, reference, PICTURES, noise=GivenNoise(noise), **options)
    pipe.register_to_config(round_reference=False)

    image = pipe.picture(reference.image)
    token = ImageTokens(pipe.image_encoder)(image)
    posterior: Any = pipe.vae.encode(2 * image - 1)
    latent = posterior.latent_dist.mean * 0.18215
    store = torch.float16 if rounded else None
    seen = pipe.reference_net.read(latent, token, pipe.unet, guidance=True, store_dtype=store)
    pictures = torch.from_numpy(PICTURES).permute(0, 3, 1, 2) / 255
    pictures = 2 * pictures - 1 if isinstance(pipe.pose_encoder, MultiLevelPoseEncoder) else pictures
    scheduler: Any = DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="linear",
        steps_offset=1,
        clip_sample=False,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
    )
    scheduler.set_timesteps(steps)
    assert scheduler.timesteps.tolist() == [999, 499]

    def predict(rows: torch.Tensor, timestep: torch.Tensor, window: list[int]) -> torch.Tensor:
        tokens = token.expand(size, -1, -1)
        both = torch.cat([torch.zeros_like(tokens), tokens])
        told = {**seen, **pipe.pose_encoder(pictures[window])}
        return pipe.unet(rows, timestep, both, cross_attention_kwargs=told)[0]

    windows = ([0, 1, 2, 3], [3, 4, 5, 6], [6, 0, 1, 2])
    assert_same_latents(found, in_published_order(predict, scheduler, noise, windows, 3.5))


def test_bad_pictures_and_too_little_noise(pipe: AnimateAnyonePipeline, reference: Portrait):
    for pictures in (PICTURES[..., :2], PICTURES[:, :32], PICTURES[0], PICTURES / 255):
        with pytest.raises(ShapeError, match="pictures: expected uint8"):
            pipe.stream_pictures(reference.image, pictures)
    with pytest.raises(ShapeError, match="reference"):
        pipe.stream_pictures(reference.image[:32], PICTURES)
    with pytest.raises(InputError, match="at least one frame"):
        pipe.stream_pictures(reference.image, PICTURES[:0])
    with pytest.raises(InputError, match="noise was given for 2 frames"):
        from_pictures(pipe, reference, PICTURES, noise=GivenNoise(torch.randn(2, *LATENT)), num_inference_steps=1)


def test_detached_the_denoiser_is_as_it_was():
    pipe = AnimateAnyonePipeline.untrained(image_size=SIZE, multilevel=True)
    attached = dict(pipe.unet.attn_processors)
    pipe.detach()
    assert not any(module._forward_hooks for module in (pipe.unet.conv_in, *pipe.unet.down_blocks))
    assert attached != pipe.unet.attn_processors


def test_pictures_need_the_parts_that_look_at_the_reference(reference: Portrait):
    pipe = AnimateAnyonePipeline.untrained(image_size=SIZE)
    pipe.free_reference_parts()
    with pytest.raises(InputError, match="given up"):
        pipe.stream_pictures(reference.image, PICTURES)
