"""MagicPortrait, small and with random weights: what each condition does, and that nothing is lost on the way."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from portraits import Portrait, arrays, faces, portrait, stir

from anifacediff.assemblies.magicportrait import MagicPortraitPipeline
from anifacediff.geometry.faces import Similarity

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
    features = told.features(range(2), told._encoded)
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
