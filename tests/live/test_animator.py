"""Tracking and animating frame after frame."""

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from jaxtyping import UInt8

from anifacediff.assemblies import AniFaceDiffPipeline, MagicPortraitPipeline, MIMAFacePipeline
from anifacediff.assemblies.pipeline import AnimationPipeline
from anifacediff.errors import InputError, MediaError, SeveralFacesError
from anifacediff.geometry.contracts import LandmarkedModel
from anifacediff.live import FrameAnimator, LiveTracker, at_own_speed, camera_frames
from anifacediff.media import VideoSource, read_image
from anifacediff.tracking import TrackedImage, default_tracker, projected_landmarks, track_clip, track_image

SAMPLES = Path(__file__).parents[2] / "examples" / "media"
FRAMES = 5
SIZE = 256


@pytest.fixture(scope="module")
def frames() -> list[UInt8[np.ndarray, "h w 3"]]:
    return list(islice(VideoSource(SAMPLES / "driving.mp4"), FRAMES))


@pytest.fixture(scope="module")
def pipe() -> AniFaceDiffPipeline:
    return AniFaceDiffPipeline.untrained(image_size=64)


def model_of(pipe: AnimationPipeline) -> LandmarkedModel:
    model = pipe.alignment.morphable_model
    assert isinstance(model, LandmarkedModel)
    return model


@pytest.fixture(scope="module")
def avatar(pipe: AniFaceDiffPipeline) -> TrackedImage:
    return track_image(read_image(SAMPLES / "avatar.png"), tracker=default_tracker(), model=model_of(pipe))


def test_the_face_is_where_it_is_found_in_the_whole_clip(pipe: AniFaceDiffPipeline, frames: list[Any]):
    """Compared in pixels of the frames: the crops differ, and so do identities, told by one frame or by all."""
    model = model_of(pipe)
    follow = LiveTracker(default_tracker(), model, smoothing=0.0)
    whole = track_clip(frames, tracker=default_tracker(), model=model, smoothing=0.0)
    for number, frame in enumerate(frames):
        seen = follow(frame)
        assert seen is not None
        assert follow.crop is not None
        live = follow.crop.from_crop(SIZE)(projected_landmarks(model, seen))
        clip = whole.crop.from_crop(SIZE)(projected_landmarks(model, whole.parameters[number : number + 1]))
        assert (live - clip).norm(dim=-1).mean() < 3  # of a face of 100 pixels
    seen = follow(np.zeros_like(frames[0]))
    assert seen is not None  # the last is held


def test_smoothing_looks_back_only_and_goes_toward_what_is_seen(pipe: AniFaceDiffPipeline, frames: list[Any]):
    raw, smooth = (LiveTracker(default_tracker(), model_of(pipe), smoothing=each) for each in (0.0, 1.0))
    mean: torch.Tensor | None = None
    for frame in frames[:3]:
        exact, smoothed = raw(frame), smooth(frame)
        assert exact is not None
        assert smoothed is not None
        mean = exact.expression if mean is None else (mean + exact.expression) / 2
        torch.testing.assert_close(smoothed.expression, mean)
        torch.testing.assert_close(smoothed.shape, exact.shape)


def test_bad_settings_and_several_faces_are_errors(pipe: AniFaceDiffPipeline, frames: list[Any]):
    with pytest.raises(InputError, match="0 or more, found -1"):
        LiveTracker(default_tracker(), model_of(pipe), smoothing=-1.0)
    with pytest.raises(SeveralFacesError):
        LiveTracker(default_tracker(), model_of(pipe))(np.hstack([frames[0], frames[0]]))
    assert LiveTracker(default_tracker(), model_of(pipe))(np.zeros_like(frames[0])) is None


def test_single_frames_are_those_of_the_clip_and_the_reference_is_read_once(
    pipe: AniFaceDiffPipeline, avatar: TrackedImage, frames: list[Any], monkeypatch: pytest.MonkeyPatch
):
    driving = track_clip(frames, tracker=default_tracker(), model=model_of(pipe)).parameters
    rows = iter([None, *(driving[number : number + 1] for number in range(FRAMES))])
    readings: list[object] = []
    prepare = pipe.prepare

    def counted(*given: Any) -> Any:
        readings.append(given)
        return prepare(*given)

    monkeypatch.setattr(pipe, "prepare", counted)
    animate = FrameAnimator(pipe, avatar, lambda image: next(rows), num_inference_steps=2, start="shared")
    assert animate(frames[0]) is None
    single = [animate(frame) for frame in frames]
    assert len(readings) == 1
    clip = list(pipe.stream(avatar, driving, num_inference_steps=2, start="shared", window_size=1, overlap=0))
    for one, other in zip(single, clip, strict=True):
        assert one is not None
        assert np.abs(one.image.astype(int) - other.image).max() <= 1
        assert (one.control == other.control).all()


def test_clips_of_other_assemblies_go_on_or_say_that_they_cannot(avatar: TrackedImage, frames: list[Any]):
    magic = MagicPortraitPipeline.untrained()
    shown = FrameAnimator(magic, avatar, LiveTracker(default_tracker(), model_of(magic)), num_inference_steps=1)(
        frames[0]
    )
    assert shown is not None
    mimaface = MIMAFacePipeline.untrained()
    track = LiveTracker(default_tracker(), model_of(mimaface))
    with pytest.raises(InputError, match="cannot be continued"):
        FrameAnimator(mimaface, avatar, track)(frames[0])


def test_a_camera_is_read_and_one_that_is_not_there_is_an_error():
    with pytest.raises(MediaError, match="no pictures from this camera"):
        next(camera_frames("/dev/no-such-camera"))
    first = next(camera_frames("testsrc=size=64x48:rate=10", reader="lavfi"))  # FFmpeg's picture for tests
    assert first.shape == (48, 64, 3)
    assert first.std() > 50


def test_a_clip_is_played_at_its_own_speed(frames: list[Any]):
    clip, now, slept = VideoSource(SAMPLES / "driving.mp4"), [100.0], list[float]()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    playing = at_own_speed(clip, clock=lambda: now[0], sleep=sleep)
    for number, frame in enumerate(islice(playing, 3)):
        assert (frame == frames[number]).all()
        assert now[0] == pytest.approx(100 + number / 24)
    now[0] += 1  # whoever takes them is slow: nothing is waited for
    next(playing)
    assert len(slept) == 2
