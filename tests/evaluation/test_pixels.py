"""PSNR, SSIM and flicker: equal to published code, perfect on the truth, worse the more is wrong."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from torch.nn.functional import avg_pool2d
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from anifacediff.errors import InputError, ShapeError
from anifacediff.evaluation import (
    PSNR,
    SSIM,
    Animation,
    ClipMetric,
    TemporalError,
    inside,
    psnr,
    ssim,
    temporal_error,
)
from anifacediff.shapes import Tensor

METRICS: tuple[ClipMetric, ...] = (PSNR(), SSIM(), TemporalError())


def clip(seed: int, frames: int = 4, height: int = 24, width: int = 20) -> Tensor:
    return torch.rand(frames, 3, height, width, generator=torch.Generator().manual_seed(seed))


def judged(output: Tensor, truth: Tensor | None) -> Animation:
    return Animation(output, output[:1], truth=truth)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**31), noise=st.floats(0.001, 0.5), height=st.integers(11, 30))
def test_psnr_and_ssim_are_those_of_torchmetrics(seed: int, noise: float, height: int):
    truth = avg_pool2d(clip(seed, height=height), 3, 1, 1)
    found = (truth + noise * (clip(seed + 1, height=height) - 0.5)).clamp(0, 1)
    for index, (one, other) in enumerate(zip(found[:, None], truth[:, None], strict=True)):
        published = peak_signal_noise_ratio(one, other, data_range=(0.0, 1.0))
        torch.testing.assert_close(psnr(found, truth)[index], published, rtol=1e-4, atol=1e-4)
        similar = structural_similarity_index_measure(one, other, data_range=(0.0, 1.0))
        assert isinstance(similar, Tensor)
        torch.testing.assert_close(ssim(found, truth)[index], similar, rtol=1e-4, atol=1e-5)


def test_psnr_of_a_known_error():
    truth = torch.full((2, 3, 4, 4), 0.5)
    found = truth + torch.tensor([0.1, 0.01])[:, None, None, None]
    torch.testing.assert_close(psnr(found, truth), torch.tensor([20.0, 40.0]), rtol=0, atol=1e-4)


def test_psnr_within_a_region_is_that_of_the_region_cut_out():
    found, truth = clip(0), clip(1)
    boxes = torch.tensor([[2.0, 3.0, 9.0, 11.0]]).expand(4, 4)
    cut = psnr(found[..., 3:11, 2:9], truth[..., 3:11, 2:9])
    torch.testing.assert_close(psnr(found, truth, inside(boxes, 24, 20)), cut)


def test_a_picture_without_any_pixel_that_counts_has_no_psnr():
    boxes = torch.tensor([[0.0, 0.0, 9.0, 9.0], [30.0, 0.0, 40.0, 9.0]])
    first, second = psnr(clip(0, 2), clip(1, 2), inside(boxes, 24, 20)).tolist()
    assert math.isfinite(first)
    assert math.isnan(second)


def test_a_pixel_is_inside_if_its_middle_is():
    mask = inside(torch.tensor([[0.6, 1.0, 2.5, 2.6]]), 3, 4)
    assert mask[0, 0].tolist() == [[0, 0, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0]]


def test_the_truth_is_perfect():
    truth = clip(0)
    assert [metric(judged(truth, truth)) for metric in METRICS] == pytest.approx([100.0, 1.0, 0.0])


def test_values_beyond_the_range_are_clipped():
    truth = clip(0).round()
    wild = truth + torch.where(truth > 0.5, 3.0, -3.0)
    assert [metric(judged(wild, truth)) for metric in METRICS] == pytest.approx([100.0, 1.0, 0.0])


def test_the_more_it_is_blurred_the_worse_it_is():
    truth = clip(0)
    blurred = [truth, *(avg_pool2d(truth, size, 1, size // 2, count_include_pad=False) for size in (3, 5, 9))]
    for metric in METRICS[:2]:
        figures = [metric(judged(each, truth)) for each in blurred]
        assert figures == sorted(set(figures), reverse=True)


def test_flicker_grows_with_jitter_but_not_with_what_stays():
    truth = clip(0).clamp(0.3, 0.7)
    jitter = torch.tensor([1.0, -1.0, 1.0, -1.0])[:, None, None, None]
    metric = TemporalError()
    figures = [metric(judged(truth + amount / 255 * jitter, truth)) for amount in (0, 1, 5, 20)]
    assert figures == pytest.approx([0, 2, 10, 40], abs=1e-3)
    assert metric(judged(truth + 0.2, truth)) == pytest.approx(0, abs=1e-4)


def test_flicker_counts_motion_that_is_missing():
    truth = torch.tensor([0.2, 0.4, 0.3])[:, None, None, None].expand(3, 3, 12, 12)
    torch.testing.assert_close(temporal_error(truth[:1].expand_as(truth), truth), torch.tensor([51.0, 25.5]))


@pytest.mark.parametrize("metric", METRICS)
def test_without_truth_there_is_no_figure(metric: ClipMetric):
    with pytest.raises(InputError, match=r"needs Animation\.truth"):
        metric(judged(clip(0), None))


@pytest.mark.parametrize("function", [psnr, ssim, temporal_error])
def test_clips_of_different_shapes_are_refused(function: object):
    assert callable(function)
    with pytest.raises((ShapeError, TypeCheckError)):
        function(clip(0), clip(0)[:3])


def test_too_little_to_judge_is_refused():
    with pytest.raises(InputError, match=r"11x11 pixels or more, found \(24, 10\)"):
        ssim(clip(0, width=10), clip(1, width=10))
    with pytest.raises(InputError, match="2 frames or more, found 1"):
        temporal_error(clip(0, 1), clip(1, 1))
