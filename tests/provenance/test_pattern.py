"""The pattern of the mark, held against plain sums over pixels, and its bound against chance."""

import math
from statistics import NormalDist

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anifacediff.provenance.pattern import ORDER, Pattern, contrast, cosines
from anifacediff.provenance.spread import OPEN_KEY


def test_cosines_are_the_cosine_transform_of_scipy():
    from scipy.fft import dct

    signal = torch.rand(64, generator=torch.Generator().manual_seed(0))
    expected = torch.from_numpy(dct(signal.numpy(), type=2, norm="ortho")[1:ORDER])
    torch.testing.assert_close((cosines(64, 0, 64) @ signal)[1:], expected, atol=1e-5, rtol=0)


@settings(max_examples=20, deadline=None)
@given(st.floats(-3, 10), st.floats(60, 90))
def test_cosines_of_an_interval_are_zero_outside(start: float, length: float):
    waves = cosines(100, start, length)
    outside = [pixel for pixel in range(100) if not start <= pixel + 0.5 < start + length]
    assert not waves[:, outside].any()
    inside = [pixel for pixel in range(100) if pixel not in outside]
    place = (inside[3] + 0.5 - start) / length
    assert float(waves[7, inside[3]]) == pytest.approx(math.sqrt(2 / length) * math.cos(7 * math.pi * place), abs=1e-4)


def test_waves_too_fine_for_the_pixels_are_left_out():
    assert not cosines(20, 0, 20)[20:].any()
    assert cosines(20, 0, 20)[1:20].any(1).all()


def test_the_signs_of_a_key_never_change():
    """A mark that was left years ago must still be found."""
    signs = Pattern(OPEN_KEY).signs
    assert signs.shape == (ORDER, ORDER)
    assert signs[20, 20:36].int().tolist() == [1, -1, 1, -1, 1, 1, 1, -1, -1, 1, -1, -1, 1, 1, -1, 1]
    assert set(signs.unique().tolist()) == {-1.0, 0.0, 1.0}
    assert int(signs.abs().sum()) == int(Pattern("other").signs.abs().sum())
    assert abs(float((signs * Pattern("other").signs).sum())) < 5 * math.sqrt(float(signs.abs().sum()))


@pytest.mark.parametrize("size", [(128, 128), (97, 61), (512, 300)])
def test_the_drawn_pattern_agrees_with_itself(size: tuple[int, int]):
    pattern = Pattern("key").drawn(*size)
    assert float(pattern.square().mean()) == pytest.approx(1, rel=1e-4)
    assert Pattern("key").agreement(pattern, 0, 0, size[1], size[0]) > 30
    assert abs(Pattern("other").agreement(pattern, 0, 0, size[1], size[0])) < 4.5


def test_agreement_is_of_the_rectangle_asked_for():
    picture = torch.zeros(200, 240)
    picture[40:140, 90:190] = Pattern("key").drawn(100, 100)
    agreement = Pattern("key").agreement
    assert agreement(picture, 90, 40, 100, 100) > 30
    assert abs(agreement(picture, 0, 0, 240, 200)) < 4.5
    assert abs(agreement(picture, 80, 40, 100, 100)) < 4.5


def test_chance_agrees_no_better_than_the_bound():
    """2,000 keys on a picture with edges: as many as the bound allows reach each height, and not none."""
    torch.manual_seed(0)
    picture = 40 * torch.randn(48, 48)
    picture[10:30, 12:40] += 150
    chances = torch.tensor([Pattern(str(key)).agreement(picture, 0, 0, 48, 48) for key in range(2000)])
    assert float(chances.mean()) == pytest.approx(0, abs=0.08)
    assert float(chances.std()) == pytest.approx(1, abs=0.06)
    for height in (1.0, 1.5, 2.0, 2.5, 3.0):
        assert float((chances >= height).float().mean()) <= 3.178 * NormalDist().cdf(-height)
    assert bool((chances > 2.5).any())


@pytest.mark.parametrize("picture", [torch.zeros(64, 64), torch.full((1, 1), 7.0), torch.zeros(3, 200)])
def test_empty_and_tiny_pictures_agree_with_nothing(picture: torch.Tensor):
    height, width = picture.shape
    assert Pattern("key").agreement(picture, 0, 0, width, height) == pytest.approx(0, abs=1e-3)
    assert Pattern("key").drawn(height, width).isfinite().all()


def test_contrast_is_the_root_mean_square_around_a_pixel():
    picture = torch.randn(20, 30, generator=torch.Generator().manual_seed(1))
    expected = picture[5:10, 10:15].square().mean().sqrt()
    torch.testing.assert_close(contrast(picture, 5)[7, 12], expected)
