import subprocess
import sys
import warnings
from pathlib import Path

import anifacediff_dlib.models as models
import numpy as np
import pytest
from anifacediff_dlib.models import NonCommercialDataWarning
from anifacediff_dlib.tracker import DlibTracker

from anifacediff.errors import PluginError
from anifacediff.media.images import read_image
from anifacediff.registry import registry
from anifacediff.tracking.contracts import LandmarkDetector, Tracker

MEDIA = Path(__file__).parents[3].parent / "shared/media"
needs_media = pytest.mark.skipif(not MEDIA.is_dir(), reason=f"the example pictures are not at {MEDIA}")
quiet = pytest.mark.filterwarnings("ignore:dlib's 68-landmark file")


@pytest.fixture(scope="module")
def bust() -> np.ndarray:
    return read_image(MEDIA / "avatar-terracotta.jpg")


def test_the_registry_offers_it():
    tracker = registry.trackers["dlib"]()
    assert isinstance(tracker, Tracker)
    assert isinstance(tracker, LandmarkDetector)


def test_importing_the_plugin_loads_neither_dlib_nor_torch():
    code = "import sys, anifacediff_dlib; sys.exit(bool({'dlib', '_dlib_pybind11', 'torch'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_check_above_can_fail():
    code = "import sys, anifacediff_dlib.tracker; sys.exit(bool({'dlib', '_dlib_pybind11'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 1


def test_the_licence_of_the_landmark_file_is_told_once():
    models.landmark_predictor.cache_clear()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        models.landmark_predictor()
        models.landmark_predictor()
    told = [warning for warning in caught if warning.category is NonCommercialDataWarning]
    assert len(told) == 1
    assert "excludes commercial use" in str(told[0].message)


def test_a_missing_model_file_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(models, "_DISTRIBUTION", "no_such_distribution")
    models.convolutional_detector.cache_clear()
    with pytest.raises(PluginError, match=r"mmod_human_face_detector\.dat.*pip install no_such_distribution"):
        models.convolutional_detector()


@pytest.mark.parametrize("side", [1, 7, 8, 9, 10, 64])
def test_no_face_is_an_empty_answer(side: int):
    assert DlibTracker()(np.full((side, side, 3), 90, np.uint8)) == ()


@quiet
@needs_media
def test_landmarks_lie_where_the_face_is(bust: np.ndarray):
    (face,) = DlibTracker()(bust)
    eyes, mouth, chin = face.landmarks[36:48], face.landmarks[48:68], face.landmarks[8]
    np.testing.assert_allclose(eyes.mean(0), [364, 312], atol=20)
    assert eyes[:, 1].max() < mouth[:, 1].min() < chin[1]
    assert face.landmarks[36:42, 0].mean() < face.landmarks[42:48, 0].mean()


@quiet
@needs_media
def test_a_moved_picture_moves_the_face(bust: np.ndarray):
    (here,) = DlibTracker()(bust)
    (there,) = DlibTracker()(np.pad(bust, ((32, 0), (64, 0), (0, 0)), mode="edge"))
    np.testing.assert_allclose(np.mean(there.landmarks - here.landmarks, axis=0), [64, 32], atol=2)


@quiet
@needs_media
def test_a_reduced_search_answers_in_pixels_of_the_image(bust: np.ndarray):
    (whole,) = DlibTracker()(bust)
    (reduced,) = DlibTracker(largest_side=400)(bust)
    np.testing.assert_allclose(reduced.box, whole.box, atol=25)
    np.testing.assert_allclose(reduced.landmarks, whole.landmarks, atol=8)


@quiet
@needs_media
def test_the_largest_face_comes_first(bust: np.ndarray):
    shrunk = bust[::2, ::2]
    both = np.concatenate([np.pad(shrunk, ((0, len(bust) - len(shrunk)), (0, 0), (0, 0)), mode="edge"), bust], axis=1)
    first, second = DlibTracker()(both)
    assert first.box[0] > shrunk.shape[1] > second.box[2]


@quiet
@needs_media
def test_a_face_that_the_frontal_detector_misses_is_found_otherwise():
    painting = read_image(MEDIA / "avatar-pearl-earring.jpg")
    assert DlibTracker(doublings=(0,), convolutional=False)(painting) == ()
    (doubled,) = DlibTracker(convolutional=False)(painting)
    (network,) = DlibTracker(doublings=(0,))(painting)
    np.testing.assert_allclose(network.landmarks, doubled.landmarks, atol=40)


@quiet
@needs_media
def test_landmarks_inside_a_box_given_by_hand(bust: np.ndarray):
    (found,) = DlibTracker()(bust)
    given = DlibTracker().inside(bust, found.box)
    np.testing.assert_array_equal(given.landmarks, found.landmarks)
