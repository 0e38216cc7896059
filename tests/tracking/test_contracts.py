import numpy as np
import pytest

from anifacediff.errors import InputError
from anifacediff.tracking import DetectedFace, ManualBox, ManualTracker, Tracker

IMAGE = np.zeros((8, 8, 3), np.uint8)
POINTS = np.random.default_rng(0).uniform(0, 50, (68, 2))


def test_a_face_given_by_hand_has_the_box_of_its_landmarks():
    face = DetectedFace.at(POINTS.astype(np.float32))
    assert face.box == pytest.approx((*POINTS.min(0), *POINTS.max(0)))
    assert face.landmarks.dtype == np.float64


def test_landmarks_must_be_finite():
    broken = POINTS.copy()
    broken[3, 1] = np.nan
    with pytest.raises(InputError, match="NaN"):
        DetectedFace.at(broken)


def test_the_manual_tracker_answers_what_it_was_given():
    face = DetectedFace.at(POINTS)
    tracker = ManualTracker((face,))
    assert isinstance(tracker, Tracker)
    assert tracker(IMAGE) == (face,)


class Detector:
    def inside(self, image: np.ndarray, box: tuple[float, float, float, float]) -> DetectedFace:
        return DetectedFace(box, POINTS)


def test_a_box_by_hand_goes_to_the_landmark_detector():
    (face,) = ManualBox(Detector(), (1.0, 2.0, 3.0, 4.0))(IMAGE)
    assert face.box == (1.0, 2.0, 3.0, 4.0)


def test_a_box_by_hand_may_reach_out_of_the_picture_but_lies_in_it():
    height, width = (float(side) for side in IMAGE.shape[:2])
    assert ManualBox(Detector(), (-width, -height, width, height))(IMAGE)
    for x, y in ((-width, 0.0), (width, 0.0), (0.0, -height), (0.0, height)):
        box = (x + 1.0, y + 1.0, x + width - 1.0, y + height - 1.0)
        with pytest.raises(InputError, match=r"its middle lies outside of the picture, 8x8 pixels"):
            ManualBox(Detector(), box)(IMAGE)
