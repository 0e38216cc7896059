"""Faces found by dlib and fitted with the built-in head: the bundled clip, and real ones where they are present."""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from anifacediff.geometry.head import ParametricHead
from anifacediff.media.images import read_image
from anifacediff.media.video import VideoSource
from anifacediff.tracking import default_tracker, track_clip, track_image

ROOT = Path(__file__).parents[2]
BUNDLED = ROOT / "examples/media/driving.mp4"
MEDIA = ROOT.parent / "shared/media"
AVATARS = ("avatar-boy-3d", "avatar-terracotta", "avatar-mona-lisa", "avatar-pearl-earring")

pytest.importorskip("anifacediff_dlib", reason="the plugin anifacediff-dlib is not installed")
pytestmark = pytest.mark.filterwarnings("ignore:dlib's 68-landmark file")
needs_media = pytest.mark.skipif(not MEDIA.is_dir(), reason=f"the example pictures are not at {MEDIA}")


@pytest.fixture(scope="module")
def head() -> ParametricHead:
    return ParametricHead()


@needs_media
@pytest.mark.parametrize("name", AVATARS)
def test_avatars_are_found_and_fitted(name: str, head: ParametricHead):
    tracked = track_image(read_image(MEDIA / f"{name}.jpg"), tracker=default_tracker(), model=head)
    assert tracked.image.shape == (256, 256, 3)
    assert tracked.reprojection_error <= 0.05


@needs_media
def test_the_girl_with_the_pearl_earring_looks_to_the_left_of_the_picture(head: ParametricHead):
    tracked = track_image(read_image(MEDIA / "avatar-pearl-earring.jpg"), tracker=default_tracker(), model=head)
    assert -1.0 < float(tracked.parameters.pose[0, 0, 1]) < -0.3


@needs_media
@pytest.mark.parametrize("name", ["driving-18", "driving-19"])
def test_real_clips_are_followed(name: str, head: ParametricHead):
    check_followed(islice(VideoSource(MEDIA / f"{name}.mp4"), 0, None, 2), head)


def test_the_bundled_clip_is_followed(head: ParametricHead):
    check_followed(VideoSource(BUNDLED), head)


def check_followed(frames: Iterable[np.ndarray], head: ParametricHead) -> None:
    clip = track_clip(frames, tracker=default_tracker(), model=head)
    assert clip.report.missing == ()
    assert float((clip.report.reprojection_error <= 0.05).float().mean()) >= 0.95
