import numpy as np
import pytest

from anifacediff.errors import InputError, NoFaceError
from anifacediff.tracking.contracts import DetectedFace
from anifacediff.tracking.follower import FaceFollower

IMAGE = np.zeros((200, 300, 3), dtype=np.uint8)
SIZE = 40.0


def face_at(x: float) -> DetectedFace:
    corners = np.array([[x - SIZE / 2, 80.0], [x + SIZE / 2, 80.0 + SIZE]])
    return DetectedFace.at(np.repeat(corners, 34, axis=0))


def followed(*lines: tuple[DetectedFace, ...], face: int | None = None, cut: int | None = None) -> list[float | None]:
    """Where the follower is in each frame; None where it lost the face."""
    answers = iter(lines)
    follower = FaceFollower(lambda image: next(answers), face)
    centres: list[float | None] = []
    for number in range(len(lines)):
        if number == cut:
            follower.look_everywhere()
        found = follower(IMAGE)
        centres.append(None if found is None else (found.box[0] + found.box[2]) / 2)
    assert follower.frame_size == (200, 300)
    return centres


def test_the_nearest_face_is_followed():
    assert followed((face_at(60), face_at(200)), (face_at(190), face_at(70)), face=0) == [60, 70]


def test_a_face_that_was_lost_may_have_gone_farther_the_longer_it_was_away():
    far = 60 + 2.5 * SIZE
    assert followed((face_at(60),), (face_at(far),), (face_at(far),), (face_at(far),)) == [60, None, None, far]


def test_after_a_cut_the_face_may_be_anywhere():
    assert followed((face_at(60),), (face_at(250),), cut=1) == [60, 250]


def test_frames_before_the_first_face_are_passed_over():
    assert followed((), (face_at(60),)) == [None, 60]


def test_a_clip_without_frames_or_faces_is_told_apart():
    follower = FaceFollower(lambda image: (), None)
    with pytest.raises(InputError, match="the clip is empty"):
        follower.check()
    follower(IMAGE)
    with pytest.raises(NoFaceError, match="in any of 1 frames"):
        follower.check()
