"""MagicPortrait, small and with random weights: what each condition does, and that nothing is lost on the way."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler
from portraits import Portrait, arrays, assert_same_latents, faces, in_published_order, portrait, recorded, stir

from anifacediff.assemblies.magicportrait import MagicPortraitPipeline
from anifacediff.conditioning.facial_alignment import FacialAlignment
from anifacediff.geometry.faces import Similarity
from anifacediff.sampling.noise import GivenNoise

SIZE = 64
pytestmark = pytest.mark.filterwarnings("ignore::anifacediff.assemblies.exchange.UntrainedWarning")


@pytest.fixture(scope="module")
def pipe() -> MagicPortraitPipeline:
    pipe = MagicPortraitPipeline.untrained(image_size=SIZE)
    pipe.set_progress_bar_config(disable=True)
    stir(pipe)
    return pipe


@pytest.fixture(scope="module")
def reference(pipe: MagicPortraitPipeline) -> Portrait:
    return portrait(pipe)


def generate(pipe: MagicPortraitPipeline, reference: Portrait, frames: int = 3, **options: Any) -> np.ndarray:
    return arrays(pipe(reference, faces(pipe, frames), num_inference_steps=2, **options))


def test_one_frame_for_each_driving_frame_even_of_one(pipe: MagicPortraitPipeline, reference: Portrait):
    for frames in (1, 15):
        output = pipe(reference, faces(pipe, frames), num_inference_steps=1)
        assert [frame.size for frame in output.frames] == [(SIZE, SIZE)] * frames
        assert all(np.asarray(control).max() > 0 for control in output.control)


def test_it_comes_back_from_its_folder(pipe: MagicPortraitPipeline, reference: Portrait, tmp_path: Path):
    before = generate(pipe, reference)
    pipe.save_pretrained(tmp_path)
    loaded = MagicPortraitPipeline.from_pretrained(tmp_path)
    loaded.set_progress_bar_config(disable=True)
    assert loaded.untrained_parts == pipe.untrained_parts
    assert np.array_equal(generate(loaded, reference), before)


def test_the_driver_s_place_and_zoom_are_not_taken_over(pipe: MagicPortraitPipeline, reference: Portrait):
    moved = faces(pipe, 3).moved(Similarity(torch.full((3,), 0.8), torch.full((3, 2), 20.0)))
    found = arrays(pipe(reference, moved, num_inference_steps=2))
    assert np.array_equal(found, generate(pipe, reference))


def test_expression_and_reference_are_seen(pipe: MagicPortraitPipeline, reference: Portrait):
    before = generate(pipe, reference)
    still = replace(faces(pipe, 3), expression=torch.zeros_like(faces(pipe, 3).expression))
    assert not np.array_equal(arrays(pipe(reference, still, num_inference_steps=2)), before)
    other = Portrait(255 - reference.image, reference.parameters)
    assert not np.array_equal(generate(pipe, other), before)


def test_guidance_contrasts_with_a_denoiser_that_does_not_see_the_reference(
    pipe: MagicPortraitPipeline, reference: Portrait
):
    latents, timestep = torch.randn(2, 4, SIZE // 8, SIZE // 8), torch.tensor(500)
    told = pipe.prepare(reference, faces(pipe, 2), 1.0)
    features = told.features(range(2), told._encoded)[0]
    with torch.no_grad():
        without = pipe.unet(
            latents.transpose(0, 1)[None],
            timestep,
            pipe.prompt().expand(2, -1, -1),
            cross_attention_kwargs={"pose_features": features},
        )[0][0].transpose(0, 1)
    expected = without + 3.5 * (told(latents, timestep, range(2)) - without)
    found = pipe.prepare(reference, faces(pipe, 2), 3.5)(latents, timestep, range(2))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("option", "value"), [("fusion", "add"), ("round_reference", True)])
def test_the_published_and_the_written_form_differ(
    option: str, value: object, pipe: MagicPortraitPipeline, reference: Portrait
):
    latents, timestep = torch.randn(2, 4, SIZE // 8, SIZE // 8), torch.tensor(500)
    usual = pipe.config[option]
    before = pipe.prepare(reference, faces(pipe, 2), 1.0)(latents, timestep, range(2))
    pipe.register_to_config(**{option: value})
    after = pipe.prepare(reference, faces(pipe, 2), 1.0)(latents, timestep, range(2))
    pipe.register_to_config(**{option: usual})
    assert not torch.equal(before, after)


def _freed(pipe: MagicPortraitPipeline) -> Any:
    pipe.detach()
    return pipe.unet


@torch.no_grad()
def test_the_whole_of_the_published_order(reference: Portrait):
    """Written out: maps before the reference's camera, closed windows of 12, one prompt for both halves, 3.5."""
    made = MagicPortraitPipeline.untrained(image_size=SIZE)
    options = {name: made.config[name] for name in ("image_size", "frame_norm_groups")}
    pipe = MagicPortraitPipeline(
        **{name: part for name, part in made.components.items() if name != "unet"},
        unet=_freed(made),
        convention="magicportrait-published",
        round_reference=True,
        **options,
    )
    stir(pipe)
    frames, steps = 14, 2
    noise = torch.randn(frames, 4, SIZE // 8, SIZE // 8, generator=torch.Generator().manual_seed(3))
    driving = faces(pipe, frames)
    with recorded(pipe) as found:
        list(pipe.stream(reference, driving, num_inference_steps=steps, closed_loop=True, noise=GivenNoise(noise)))

    latent: Any = pipe.vae.encode(2 * pipe.picture(reference.image) - 1)
    seen = pipe.reference_net.read(
        latent.latent_dist.mean * 0.18215, pipe.prompt(), pipe.unet, guidance=True, store_dtype=torch.float16
    )
    moved = driving.moved(Similarity(torch.full((frames,), 1.3), torch.full((frames, 2), -9.0)))
    align = FacialAlignment(
        pipe.alignment.morphable_model,
        image_size=SIZE,
        anchor="camera",
        convention="deca",
        maps=("depth", "normal", "shaded"),
    )
    maps = align(reference.parameters, moved)
    assert maps.depth is not None
    assert maps.normal is not None
    assert maps.shaded is not None
    assert maps.normal.min() < 0
    pictures = torch.cat([maps.depth.expand(-1, 3, -1, -1), maps.normal.clamp(0, 1), maps.shaded.clamp(0, 1)], 1)
    features = sum(
        pipe.guidance_encoder.encoders[name](pictures[:, 3 * number : 3 * number + 3])["pose_features"]
        for number, name in enumerate(("depth", "normal", "shaded"))
    )
    assert isinstance(features, torch.Tensor)
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

    def predict(rows: torch.Tensor, timestep: torch.Tensor, window: list[int]) -> torch.Tensor:
        told = {**seen, "pose_features": features[window]}
        prompts = pipe.prompt().expand(24, -1, -1)
        return pipe.unet(rows, timestep, prompts, cross_attention_kwargs=told)[0]

    windows = [[number % frames for number in range(start, start + 12)] for start in (0, 11)]
    assert_same_latents(found, in_published_order(predict, scheduler, noise, windows, 3.5))


def test_frames_leave_as_in_one_window_after_the_other(pipe: MagicPortraitPipeline, reference: Portrait):
    whole = generate(pipe, reference, 5, window_size=3, overlap=1)
    streamed = [frame.image for frame in pipe.stream(reference, faces(pipe, 5), num_inference_steps=2, window_size=3)]
    assert np.array_equal(whole, np.stack(streamed))


def test_detached_the_denoiser_is_as_it_was(reference: Portrait):
    pipe = MagicPortraitPipeline.untrained(image_size=SIZE)
    attached = dict(pipe.unet.attn_processors)
    pipe.detach()
    assert type(pipe.unet.conv_in) is torch.nn.Conv2d
    assert attached.keys() == pipe.unet.attn_processors.keys()
    assert attached != pipe.unet.attn_processors
