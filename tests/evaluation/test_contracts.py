"""What an animation must be, what makes a metric one, and what extractors may answer."""

import math
from collections.abc import Sequence

import pytest
import torch
from jaxtyping import TypeCheckError

from anifacediff.errors import InputError, ShapeError
from anifacediff.evaluation import Animation, ClipMetric, FrameExtractor, SetMetric
from anifacediff.evaluation.contracts import clip_features, frame_features
from anifacediff.shapes import Float, Tensor

CLIP = torch.rand(3, 3, 4, 5)


def mean_colour(images: Float[Tensor, "f 3 h w"]) -> Float[Tensor, "f 3"]:
    return images.mean((2, 3))


def test_what_is_missing_is_asked_for_by_name():
    animation = Animation(CLIP, CLIP[:1], truth=CLIP)
    assert animation.needed("truth", "PSNR") is CLIP
    with pytest.raises(InputError, match=r"APD needs Animation.driving, but it is None; give it, or leave APD out"):
        animation.needed("driving", "APD")


@pytest.mark.parametrize(
    ("field", "images", "message"),
    [
        ("output", CLIP[:, :2], r"Animation.output: expected shape .* found \(3, 2, 4, 5\)"),
        ("truth", CLIP[:2], r"Animation.truth: .* = \(3, 3, 4, 5\), found \(2, 3, 4, 5\)"),
        ("driving", CLIP[..., :4], r"Animation.driving: .* found \(3, 3, 4, 4\)"),
        ("reference", CLIP, r"Animation.reference: .* = \(1, 3, 4, 5\)"),
        ("truth", CLIP[0], r"Animation.truth: .* found \(3, 4, 5\)"),
    ],
)
def test_images_that_do_not_fit_are_refused(field: str, images: Tensor, message: str):
    with pytest.raises((ShapeError, TypeCheckError), match=rf"{message}|typechecking parameter '{field}'"):
        Animation(**{"output": CLIP, "reference": CLIP[:1], field: images})


@pytest.mark.parametrize("field", ["output", "reference", "truth", "driving"])
def test_values_that_are_not_finite_are_refused(field: str):
    frames = {"output": CLIP, "reference": CLIP[:1], "truth": CLIP, "driving": CLIP}
    broken = frames[field].clone()
    broken[0, 1, 2, 3] = math.nan
    with pytest.raises(
        InputError, match=rf"Animation.{field}: 1 of .* NaN or infinite, the first at index \(0, 1, 2, 3"
    ):
        Animation(**{**frames, field: broken})


def test_a_clip_without_frames_is_refused():
    with pytest.raises(InputError, match="nothing to judge"):
        Animation(CLIP[:0], CLIP[:1])


class OfClips:
    unit = "dB"
    higher_is_better = True

    def __call__(self, animation: Animation) -> float:
        return 1.0


class OfSets:
    unit = ""
    higher_is_better = False
    sampling = "every frame"

    def __call__(self, animations: Sequence[Animation]) -> float:
        return 1.0


def test_metrics_of_clips_and_of_sets_are_told_apart():
    assert isinstance(OfClips(), ClipMetric)
    assert isinstance(OfSets(), SetMetric)
    assert not isinstance(OfClips(), SetMetric)
    assert not isinstance(mean_colour, ClipMetric)


def test_any_function_of_images_is_an_extractor_and_sees_them_clipped():
    assert isinstance(mean_colour, FrameExtractor)
    found = frame_features(mean_colour, CLIP * 5 - 1)
    torch.testing.assert_close(found, (CLIP * 5 - 1).clamp(0, 1).mean((2, 3)))


def test_features_take_no_gradient():
    assert not frame_features(mean_colour, CLIP.clone().requires_grad_()).requires_grad


def too_few(images: Tensor) -> Tensor:
    return images[:-1].mean((2, 3))


def one_number(images: Tensor) -> Tensor:
    return images.mean((1, 2, 3))


def infinite(images: Tensor) -> Tensor:
    return images.mean((2, 3)) / 0


@pytest.mark.parametrize(
    ("extractor", "message"),
    [
        (too_few, r"features of extractor too_few: expected .* = \(3, any\), found \(2, 3\)"),
        (one_number, r"features of extractor one_number: .* found \(3,\)"),
        (infinite, "features of extractor infinite: 9 of 9 values are NaN or infinite"),
    ],
)
def test_an_extractor_that_misbehaves_is_named(extractor: FrameExtractor, message: str):
    with pytest.raises(InputError, match=message):
        frame_features(extractor, CLIP)


def test_an_extractor_of_clips_must_give_a_row_for_each():
    with pytest.raises(ShapeError, match=r"features of extractor clumsy: .* found \(1, 3\)"):
        clip_features(clumsy, CLIP[None].expand(2, -1, -1, -1, -1))


def clumsy(clips: Tensor) -> Tensor:
    return clips.mean((0, 1, 3, 4))[None]
