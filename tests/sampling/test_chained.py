"""Chained clips against a loop written out, with the published scheduler, and their bookkeeping."""

from collections.abc import Sequence
from itertools import chain as joined
from itertools import islice
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, EulerDiscreteScheduler
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from anifacediff.errors import InputError
from anifacediff.sampling.chained import ClipChain, stream_chained
from anifacediff.sampling.noise import FrameNoise, GivenNoise

NOISE = FrameNoise(seed=3, shape=(4, 4, 4))
EULER = EulerDiscreteScheduler(
    beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", timestep_spacing="linspace", steps_offset=1
)


def predicted(latents: Tensor, timestep: Tensor, frames: Sequence[int], previous: Tensor) -> Tensor:
    """What frame it is, what came before, and what its neighbours are all count."""
    number = torch.tensor(frames, dtype=latents.dtype)[:, None, None, None]
    before = previous.mean() if len(previous) else latents.new_zeros(())
    return 0.3 * latents + 0.1 * latents.mean(0, keepdim=True) + 0.01 * number + 0.2 * before + 1e-4 * float(timestep)


def begin(previous: Tensor, frames: Sequence[int]) -> Any:
    def denoise(latents: Tensor, timestep: Tensor, frames: Sequence[int]) -> Tensor:
        return predicted(latents, timestep, frames, previous)

    return denoise


def by_hand(num_frames: int, size: int, overlap: int, noise: Tensor, num_steps: int) -> Tensor:
    """The published order: advance by size - overlap, condition on the last frames, drop the first ones."""
    done, previous, start = torch.zeros(0, *noise.shape[1:]), torch.zeros(0), 0
    while len(done) < num_frames:
        frames = [min(start + frame, num_frames - 1) for frame in range(size)]
        EULER.set_timesteps(num_steps)
        latents = noise * EULER.init_noise_sigma
        for timestep in EULER.timesteps:
            scaled = EULER.scale_model_input(latents, timestep)
            latents = EULER.step(predicted(scaled, timestep, frames, previous), timestep, latents, return_dict=False)[0]
        done = torch.cat([done, latents if start == 0 else latents[overlap:]])
        previous, start = latents[size - overlap :], start + size - overlap
    return done[:num_frames]


@pytest.mark.parametrize("num_frames", [1, 5, 12, 13, 30])
def test_equals_the_published_order(num_frames: int):
    latents = torch.randn(12, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    parts = stream_chained(begin, EULER, chain=ClipChain(num_frames), noise=GivenNoise(latents), num_steps=4)
    expected = by_hand(num_frames, 12, 3, latents, 4)
    torch.testing.assert_close(torch.cat(list(parts)), expected, rtol=0, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(num_frames=st.integers(1, 60), size=st.integers(1, 14), data=st.data())
def test_every_frame_leaves_once_and_in_order(num_frames: int, size: int, data: st.DataObject):
    overlap = data.draw(st.integers(0, size - 1))
    clips = ClipChain(num_frames, size, overlap)
    new = [clips.frames(clip)[clips.new(clip)] for clip in range(len(clips))]
    assert list(joined.from_iterable(new)) == list(range(num_frames))
    assert all(new)
    assert {len(clips.frames(clip)) for clip in range(len(clips))} == {size}
    for clip in range(1, len(clips)):
        assert clips.frames(clip)[:overlap] == clips.frames(clip - 1)[size - overlap :]


def test_clips_start_from_the_same_noise_or_from_their_own():
    started: list[Tensor] = []

    def watch(previous: Tensor, frames: Sequence[int]) -> Any:
        def denoise(latents: Tensor, timestep: Tensor, frames: Sequence[int]) -> Tensor:
            started.append(latents)
            return latents

        return denoise

    scheduler = DDIMScheduler()
    for same in (True, False):
        list(stream_chained(watch, scheduler, chain=ClipChain(9, 4, 1), noise=NOISE, num_steps=1, same_noise=same))
    assert len(started) == 6
    assert all(torch.equal(each, NOISE(range(4))) for each in started[:3])
    for clip, each in enumerate(started[3:]):
        assert torch.equal(each, NOISE(range(3 * clip, 3 * clip + 4)))


def test_streamed_clip_by_clip_with_its_progress():
    begun: list[tuple[int, Sequence[int]]] = []
    progress: list[tuple[int, int]] = []

    def watch(previous: Tensor, frames: Sequence[int]) -> Any:
        begun.append((len(previous), frames))
        return begin(previous, frames)

    parts = stream_chained(
        watch,
        EULER,
        chain=ClipChain(10**9),
        noise=NOISE,
        num_steps=1,
        on_window=lambda done, total: progress.append((done, total)),
    )
    assert [len(part) for part in islice(parts, 3)] == [12, 9, 9]
    assert begun == [(0, tuple(range(12))), (3, tuple(range(9, 21))), (3, tuple(range(18, 30)))]
    assert [done for done, _ in progress] == [1, 2, 3]
    assert progress[0][1] == len(ClipChain(10**9))


def test_what_cannot_be_is_named():
    with pytest.raises(InputError, match="num_frames"):
        ClipChain(0)
    with pytest.raises(InputError, match="size: a clip of the chain needs at least one frame, found 0"):
        ClipChain(5, size=0, overlap=-1)
    with pytest.raises(InputError, match="overlap"):
        ClipChain(5, 3, 3)
    too_short = GivenNoise(torch.zeros(5, 4, 4, 4))
    with pytest.raises(InputError, match="noise was given for 5 frames"):
        list(stream_chained(begin, EULER, chain=ClipChain(20), noise=too_short, num_steps=1))
