"""Intervals: near the normal one for many values, wider where values come in groups, the same for a seed."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from anifacediff.errors import InputError, ShapeError
from anifacediff.evaluation import Interval, interval
from anifacediff.shapes import Tensor


def normal(seed: int, number: int) -> Tensor:
    return torch.randn(number, generator=torch.Generator().manual_seed(seed))


def test_many_independent_values_have_the_interval_of_the_normal_distribution():
    values = normal(0, 400) * 3 + 10
    found = interval(values, resamples=4000)
    half = 1.96 * float(values.std(correction=0)) / math.sqrt(400)
    assert found.n == 400
    assert found.mean == pytest.approx(float(values.double().mean()))
    assert found.high - found.mean == pytest.approx(half, rel=0.1)
    assert found.mean - found.low == pytest.approx(half, rel=0.1)


def test_it_covers_the_truth_about_as_often_as_it_says():
    covered = [
        (found := interval(normal(seed, 40), confidence=0.8, resamples=400)).low <= 0 <= found.high
        for seed in range(200)
    ]
    assert 0.7 < sum(covered) / len(covered) < 0.88


def test_copies_of_a_value_add_nothing_when_they_are_of_one_group():
    values = normal(0, 20)
    alone = interval(values)
    copied = interval(values.repeat_interleave(50), torch.arange(20).repeat_interleave(50))
    assert (copied.low, copied.high, copied.n) == pytest.approx((alone.low, alone.high, 20))
    naive = interval(values.repeat_interleave(50))
    assert naive.high - naive.low < (alone.high - alone.low) / 5


def test_a_group_counts_by_its_values():
    values, groups = torch.tensor([0.0, 0.0, 0.0, 4.0]), torch.tensor([9, 9, 9, -3])
    found = interval(values, groups)
    assert found == Interval(1.0, 0.0, 4.0, 2)  # resamples are (9, 9), (9, -3), (-3, -3)


def test_of_one_group_nothing_is_known():
    assert interval(torch.tensor([1.0, 3.0]), torch.tensor([5, 5])) == Interval(2.0, 2.0, 2.0, 1)


@settings(max_examples=20, deadline=None)
@given(values=st.lists(st.integers(-50, 50), min_size=1, max_size=15), seed=st.integers(0, 99))
def test_it_holds_the_mean_lies_within_the_values_and_is_the_same_for_a_seed(values: list[int], seed: int):
    figures = torch.tensor(values, dtype=torch.float64)
    found = interval(figures, confidence=0.999, resamples=500, seed=seed)
    assert found == interval(figures, confidence=0.999, resamples=500, seed=seed)
    assert min(values) - 1e-9 <= found.low <= found.mean + 1e-9
    assert found.mean - 1e-9 <= found.high <= max(values) + 1e-9


def test_seeds_differ_and_more_confidence_is_wider():
    values = normal(0, 12)
    assert interval(values, seed=1) != interval(values, seed=2)
    wide, narrow = interval(values, confidence=0.99), interval(values, confidence=0.5)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_bad_input_is_refused():
    values = normal(0, 4)
    with pytest.raises(InputError, match="values: there are none"):
        interval(values[:0])
    with pytest.raises(InputError, match="values: 1 of 2 values are NaN"):
        interval(torch.tensor([1.0, float("inf")]))
    for confidence, resamples in ((0.0, 10), (1.0, 10), (0.9, 0)):
        with pytest.raises(InputError, match="expected 0 < confidence < 1 and resamples >= 1"):
            interval(values, confidence=confidence, resamples=resamples)
    with pytest.raises((ShapeError, TypeCheckError)):
        interval(values, torch.arange(3))
