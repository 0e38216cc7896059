"""How far a mean could be off, had other people been cast."""

from dataclasses import dataclass

import torch

from anifacediff.errors import InputError
from anifacediff.shapes import Float, Int, Tensor, check_finite, check_shape


@dataclass(frozen=True)
class Interval:
    """A mean and the interval it lies in.

    Attributes:
        mean: of all values.
        low: lower end.
        high: upper end.
        n: how many independent groups there are; of one, nothing is known, and the ends are the mean.
    """

    mean: float
    low: float
    high: float
    n: int


def interval(
    values: Float[Tensor, "n"],
    groups: Int[Tensor, "n"] | None = None,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Estimate a mean with a percentile bootstrap interval; whole groups are drawn with replacement.

    Args:
        values: n figures.
        groups: n, whom each is from, since figures of one identity are not independent; each from another if None.
        confidence: share of the resampled means within the interval.
        resamples: how many are drawn.
        seed: of the draws; the same gives the same interval.

    Raises:
        ShapeError: if there is not one group for each value.
        InputError: if there are no values, one is NaN or infinite, or an option is out of its range.

    Source: Efron and Tibshirani, An introduction to the bootstrap, 1993, chapters 8 and 13.
    """
    check_shape("values", values, "n", None)
    check_finite("values", values)
    if not len(values):
        raise InputError("values: there are none to take the mean of.")
    if not 0 < confidence < 1 or resamples < 1:
        raise InputError(f"expected 0 < confidence < 1 and resamples >= 1, found {confidence} and {resamples}.")
    sums, counts = _grouped(values.double().cpu(), groups)
    drawn = torch.randint(len(sums), (resamples, len(sums)), generator=torch.Generator().manual_seed(seed))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    tails = means.new_tensor([(1 - confidence) / 2, (1 + confidence) / 2])
    low, high = means.quantile(tails).tolist()
    return Interval(float(sums.sum() / counts.sum()), low, high, len(sums))


def _grouped(
    values: Float[Tensor, "n"], groups: Int[Tensor, "n"] | None
) -> tuple[Float[Tensor, "groups"], Int[Tensor, "groups"]]:
    if groups is None:
        return values, torch.ones(len(values), dtype=torch.long)
    check_shape("groups", groups, "n", len(values))
    _, group, counts = groups.cpu().unique(return_inverse=True, return_counts=True)
    return torch.zeros(len(counts), dtype=values.dtype).index_add(0, group, values), counts
