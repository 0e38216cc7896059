"""Noise by frame number."""

import pytest
import torch

from anifacediff.errors import InputError
from anifacediff.sampling import FrameNoise, GivenNoise, Noise

SHAPE = (4, 8, 8)


def test_a_frame_has_the_same_noise_in_every_window_and_precision():
    noise = FrameNoise(seed=7, shape=SHAPE)
    clip = noise(range(10))
    assert torch.equal(noise([8, 3, 9]), clip[[8, 3, 9]])
    assert torch.equal(FrameNoise(7, SHAPE, dtype=torch.float16)(range(10)), clip.half())


def test_frames_and_seeds_differ():
    frames = torch.cat([FrameNoise(seed, SHAPE)(range(50)) for seed in (0, 1, 2**40)]).flatten(1)
    correlation = torch.corrcoef(frames) - torch.eye(len(frames))
    assert correlation.abs().max() < 6 / 256**0.5, "six standard deviations of 256 samples"


def test_it_is_standard_normal():
    values = FrameNoise(0, (4, 32, 32))(range(32)).flatten()
    assert abs(values.mean()) < 0.01
    assert abs(values.std() - 1) < 0.01


def test_streams_go_on_after_the_first_draw():
    noise = FrameNoise(1, SHAPE)
    generators = noise.generators([0, 1])
    first, second = noise.draw(generators), noise.draw(generators)
    assert torch.equal(first, noise([0, 1]))
    assert not torch.equal(first, second)


def test_a_negative_seed_is_refused():
    with pytest.raises(InputError, match=r"seed: .* found -1"):
        FrameNoise(-1, SHAPE)


def test_frames_may_start_from_noise_that_they_share_or_from_zeros():
    shared = FrameNoise(3, SHAPE, start="shared")
    assert torch.equal(shared(range(4)), FrameNoise(3, SHAPE)([0]).expand(4, *SHAPE))
    assert not torch.equal(shared([0]), FrameNoise(4, SHAPE, start="shared")([0]))
    assert not FrameNoise(3, SHAPE, start="zeros")(range(4)).any()


def test_another_start_is_refused():
    with pytest.raises(InputError, match="start: expected one of noise, shared, zeros, found 'ones'"):
        FrameNoise(3, SHAPE, start="ones")


def test_given_noise_is_used_as_it_is():
    latents = torch.randn(3, *SHAPE)
    given = GivenNoise(latents, seed=5)
    assert isinstance(given, Noise)
    assert isinstance(FrameNoise(5, SHAPE), Noise)
    generators = given.generators([2, 0])
    assert torch.equal(given.initial([2, 0], generators), latents[[2, 0]])
    later, expected = (
        torch.randn(SHAPE, generator=each) for each in (generators[1], FrameNoise(5, SHAPE).generators([0])[0])
    )
    assert torch.equal(later, expected)
    with pytest.raises(InputError, match="needed up to frame 3"):
        given.initial([3], given.generators([3]))
    with pytest.raises(InputError, match="latents"):
        GivenNoise(latents * torch.nan)
