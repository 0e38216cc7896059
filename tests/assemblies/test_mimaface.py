"""MIMAFace, small and with random weights: what each condition does, and how clips continue each other."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import EulerDiscreteScheduler
from portraits import Portrait, arrays, assert_same_latents, faces, in_published_order, portrait, recorded, stir

from anifacediff.assemblies.mimaface import MIMAFaceClip, MIMAFacePipeline, motion_of
from anifacediff.conditioning.image_tokens import ImageTokens
from anifacediff.conditioning.motion_identity import MotionIdentity, MotionIdentityModulation
from anifacediff.errors import InputError
from anifacediff.geometry.perspective import Perspective
from anifacediff.sampling.noise import GivenNoise
from anifacediff.tracking.rotations import axis_angle

SIZE = 64
pytestmark = pytest.mark.filterwarnings("ignore::anifacediff.assemblies.exchange.UntrainedWarning")


@pytest.fixture(scope="module")
def pipe() -> MIMAFacePipeline:
    pipe = MIMAFacePipeline.untrained(image_size=SIZE)
    pipe.set_progress_bar_config(disable=True)
    stir(pipe)
    torch.nn.init.normal_(pipe.unet.conv_in.weight, std=0.05)
    return pipe


@pytest.fixture(scope="module")
def reference(pipe: MIMAFacePipeline) -> Portrait:
    return portrait(pipe)


def generate(pipe: MIMAFacePipeline, reference: Portrait, frames: int = 3, **options: Any) -> np.ndarray:
    return arrays(pipe(reference, faces(pipe, frames), num_inference_steps=2, **options))


@pytest.mark.parametrize("frames", [1, 12, 15])
def test_one_frame_for_each_driving_frame(frames: int, pipe: MIMAFacePipeline, reference: Portrait):
    output = pipe(reference, faces(pipe, frames), num_inference_steps=1)
    assert [frame.size for frame in output.frames] == [(SIZE, SIZE)] * frames
    assert all(np.asarray(control).max() > 0 for control in output.control)


def test_it_comes_back_from_its_folder(pipe: MIMAFacePipeline, reference: Portrait, tmp_path: Path):
    before = generate(pipe, reference)
    pipe.save_pretrained(tmp_path)
    loaded = MIMAFacePipeline.from_pretrained(tmp_path)
    loaded.set_progress_bar_config(disable=True)
    assert np.array_equal(generate(loaded, reference), before)


def test_a_clip_continues_the_one_before(pipe: MIMAFacePipeline, reference: Portrait):
    """A later clip drawn by hand, from the last latents of the first."""
    driving = faces(pipe, 7)
    whole = list(pipe.stream(reference, driving, num_inference_steps=2, window_size=4, overlap=1))
    conditions = pipe.prepare(reference, driving, 5.0)
    nothing = torch.zeros(0, 4, SIZE // 8, SIZE // 8)
    timestep, latents = torch.tensor(500.0), torch.randn(4, 4, SIZE // 8, SIZE // 8)
    first = conditions.begin(nothing, range(4))(latents, timestep, range(4))
    later = conditions.begin(latents[3:], range(4))(latents, timestep, range(4))
    assert not torch.equal(first, later)
    assert len(whole) == 7
    shorter = list(pipe.stream(reference, driving[:4], num_inference_steps=2, window_size=4, overlap=1))
    for one, other in zip(whole, shorter, strict=False):
        assert np.array_equal(one.image, other.image)


@torch.no_grad()
def test_the_whole_of_the_published_order(reference: Portrait):
    """Written out: 13 channels, one noise for every clip, mean tokens, the last frame repeated, 5.0."""
    pipe, twin = (MIMAFacePipeline.untrained(image_size=SIZE) for _ in range(2))
    for each in (pipe, twin):
        stir(each)
        torch.manual_seed(4)
        torch.nn.init.normal_(each.unet.conv_in.weight, std=0.05)
        each.modulation.average_over_clip = True
    twin.detach()
    frames, size, steps = 14, 12, 2
    driving, said = faces(pipe, frames), motion_of(faces(pipe, frames))
    noise = torch.randn(size, 4, SIZE // 8, SIZE // 8, generator=torch.Generator().manual_seed(3))
    with recorded(pipe) as found:
        list(pipe.stream(reference, driving, num_inference_steps=steps, noise=GivenNoise(noise)))

    image_tokens = ImageTokens(twin.image_encoder).patches(twin.picture(reference.image))
    shaded = twin.alignment(reference.parameters, driving).shaded
    assert shaded is not None
    assert shaded.min() == 0  # the background, -1 for the autoencoder
    scheduler: Any = EulerDiscreteScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="epsilon",
        timestep_spacing="linspace",
        steps_offset=1,
    )
    before, expected = torch.zeros(1, 5, size, SIZE // 8, SIZE // 8), list[torch.Tensor]()
    for clip in (list(range(12)), [9, 10, 11, 12, *[13] * 8]):
        posterior: Any = twin.vae.encode(2 * shaded[clip].clamp(0, 1) - 1)
        maps = (posterior.latent_dist.mode() * 0.18215).transpose(0, 1)[None]
        rows = MotionIdentity(**{name: value[clip] for name, value in vars(said).items() if value is not None})
        tokens = torch.stack([twin.modulation(image_tokens, rows)[0]] * size)
        both, told = torch.cat([torch.zeros_like(tokens), tokens]), torch.cat([maps, before], 1)
        scheduler.set_timesteps(steps)

        def predict(rows: torch.Tensor, timestep: torch.Tensor, window: list[int]) -> torch.Tensor:
            joined = torch.cat([rows, told.expand(2, -1, -1, -1, -1)], 1)  # noqa: B023
            return twin.unet(joined, timestep, both)[0]  # noqa: B023

        latents = in_published_order(predict, scheduler, noise, [list(range(size))], 5.0)
        expected.append(latents)
        before = torch.zeros_like(before)
        before[0, :4, :3], before[0, 4, :3] = latents[-3:].transpose(0, 1), 1
    assert_same_latents(found, torch.cat([expected[0], expected[1][3:5]]))


def test_guidance_contrasts_with_zero_tokens(pipe: MIMAFacePipeline, reference: Portrait):
    latents, timestep = torch.randn(2, 4, SIZE // 8, SIZE // 8), torch.tensor(500.0)
    nothing = latents[:0]
    told = pipe.prepare(reference, faces(pipe, 2), 1.0).begin(nothing, range(2))
    guided = pipe.prepare(reference, faces(pipe, 2), 5.0).begin(nothing, range(2))
    given = told(latents, timestep, range(2))
    assert isinstance(told, MIMAFaceClip)
    silent = replace(told, tokens=torch.zeros_like(told.tokens))(latents, timestep, range(2))
    expected = silent + 5.0 * (given - silent)
    torch.testing.assert_close(guided(latents, timestep, range(2)), expected, rtol=1e-4, atol=1e-4)


def test_motion_and_reference_are_seen(pipe: MIMAFacePipeline, reference: Portrait):
    before = generate(pipe, reference)
    still = replace(faces(pipe, 3), expression=torch.zeros_like(faces(pipe, 3).expression))
    assert not np.array_equal(arrays(pipe(reference, still, num_inference_steps=2)), before)
    assert not np.array_equal(generate(pipe, Portrait(255 - reference.image, reference.parameters)), before)


def test_a_closed_loop_is_refused(pipe: MIMAFacePipeline, reference: Portrait):
    with pytest.raises(InputError, match="closed_loop"):
        pipe.stream(reference, faces(pipe, 3), closed_loop=True)


def test_what_else_is_known_of_the_reference_is_told(reference: Portrait):
    @dataclass(frozen=True)
    class Known(Portrait):
        appearance: MotionIdentity

    pipe = MIMAFacePipeline.untrained(image_size=SIZE)
    pipe.modulation = MotionIdentityModulation(sizes={"identity": 8}, image_dim=32, width=32, layers=1).eval()

    def tokens(who: Portrait) -> torch.Tensor:
        first = pipe.prepare(who, faces(pipe, 1), 1.0).begin(torch.zeros(0, 4, 8, 8), [0])
        assert isinstance(first, MIMAFaceClip)
        return first.tokens

    with pytest.raises(InputError, match="identity: these weights were made with it"):
        tokens(reference)
    one, other = (MotionIdentity(identity=torch.full((1, 8), value)) for value in (0.0, 1.0))
    known = [Known(reference.image, reference.parameters, appearance) for appearance in (one, other)]
    assert not torch.equal(tokens(known[0]), tokens(known[1]))


def test_motion_may_be_told_as_read_off_the_crops(pipe: MIMAFacePipeline, reference: Portrait):
    driving = faces(pipe, 3)
    clip = pipe.prepare(reference, driving, 5.0)

    def latents(given: MotionIdentity) -> torch.Tensor:
        with recorded(pipe) as found:
            list(pipe.generate(replace(clip, given=given), 3, num_inference_steps=2))
        return torch.cat(found)

    with recorded(pipe) as usual:
        generate(pipe, reference)
    assert torch.equal(latents(motion_of(driving)), torch.cat(usual))
    told = replace(motion_of(driving), angles=torch.zeros(3, 3))
    assert not torch.equal(latents(told), torch.cat(usual))
    with pytest.raises(InputError, match="angles: these weights were made with it"):
        latents(replace(told, angles=None))


def test_angles_are_those_of_turns_about_x_then_y_then_z(pipe: MIMAFacePipeline):
    x, y, z = 0.3, -0.5, 0.2

    def turn(axis: int, angle: float) -> np.ndarray:
        a, b = [i for i in range(3) if i != axis]
        matrix = np.eye(3)
        sine = math.sin(angle) * (-1 if axis == 1 else 1)
        matrix[a, a] = matrix[b, b] = math.cos(angle)
        matrix[a, b], matrix[b, a] = -sine, sine
        return matrix

    matrix = torch.from_numpy(turn(2, z) @ turn(1, y) @ turn(0, x)).float()
    driving = faces(pipe, 1)
    pose = torch.zeros_like(driving.pose)
    pose[:, 0] = axis_angle(matrix[None])
    angles = motion_of(replace(driving, pose=pose)).angles
    assert angles is not None
    torch.testing.assert_close(angles, torch.tensor([[x, y, z]]), atol=1e-5, rtol=0)


def test_the_place_is_counted_from_the_published_camera(pipe: MIMAFacePipeline):
    camera = Perspective(torch.tensor([1015.0]), torch.tensor([[112.0, 112.0]]), torch.tensor([[0.1, 0.2, -9.5]]))
    found = motion_of(replace(faces(pipe, 1), camera=camera)).translation
    assert found is not None
    torch.testing.assert_close(found, torch.tensor([[0.1, 0.2, 0.5]]))
    middle = motion_of(faces(pipe, 1)).translation
    assert middle is not None
    torch.testing.assert_close(middle, torch.zeros(1, 3))
