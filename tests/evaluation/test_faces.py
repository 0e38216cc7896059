"""Identity, pose and expression: exact on planted features, monotone in what is wrong."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from anifacediff.errors import InputError, ShapeError
from anifacediff.evaluation import AED, APD, CSIM, Animation, ClipMetric, FrameExtractor, cosine
from anifacediff.shapes import Tensor


def planted(features: Tensor) -> Tensor:
    """Pictures in whose first row of red the features, between 0 and 1, are written."""
    images = torch.zeros(len(features), 3, 4, features.shape[1])
    images[:, 0, 0] = features
    return images


def written(images: Tensor) -> Tensor:
    return images[:, 0, 0]


def random_features(seed: int, frames: int = 5, width: int = 6) -> Tensor:
    return torch.rand(frames, width, generator=torch.Generator().manual_seed(seed))


def driven(found: Tensor, driving: Tensor) -> Animation:
    return Animation(planted(found), planted(found[:1]), driving=planted(driving))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), width=st.integers(1, 8), one=st.booleans())
def test_cosine_is_the_formula(seed: int, width: int, one: bool):
    a = random_features(seed, 4, width) - 0.5
    b = random_features(seed + 1, 1 if one else 4, width) - 0.5
    rows = zip(a.tolist(), (b.expand_as(a)).tolist(), strict=True)
    expected = [
        sum(x * y for x, y in zip(u, v, strict=True)) / math.sqrt(sum(x * x for x in u) * sum(y * y for y in v))
        for u, v in rows
    ]
    assert cosine(a, b).tolist() == pytest.approx(expected, abs=1e-5)


def test_rows_that_do_not_match_are_refused():
    for other in (random_features(0, 3), random_features(0, 5, 4), random_features(0)[0]):
        with pytest.raises((ShapeError, TypeCheckError)):
            cosine(random_features(0), other)


def test_csim_falls_as_another_identity_is_mixed_in():
    ours, other = torch.eye(6)[0], torch.eye(6)[1]

    def shown(share: float) -> Animation:
        mixed = ((1 - share) * ours + share * other).expand(3, 6)
        return Animation(planted(mixed), planted(ours[None]))

    figures = [CSIM(written)(shown(share)) for share in (0, 0.25, 0.5, 1)]
    assert figures == pytest.approx([1, 0.75 / math.hypot(0.75, 0.25), math.sqrt(0.5), 0])


def test_csim_is_the_mean_over_frames():
    frames = torch.eye(4)[[0, 0, 0, 2]]
    assert CSIM(written)(Animation(planted(frames), planted(frames[:1]))) == pytest.approx(0.75)


@pytest.mark.parametrize("metric", [APD(written), AED(written), APD(written, "l2"), AED(written, norm="l2")])
def test_the_driving_clip_is_at_zero_from_itself(metric: ClipMetric):
    assert isinstance(metric, ClipMetric)
    assert metric(driven(random_features(0), random_features(0))) == 0


@pytest.mark.parametrize("metric", [APD, AED])
def test_distances_grow_with_an_offset(metric: type[APD] | type[AED]):
    driving = random_features(0) / 2
    for offset in (0.01, 0.1, 0.4):
        animation = driven(driving + offset, driving)
        assert metric(written)(animation) == pytest.approx(offset, rel=1e-4)
        assert metric(written, "l2")(animation) == pytest.approx(offset * math.sqrt(6), rel=1e-4)


def test_each_frame_is_held_against_its_own():
    driving = random_features(0)
    expected = (driving.flip(0) - driving).abs().mean()
    assert APD(written)(driven(driving.flip(0), driving)) == pytest.approx(float(expected))


@pytest.mark.parametrize("metric", [APD(written), AED(written)])
def test_without_a_driving_clip_there_is_no_figure(metric: ClipMetric):
    images = planted(random_features(0))
    with pytest.raises(InputError, match=r"A[PE]D needs Animation.driving"):
        metric(Animation(images, images[:1], truth=images))


def drops_a_frame(images: Tensor) -> Tensor:
    return written(images)[1:]


def keeps_the_picture(images: Tensor) -> Tensor:
    return images


@pytest.mark.parametrize("extractor", [drops_a_frame, keeps_the_picture])
def test_an_extractor_of_other_shapes_is_named(extractor: FrameExtractor):
    animation = driven(random_features(0), random_features(1))
    for metric in (CSIM(extractor), APD(extractor), AED(extractor)):
        with pytest.raises(ShapeError, match=r"features of extractor (drops_a_frame|keeps_the_picture)"):
            metric(animation)


def test_an_extractor_whose_width_changes_is_refused():
    widths = iter((6, 5))

    def fickle(images: Tensor) -> Tensor:
        return written(images)[:, : next(widths)]

    with pytest.raises(ShapeError, match=r"features of the driving clip: .* = \(5, 6\), found \(5, 5\)"):
        APD(fickle)(driven(random_features(0), random_features(1)))
