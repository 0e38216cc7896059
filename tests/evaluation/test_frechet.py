"""Fréchet distances: equal to scipy's root of a matrix, to the closed form, and zero on equal sets."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from scipy.linalg import sqrtm
from torch.nn.functional import avg_pool2d

from anifacediff.errors import InputError, ShapeError
from anifacediff.evaluation import FID, FVD, Animation, SetMetric, frechet_distance
from anifacediff.evaluation.contracts import Answer
from anifacediff.shapes import Tensor


def samples(seed: int, number: int, width: int) -> Tensor:
    chance = torch.Generator().manual_seed(seed)
    mixing = torch.randn(width, width, generator=chance, dtype=torch.float64)
    return torch.randn(number, width, generator=chance, dtype=torch.float64) @ mixing + mixing[0]


def by_scipy(found: Tensor, real: Tensor) -> float:
    """The formula as it is written, with the population's covariance."""
    a, b = (np.cov(each.numpy().T, bias=True) for each in (found, real))
    shift = (found.mean(0) - real.mean(0)).square().sum()
    return float(shift) + float(np.trace(a + b - 2 * np.real(sqrtm(a @ b))))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), n=st.integers(8, 40), m=st.integers(8, 40), width=st.integers(2, 6))
def test_it_is_the_formula_by_scipy(seed: int, n: int, m: int, width: int):
    found, real = samples(seed, n, width), samples(seed + 1, m, width)
    assert frechet_distance(found, real) == pytest.approx(by_scipy(found, real), rel=1e-6, abs=1e-8)
    assert frechet_distance(real, found) == pytest.approx(frechet_distance(found, real), rel=1e-9)


def test_it_is_the_closed_form_of_independent_normal_distributions():
    corners = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])  # mean 0, covariance 1
    found = corners * torch.tensor([2.0, 5.0]) + torch.tensor([3.0, -4.0])
    assert frechet_distance(found, corners) == pytest.approx(3**2 + 4**2 + (2 - 1) ** 2 + (5 - 1) ** 2)


@pytest.mark.parametrize(("number", "width"), [(2, 64), (20, 64), (100, 8)])
def test_equal_sets_are_at_zero_in_any_order(number: int, width: int):
    found = samples(0, number, width).float() * 100
    scale = float(found.double().square().sum())
    assert frechet_distance(found, found.flip(0)) < 1e-13 * scale


def test_few_samples_of_many_features_are_no_trouble():
    found, real = samples(0, 3, 32), samples(1, 5, 32)
    assert frechet_distance(found, real) == pytest.approx(by_scipy(found, real), rel=1e-4)


def test_it_grows_with_the_square_of_a_shift():
    real = samples(0, 50, 4)
    figures = [frechet_distance(real + shift, real) for shift in (0.5, 1.0, 2.0)]
    assert figures == pytest.approx([4 * shift**2 for shift in (0.5, 1.0, 2.0)])


def test_bad_sets_are_refused():
    real = samples(0, 5, 4)
    with pytest.raises(InputError, match="2 samples or more of each set, found 1 and 5"):
        frechet_distance(real[:1], real)
    with pytest.raises((ShapeError, TypeCheckError)):
        frechet_distance(real[:, :3], real)
    with pytest.raises((ShapeError, TypeCheckError)):
        frechet_distance(real[0], real)


# ---------------------------------------------------------------- of pictures and clips


def frame_look(images: Tensor) -> Tensor:
    return torch.cat([images.mean((2, 3)), images.std((2, 3)), images.diff(dim=3).abs().mean((2, 3))], dim=1)


def clip_look(clips: Tensor) -> Tensor:
    return torch.cat([clips.mean((1, 3, 4)), clips.diff(dim=1).abs().mean((1, 3, 4))], dim=1)


def truths(frames: int = 20) -> list[Tensor]:
    chance = torch.Generator().manual_seed(0)
    return [torch.rand(frames, 3, 12, 12, generator=chance) * (0.4 + 0.1 * index) for index in range(5)]


def judged(outputs: list[Tensor], real: list[Tensor], answer: Answer = "truth") -> list[Animation]:
    return [Animation(a, a[:1], **{answer: b}) for a, b in zip(outputs, real, strict=True)]


METRICS: tuple[SetMetric, ...] = (FID(frame_look), FVD(clip_look))


@pytest.mark.parametrize("metric", METRICS)
def test_the_truth_is_at_zero(metric: SetMetric):
    assert isinstance(metric, SetMetric)
    assert metric(judged(truths(), truths())) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_the_more_is_blurred_the_farther_it_is(metric: SetMetric):
    real = truths()
    figures = [metric(judged([blur(each, size) for each in real], real)) for size in (1, 3, 5, 9)]
    assert figures == sorted(set(figures))


def blur(images: Tensor, size: int) -> Tensor:
    return avg_pool2d(images, size, 1, size // 2, count_include_pad=False)


def test_fid_takes_every_frame():
    found, real = [blur(each, 3) for each in truths(3)], truths(3)
    expected = frechet_distance(frame_look(torch.cat(found)), frame_look(torch.cat(real)))
    assert FID(frame_look)(judged(found, real)) == pytest.approx(expected)
    assert FID(frame_look, against="driving")(judged(found, real, "driving")) == pytest.approx(expected)


def test_fvd_sees_the_order_of_frames_and_fid_does_not():
    real = [each * torch.linspace(0, 1, 20)[:, None, None, None] for each in truths()]
    shuffled = [each[torch.randperm(20, generator=torch.Generator().manual_seed(1))] for each in real]
    assert FID(frame_look)(judged(shuffled, real)) == pytest.approx(0, abs=1e-9)
    assert FVD(clip_look, frames=20)(judged(shuffled, real)) > 0.005


class Seen:
    """An extractor that keeps what it was shown."""

    def __init__(self):
        self.clips: list[Tensor] = []

    def __call__(self, clips: Tensor) -> Tensor:
        self.clips.append(clips[0])
        return clip_look(clips)


def numbered(frames: int) -> Tensor:
    return (torch.arange(frames) / 255)[:, None, None, None].expand(frames, 3, 12, 12)


def frame_numbers(clip: Tensor) -> list[int]:
    return (clip[:, 0, 0, 0] * 255).round().int().tolist()


def test_fvd_takes_sixteen_frames_in_a_row_at_one_place_for_both():
    seen = Seen()
    real = [numbered(100)] * 6
    FVD(seen)(judged(real, real))
    numbers = [frame_numbers(clip) for clip in seen.clips]
    assert all(each == list(range(each[0], each[0] + 16)) for each in numbers)
    assert numbers[:6] == numbers[6:]
    assert len({each[0] for each in numbers}) > 2


def test_the_place_depends_on_the_seed_alone():
    def places(seed: int) -> list[list[int]]:
        seen = Seen()
        FVD(seen, seed=seed)(judged([numbered(100)] * 4, [numbered(100)] * 4))
        return [frame_numbers(clip) for clip in seen.clips]

    assert places(3) == places(3) != places(4)


def test_fvd_can_take_every_eighth_frame():
    seen = Seen()
    metric = FVD(seen, stride=8)
    metric(judged([numbered(121)] * 2, [numbered(121)] * 2))
    assert frame_numbers(seen.clips[0]) == list(range(0, 121, 8))
    assert metric.sampling == "one clip of 16 frames from each, stride 8, at a place drawn with seed 0"


def test_clips_that_are_too_short_or_too_few_are_refused():
    with pytest.raises(InputError, match="needs 16 or more; found 15"):
        FVD(clip_look)(judged(truths(15), truths(15)))
    with pytest.raises(InputError, match="needs 121 or more; found 120"):
        FVD(clip_look, stride=8)(judged(truths(120), truths(120)))
    with pytest.raises(InputError, match="2 samples or more of each set, found 1 and 1"):
        FVD(clip_look)(judged(truths()[:1], truths()[:1]))
    with pytest.raises(InputError, match="found none"):
        FID(frame_look)([])
    with pytest.raises(InputError, match="positive, found 0 and 1"):
        FVD(clip_look, frames=0)


@pytest.mark.parametrize("metric", METRICS)
def test_without_what_is_real_there_is_no_figure(metric: SetMetric):
    with pytest.raises(InputError, match=r"needs Animation\.truth"):
        metric(judged(truths(), truths(), "driving"))


def test_an_extractor_whose_width_changes_is_refused():
    widths = iter(range(3, 9))

    def fickle(images: Tensor) -> Tensor:
        return images.flatten(1)[:, : next(widths)]

    with pytest.raises(ShapeError, match=r"features of the extractor: .* = \(any, 3\), found \(20, 4\)"):
        FID(fickle)(judged(truths()[:2], truths()[:2]))
