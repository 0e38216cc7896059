import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anifacediff.errors import InputError
from anifacediff.media.crop import SquareCrop

positions = st.floats(-500, 1500)
sides = st.floats(1, 2000)


def ramp(height: int, width: int) -> np.ndarray:
    """Red is x and green is y, at the centres of pixels."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x, y, np.zeros_like(x)], axis=-1).astype(np.uint8)


@settings(max_examples=25, deadline=None)
@given(positions, positions, sides, st.integers(1, 512))
def test_the_way_back_undoes_the_crop(x: float, y: float, side: float, size: int):
    crop = SquareCrop(x, y, side)
    edges = torch.tensor([[[x - side / 2, y - side / 2], [x + side / 2, y + side / 2]]])
    inside = crop.to_crop(size)(edges)
    torch.testing.assert_close(inside, torch.tensor([[[0.0, 0.0], [size, size]]]), atol=1e-3 * size, rtol=0)
    torch.testing.assert_close(crop.from_crop(size)(inside), edges, atol=1e-2, rtol=1e-4)


def test_around_follows_the_rule_for_landmarks():
    crop = SquareCrop.around((10.0, 20.0, 50.0, 80.0))
    assert (crop.x, crop.y, crop.side) == pytest.approx((30, 50, (40 + 60) / 2 * 1.1 * 1.25))


def test_around_follows_the_rule_for_a_detectors_box():
    crop = SquareCrop.around((10.0, 20.0, 50.0, 60.0), enlarge=1.0, lower=0.12)
    assert (crop.x, crop.y, crop.side) == pytest.approx((30, 40 + 0.12 * 40, 50))


def test_a_crop_at_its_own_size_copies_the_pixels():
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    np.testing.assert_array_equal(SquareCrop(26.0, 18.0, 12.0).apply(image, 12), image[12:24, 20:32])


@pytest.mark.parametrize(("side", "size"), [(20.0, 80), (80.0, 20), (33.3, 33)])
def test_pixels_show_the_points_that_the_similarity_says(side: float, size: int):
    image = ramp(120, 150)
    crop = SquareCrop(70.3, 61.8, side)
    seen = crop.apply(image, size).astype(float)[..., :2] + 0.5
    y, x = np.mgrid[:size, :size] + 0.5
    expected = crop.from_crop(size)(torch.tensor(np.stack([x, y], -1).reshape(1, -1, 2), dtype=torch.float32))
    assert np.abs(seen.reshape(-1, 2) - expected[0].numpy()).max() < 0.6  # of a level: pictures are rounded


def test_shrinking_averages():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    shrunk = SquareCrop(32.0, 32.0, 64.0).apply(stripes, 8)
    assert np.abs(shrunk[:, 1:-1].astype(int) - 127).max() <= 5


def test_beyond_the_image_its_edge_is_repeated():
    image = ramp(20, 30)
    cut = SquareCrop(-10.0, 10.0, 10.0).apply(image, 10)
    np.testing.assert_array_equal(cut[..., 0], np.zeros((10, 10)))
    np.testing.assert_array_equal(cut[..., 1], np.tile(np.arange(5, 15)[:, None], (1, 10)))


def test_warp_is_black_beyond_the_image_and_passes_gradients():
    image = torch.ones(1, 8, 8, requires_grad=True)
    warped = SquareCrop(0.0, 0.0, 8.0).warp(image, 8)
    assert torch.equal(warped[0, :4, :4], torch.zeros(4, 4))
    assert torch.allclose(warped[0, 5:, 5:], torch.ones(3, 3))
    warped.sum().backward()
    assert image.grad is not None
    assert float(image.grad[0, 4:, 4:].abs().max()) == 0


@pytest.mark.parametrize(
    ("crop", "expected"),
    [
        (SquareCrop(50.0, 40.0, 60.0), SquareCrop(50.0, 40.0, 60.0)),
        (SquareCrop(10.0, 95.0, 60.0), SquareCrop(30.0, 70.0, 60.0)),
        (SquareCrop(10.0, 95.0, 130.0), SquareCrop(50.0, 50.0, 100.0)),
        (SquareCrop(10.0, 95.0, 400.0), SquareCrop(50.0, 50.0, 120.0)),
    ],
)
def test_within_leaves_the_image_as_little_as_possible(crop: SquareCrop, expected: SquareCrop):
    smallest = 120.0 if crop.side > 200 else 50.0
    assert crop.within(100, 100, smallest=smallest) == expected


@pytest.mark.parametrize(("x", "side"), [(math.nan, 10.0), (0.0, 0.0), (0.0, -3.0), (0.0, math.inf)])
def test_unusable_squares_are_refused(x: float, side: float):
    with pytest.raises(InputError, match="SquareCrop"):
        SquareCrop(x, 0.0, side)
