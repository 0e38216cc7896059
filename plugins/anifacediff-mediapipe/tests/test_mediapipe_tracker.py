"""The tracker on real pictures. Where the bundle or the pictures are not at hand, those tests are skipped.

The bundle is looked for at the path in ANIFACEDIFF_FACE_LANDMARKER, then among the assets in place.
"""

import os
import subprocess
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from anifacediff_mediapipe.asset import BUNDLE, face_landmarker
from anifacediff_mediapipe.clip import clip_blendshapes
from anifacediff_mediapipe.expression import eyelids, gaze, with_eyes
from anifacediff_mediapipe.faces import MediapipeFace
from anifacediff_mediapipe.tracker import MediapipeTracker
from PIL import Image

from anifacediff.assets.places import asset_folder
from anifacediff.assets.store import place
from anifacediff.errors import AssetError, InputError, NoFaceError
from anifacediff.geometry import ParametricHead
from anifacediff.media.images import read_image
from anifacediff.media.video import VideoSource
from anifacediff.registry import registry
from anifacediff.testing import Check, TrackerCase, parametrize_with_checks, plugin_cases
from anifacediff.tracking import LandmarkDetector, Tracker, track_clip, track_image

MEDIA = Path(__file__).parents[3].parent / "shared/media"
VARIABLE = "ANIFACEDIFF_FACE_LANDMARKER"


def bundle() -> Path:
    given = os.environ.get(VARIABLE)
    return Path(given) if given else asset_folder(face_landmarker()) / BUNDLE.name


FOUND = bundle()
needs_bundle = pytest.mark.skipif(
    not FOUND.is_file(), reason=f"{BUNDLE.name} is neither in place nor named by {VARIABLE}"
)
needs_media = pytest.mark.skipif(not MEDIA.is_dir(), reason=f"the example pictures are not at {MEDIA}")


@pytest.fixture(scope="module")
def tracker() -> MediapipeTracker:
    return MediapipeTracker(FOUND)


@pytest.fixture(scope="module")
def bust() -> np.ndarray:
    return read_image(MEDIA / "avatar-terracotta.jpg")


@pytest.fixture(scope="module")
def clip() -> list[np.ndarray]:
    return every(9, "driving-18.mp4")


def every(step: int, name: str) -> list[np.ndarray]:
    return list(islice(VideoSource(MEDIA / name), 0, None, step))


@pytest.fixture(scope="module")
def faces(tracker: MediapipeTracker, clip: list[np.ndarray]) -> list[MediapipeFace]:
    return [tracker.faces(frame)[0] for frame in clip]


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True).stdout


def test_importing_the_plugin_loads_neither_mediapipe_nor_torch():
    code = "import sys, anifacediff_mediapipe; print({'mediapipe', 'torch'} & set(sys.modules))"
    assert python(code) == "set()\n"


def test_the_check_above_can_fail():
    code = "import sys, anifacediff_mediapipe.tracker; print({'mediapipe'} & set(sys.modules))"
    assert python(code) == "{'mediapipe'}\n"


def test_the_registry_offers_it_and_its_asset():
    assert registry.trackers["mediapipe"] is MediapipeTracker
    asset = registry.assets["face-landmarker"]()
    assert (asset.licence.name, asset.licence.commercial, asset.convert) == ("Apache-2.0", "yes", None)


def test_without_the_file_it_is_told_where_it_comes_from(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("ANIFACEDIFF_ASSETS", str(tmp_path))
    with pytest.raises(AssetError, match=r"face_landmarker\.task from https://storage.*Apache-2\.0.*assets convert"):
        MediapipeTracker()
    with pytest.raises(AssetError, match=r"elsewhere\.task.*face_landmarker\.task from https://.*Apache-2\.0"):
        MediapipeTracker(tmp_path / "elsewhere.task")


@pytest.mark.parametrize(
    "content", [b"", b"no bundle " * 100, b"PK\x05\x06" + 18 * b"\0"], ids=["empty", "text", "zip"]
)
def test_another_file_is_refused(tmp_path: Path, content: bytes):
    path = tmp_path / "other.task"
    path.write_bytes(content)
    with pytest.raises(AssetError, match=r"other\.task: has the sha256"):
        MediapipeTracker(path)
    with pytest.raises(AssetError, match=r"other\.task: MediaPipe cannot read it"):
        MediapipeTracker(path, sha256=None)


def test_a_huge_file_is_not_read(tmp_path: Path):
    path = tmp_path / "huge.task"
    with path.open("wb") as file:
        file.truncate(2**24 + 1)
    with pytest.raises(AssetError, match="16777217 bytes"):
        MediapipeTracker(path, sha256=None)


@needs_bundle
def test_a_damaged_bundle_is_refused(tmp_path: Path):
    whole = FOUND.read_bytes()
    path = tmp_path / "damaged.task"
    for damaged in (whole[:1_000_000], whole[:2000] + b"\x00\xff" + whole[2002:]):
        path.write_bytes(damaged)
        with pytest.raises(AssetError, match=r"damaged\.task.*damaged: get it again"):
            MediapipeTracker(path)


@needs_bundle
def test_the_bundle_is_found_where_assets_are_placed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("ANIFACEDIFF_ASSETS", str(tmp_path))
    place(face_landmarker(), [FOUND])
    tracker = registry.trackers["mediapipe"]()
    assert isinstance(tracker, Tracker)
    assert isinstance(tracker, LandmarkDetector)
    assert tracker(np.full((64, 64, 3), 90, np.uint8)) == ()


@needs_bundle
def test_nothing_is_printed_and_python_ends_whatever_holds_the_tracker():
    """MediaPipe itself prints while it loads, fails when Python ends, and hangs when collected within a cycle."""
    code = (
        "import gc, sys, numpy; from anifacediff_mediapipe.tracker import MediapipeTracker\n"
        "cycle = [MediapipeTracker(sys.argv[1])]\n"
        "cycle[0](numpy.zeros((90, 120, 3), numpy.uint8))\n"
        "cycle.append(cycle); del cycle; gc.collect()\n"
        "kept = MediapipeTracker(sys.argv[1], most_faces=2)\n"
    )
    run = [sys.executable, "-c", code, str(FOUND)]
    ended = subprocess.run(run, check=False, capture_output=True, text=True, timeout=100)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


@needs_bundle
@needs_media
def test_landmarks_lie_where_the_face_is(tracker: MediapipeTracker, bust: np.ndarray):
    (face,) = tracker(bust)
    eyes, mouth, chin = face.landmarks[36:48], face.landmarks[48:68], face.landmarks[8]
    np.testing.assert_allclose(eyes.mean(0), [364, 312], atol=20)
    assert eyes[:, 1].max() < mouth[:, 1].min() < chin[1]
    assert face.landmarks[36:42, 0].mean() < face.landmarks[42:48, 0].mean()
    assert face.box[0] <= face.landmarks[:, 0].min() < face.landmarks[:, 0].max() <= face.box[2]


@needs_bundle
@needs_media
def test_a_moved_picture_moves_the_face(tracker: MediapipeTracker, bust: np.ndarray):
    (here,) = tracker(bust)
    (there,) = tracker(np.pad(bust, ((32, 0), (64, 0), (0, 0)), mode="edge"))
    np.testing.assert_allclose(np.mean(there.landmarks - here.landmarks, axis=0), [64, 32], atol=2)


@needs_bundle
@needs_media
def test_pixel_centres_are_at_a_half(tracker: MediapipeTracker, clip: list[np.ndarray]):
    """Only so does a picture reduced by half have half the coordinates; without it they would be off by 0.25."""
    reduced = [np.array(Image.fromarray(frame).resize((240, 240), Image.Resampling.BOX)) for frame in clip]
    pairs = zip(map(tracker.faces, clip), map(tracker.faces, reduced), strict=True)
    differences = [small.points[:, :2].mean(0) - large.points[:, :2].mean(0) / 2 for (large,), (small,) in pairs]
    np.testing.assert_allclose(np.mean(differences, axis=0), [0, 0], atol=0.1)


@needs_bundle
@needs_media
def test_the_largest_face_comes_first(tracker: MediapipeTracker, bust: np.ndarray):
    small = np.array(Image.fromarray(bust).resize((520, 725)))
    first, second = tracker(np.concatenate([small, bust], axis=1))
    assert first.box[0] > small.shape[1] > second.box[2]


@needs_bundle
@needs_media
def test_landmarks_inside_a_box_given_by_hand(tracker: MediapipeTracker, bust: np.ndarray):
    (found,) = tracker(bust)
    given = tracker.inside(bust, found.box)
    assert given.box == found.box
    np.testing.assert_allclose(given.landmarks, found.landmarks, atol=6)
    both = np.concatenate([bust, bust], axis=1)
    beside = (found.box[0] + 725, found.box[1], found.box[2] + 725, found.box[3])
    np.testing.assert_allclose(tracker.inside(both, beside).landmarks, found.landmarks + np.array([725, 0]), atol=6)


@needs_bundle
@needs_media
@pytest.mark.parametrize("box", [(10.0, 10.0, 90.0, 90.0), (-300.0, -300.0, -100.0, -100.0), (900.0, 9.0, 950.0, 60.0)])
def test_a_box_without_a_face_is_named(
    tracker: MediapipeTracker, bust: np.ndarray, box: tuple[float, float, float, float]
):
    with pytest.raises(NoFaceError, match=f"left {box[0]:.0f}, top {box[1]:.0f}"):
        tracker.inside(bust, box)


@needs_bundle
@needs_media
def test_the_transform_turns_the_canonical_face_as_the_points_lie(faces: list[MediapipeFace]):
    """The line between the outer corners of the eyes is x in the canonical face: the transform gives its slope."""
    for face in faces:
        corners = face.points[[33, 263], :2]
        slope = np.degrees(np.arctan2(*(corners[1] - corners[0])[::-1]))
        turned = np.degrees(np.arctan2(-face.transform[1, 0], face.transform[0, 0]))
        assert abs(slope - turned) < 3
        rotation = face.transform[:3, :3]
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3) * np.linalg.det(rotation) ** (2 / 3), atol=1e-3)
        assert face.transform[2, 3] < 0


@needs_bundle
@needs_media
def test_gaze_and_eyelids_follow_what_the_eyes_do(tracker: MediapipeTracker, faces: list[MediapipeFace]):
    faces = faces + [tracker.faces(frame)[0] for frame in every(10, "driving-19.mp4")]
    points = np.stack([face.points for face in faces])
    width = np.ptp(points[:, :, 0], axis=1)
    blendshapes = torch.from_numpy(np.stack([face.blendshapes for face in faces]))
    closed, looks = eyelids(blendshapes).numpy(), gaze(blendshapes).numpy()
    eyes = (((386, 374), (362, 263), 473), ((159, 145), (33, 133), 468))  # left, right: lids, corners, iris
    left, right = ((points[:, lids[1], 1] - points[:, lids[0], 1]) / width for lids, _, _ in eyes)
    assert np.corrcoef(left - right, closed[:, 0] - closed[:, 1])[0, 1] < -0.5
    for eye, (_, corners, iris) in enumerate(eyes):
        sideways = (points[:, iris, 0] - points[:, corners, 0].mean(1)) / width
        upwards = (points[:, corners, 1].mean(1) - points[:, iris, 1]) / width
        assert np.corrcoef((left, right)[eye], closed[:, eye])[0, 1] < -0.5
        assert np.corrcoef(sideways, looks[:, 2 * eye])[0, 1] > 0.5
        assert np.corrcoef(upwards, looks[:, 2 * eye + 1])[0, 1] > 0.5


@needs_bundle
@needs_media
def test_a_clip_is_tracked_with_gaze_and_eyelids(tracker: MediapipeTracker, clip: list[np.ndarray]):
    frames = [*clip[:3], np.zeros_like(clip[3]), *clip[4:8]]
    tracked = track_clip(frames, tracker=tracker, model=ParametricHead(), smoothing=0.0)
    assert tracked.report.missing == (3,)
    assert tracked.report.reprojection_error.mean() < 0.03
    blendshapes = clip_blendshapes(frames, tracked, tracker=tracker, smoothing=0.0)
    torch.testing.assert_close(blendshapes[3], (blendshapes[2] + blendshapes[4]) / 2)
    expected = torch.from_numpy(tracker.faces(frames[5])[0].blendshapes).float()
    torch.testing.assert_close(blendshapes[5], expected)
    parameters = with_eyes(tracked.parameters, blendshapes)
    assert parameters.expression_code.shape == (8, ParametricHead().num_expression + 6)
    with pytest.raises(InputError, match="7 are given, but 8 were tracked"):
        clip_blendshapes(frames[1:], tracked, tracker=tracker)
    with pytest.raises(NoFaceError, match="none of 8 frames"):
        clip_blendshapes([np.zeros_like(clip[0])] * 8, tracked, tracker=tracker)


@needs_bundle
@needs_media
@pytest.mark.parametrize("name", ["boy-3d", "mona-lisa", "pearl-earring", "terracotta"])
def test_painted_and_sculpted_faces_are_found(tracker: MediapipeTracker, name: str):
    tracked = track_image(read_image(MEDIA / f"avatar-{name}.jpg"), tracker=tracker, model=ParametricHead())
    assert tracked.reprojection_error < 0.03


@parametrize_with_checks(*plugin_cases("mediapipe", TrackerCase("mediapipe", lambda: MediapipeTracker(FOUND))))
def test_conforms(check: Check):
    check()
