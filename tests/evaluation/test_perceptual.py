"""LPIPS: the published formula by loops, zero on the truth, worse the more is blurred."""

from collections.abc import Sequence

import pytest
import torch
from torch.nn.functional import avg_pool2d, conv2d

from anifacediff.errors import InputError, ShapeError
from anifacediff.evaluation import LPIPS, Animation, ClipMetric, LayerExtractor
from anifacediff.shapes import Tensor

KERNELS = torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(0))
MORE_KERNELS = torch.randn(5, 4, 3, 3, generator=torch.Generator().manual_seed(1))
WEIGHTS = (torch.tensor([0.5, 0.0, 2.0, 1.0]), torch.arange(5.0))


def two_layers(images: Tensor) -> tuple[Tensor, Tensor]:
    first = conv2d(images * 2 - 1, KERNELS).relu()
    return first, conv2d(first, MORE_KERNELS, stride=2).relu()


def clip(seed: int) -> Tensor:
    return torch.rand(2, 3, 12, 10, generator=torch.Generator().manual_seed(seed))


def by_loops(found: Tensor, truth: Tensor, weights: Sequence[Tensor]) -> float:
    """Equation 1 of the paper for one picture, place by place, in double precision."""
    total = 0.0
    for ours, theirs, weight in zip(two_layers(found[None]), two_layers(truth[None]), weights, strict=True):
        _, _, height, width = ours.shape
        for y in range(height):
            for x in range(width):
                a, b = ours[0, :, y, x].double(), theirs[0, :, y, x].double()
                difference = a / (a.norm() + 1e-10) - b / (b.norm() + 1e-10)
                total += float((weight.double() * difference**2).sum()) / (height * width)
    return total


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_it_is_the_published_formula(weights: Sequence[Tensor] | None):
    found, truth = clip(0), clip(1)
    expected = [by_loops(a, b, weights or (torch.ones(4), torch.ones(5))) for a, b in zip(found, truth, strict=True)]
    assert LPIPS(two_layers, weights).distance(found, truth).tolist() == pytest.approx(expected, rel=1e-5)
    mean = LPIPS(two_layers, weights)(Animation(found, found[:1], truth=truth))
    assert mean == pytest.approx(sum(expected) / 2, rel=1e-5)


def test_the_truth_is_at_zero_and_blur_at_more_the_stronger_it_is():
    middle = torch.arange(32) - 16
    disc = (middle[:, None] ** 2 + middle**2 < 100).float()
    truth = disc.expand(2, 3, 32, 32) * torch.tensor([0.9, 0.5, 0.3])[:, None, None]
    blurred = [truth, *(avg_pool2d(truth, size, 1, size // 2, count_include_pad=False) for size in (3, 5, 9))]
    metric = LPIPS(two_layers, WEIGHTS)
    figures = [metric(Animation(each, each[:1], truth=truth)) for each in blurred]
    assert figures[0] == 0
    assert figures == sorted(set(figures))


def test_it_is_a_metric_that_needs_the_truth():
    metric = LPIPS(two_layers)
    assert isinstance(metric, ClipMetric)
    with pytest.raises(InputError, match=r"LPIPS needs Animation.truth"):
        metric(Animation(clip(0), clip(0)[:1]))


def flat_layers(images: Tensor) -> tuple[Tensor, ...]:
    return (images.flatten(1),)


def short_layers(images: Tensor) -> tuple[Tensor, ...]:
    return (images[:1],)


@pytest.mark.parametrize(
    ("layers", "weights", "message"),
    [
        (two_layers, WEIGHTS[:1], "LPIPS.weights: are for 1 layers, but the extractor gave 2"),
        (two_layers, WEIGHTS[::-1], r"LPIPS.weights\[0\]: expected shape \(c\) = \(4\), found \(5,\)"),
        (flat_layers, None, r"layer 0 of LPIPS: expected shape .* found \(2, 360\)"),
        (short_layers, None, r"layer 0 of LPIPS: .* = \(2, any, any, any\), found \(1, 3, 12, 10\)"),
    ],
)
def test_layers_that_do_not_fit_are_refused(layers: LayerExtractor, weights: Sequence[Tensor] | None, message: str):
    with pytest.raises(ShapeError, match=message):
        LPIPS(layers, weights).distance(clip(0), clip(1))


@pytest.mark.parametrize("value", [-0.5, float("nan")])
def test_weights_must_be_finite_and_not_negative(value: float):
    with pytest.raises(InputError, match=r"LPIPS.weights\[1\]"):
        LPIPS(two_layers, (WEIGHTS[0], torch.tensor([1.0, value])))
