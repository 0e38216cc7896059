"""AUC of detectors: equal to comparing every pair."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from anifacediff.errors import InputError, ShapeError
from anifacediff.evaluation import frame_auc, video_auc
from anifacediff.shapes import Tensor


def by_pairs(fakes: list[float], reals: list[float]) -> float:
    wins = [1.0 if fake > real else 0.5 if fake == real else 0.0 for fake in fakes for real in reals]
    return sum(wins) / len(wins)


def frames(fakes: list[float], reals: list[float]) -> tuple[Tensor, Tensor]:
    scores = torch.tensor(fakes + reals, dtype=torch.float64)
    return scores, torch.arange(len(scores)) < len(fakes)


# few different values, so that many are tied; multiples of 1/8, so that means of equal videos are exactly equal
score_lists = st.lists(st.integers(-4, 4).map(lambda value: value / 8), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(fakes=score_lists, reals=score_lists, order=st.integers(0, 2**31))
def test_frame_auc_is_the_share_of_pairs_that_are_told_apart(fakes: list[float], reals: list[float], order: int):
    scores, fake = frames(fakes, reals)
    mixed = torch.randperm(len(scores), generator=torch.Generator().manual_seed(order))
    assert frame_auc(scores[mixed], fake[mixed]) == pytest.approx(by_pairs(fakes, reals), abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(fakes=score_lists, reals=score_lists)
def test_auc_keeps_under_a_rising_map_and_turns_with_the_labels(fakes: list[float], reals: list[float]):
    scores, fake = frames(fakes, reals)
    found = frame_auc(scores, fake)
    assert frame_auc(scores.exp(), fake) == pytest.approx(found)
    assert frame_auc(scores, ~fake) == pytest.approx(1 - found)


@settings(max_examples=40, deadline=None)
@given(
    fakes=st.lists(score_lists.filter(lambda each: len(each) in (1, 2, 4, 8)), min_size=1, max_size=4),
    reals=st.lists(score_lists.filter(lambda each: len(each) in (1, 2, 4, 8)), min_size=1, max_size=4),
)
def test_video_auc_compares_the_means_of_videos(fakes: list[list[float]], reals: list[list[float]]):
    videos = fakes + reals
    scores = torch.tensor([score for video in videos for score in video])
    number = torch.tensor([7 - index for index, video in enumerate(videos) for _ in video])
    fake = number > 7 - len(fakes)
    means = [sum(video) / len(video) for video in videos]
    expected = by_pairs(means[: len(fakes)], means[len(fakes) :])
    assert video_auc(scores, fake, number) == pytest.approx(expected, abs=1e-12)


def test_a_perfect_detector_a_blind_one_and_one_that_is_always_wrong():
    scores, fake = frames([0.9, 0.8], [0.1, 0.2, 0.3])
    assert frame_auc(scores, fake) == 1
    assert frame_auc(torch.ones(5), fake) == 0.5
    assert frame_auc(-scores, fake) == 0


def test_many_frames_take_no_pairs():
    scores = torch.arange(400_000, dtype=torch.float64)
    assert frame_auc(scores, scores >= 200_000) == 1


def test_bad_input_is_refused():
    scores, fake = frames([0.9, 0.8], [0.1, 0.2, 0.3])
    with pytest.raises(InputError, match="found 0 fake and 5 real"):
        frame_auc(scores, torch.zeros(5, dtype=torch.bool))
    with pytest.raises(InputError, match="found 5 fake and 0 real"):
        frame_auc(scores, torch.ones(5, dtype=torch.bool))
    with pytest.raises(InputError, match="scores: 1 of 5 values are NaN"):
        frame_auc(torch.tensor([0.0, float("nan"), 1.0, 1.0, 1.0]), fake)
    with pytest.raises(InputError, match="video 4: has both fake and real frames"):
        video_auc(scores, fake, torch.tensor([2, 4, 4, 5, 5]))
    with pytest.raises((ShapeError, TypeCheckError)):
        video_auc(scores, fake, torch.arange(4))
    with pytest.raises((ShapeError, TypeCheckError)):
        frame_auc(scores[:4], fake)
