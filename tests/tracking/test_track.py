from collections.abc import Iterator
from typing import Any

import jaxtyping
import numpy as np
import pytest
import torch
from linear_head import LinearHead

from anifacediff.errors import InputError, NoFaceError, SeveralFacesError, ShapeError
from anifacediff.geometry.faces import FaceParameters, WeakPerspective
from anifacediff.media.crop import SquareCrop
from anifacediff.tracking import DetectedFace, ManualTracker, track_clip, track_faces, track_image
from anifacediff.tracking.gaps import Missing

HEAD = LinearHead()
IMAGE = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)


def face_at(x: float, y: float, scale: float = 40.0, yaw: float = 0.0) -> DetectedFace:
    pose = torch.zeros(1, 5, 3)
    pose[0, 0, 1] = yaw
    points = HEAD.landmarks(HEAD(torch.zeros(1, 8), torch.zeros(1, 6), pose), pose)
    camera = WeakPerspective(torch.tensor([scale], dtype=torch.float32), torch.tensor([[x, y]], dtype=torch.float32))
    return DetectedFace.at(camera.project(points)[0, :, :2].numpy())


class Script:
    """Answers with the next line of a script."""

    def __init__(self, *lines: tuple[DetectedFace, ...]):
        self._lines = iter(lines)

    def __call__(self, image: np.ndarray) -> tuple[DetectedFace, ...]:
        return next(self._lines)


def frames(count: int) -> Iterator[np.ndarray]:
    return (IMAGE for _ in range(count))


def shown_at(clip_parameters: FaceParameters, crop: SquareCrop) -> torch.Tensor:
    """The centre of the face boxes in pixels of the frames."""
    size = clip_parameters.canvas[0]
    return clip_parameters.box.moved(crop.from_crop(size)).center


def test_an_image_becomes_a_crop_and_parameters_in_its_pixels():
    face = face_at(150, 110)
    tracked = track_image(IMAGE, tracker=ManualTracker((face,)), model=HEAD, image_size=128)
    np.testing.assert_array_equal(tracked.image, tracked.crop.apply(IMAGE, 128))
    assert tracked.parameters.canvas == (128, 128)
    assert len(tracked.parameters) == 1
    expected = tracked.crop.to_crop(128)(torch.from_numpy(face.landmarks).float()[None])[0]
    posed = HEAD(tracked.parameters.shape, tracked.parameters.expression, tracked.parameters.pose)
    shown = tracked.parameters.camera.project(HEAD.landmarks(posed, tracked.parameters.pose))[0, :, :2]
    assert float((shown - expected).norm(dim=-1).mean()) < 0.5
    assert tracked.reprojection_error < 0.01


def test_the_crop_of_one_face_is_decas_square_raised():
    face = face_at(150, 110)
    clip = track_faces([face], model=HEAD, margin=1.3)
    deca = SquareCrop.around(face.box, margin=1.3)
    assert clip.crop.side == pytest.approx(deca.side)
    assert clip.crop.x == pytest.approx(deca.x)
    assert clip.crop.y == pytest.approx(deca.y - 0.15 * deca.side / 1.3)


def test_the_crop_stays_inside_the_image_while_the_face_fits():
    tracked = track_image(IMAGE, tracker=ManualTracker((face_at(60, 160, 30),)), model=HEAD, margin=3.0)
    crop = tracked.crop
    assert crop.side <= 200
    assert crop.x - crop.side / 2 >= 0
    assert crop.y + crop.side / 2 <= 200


def test_one_crop_shows_the_whole_movement():
    faces = [face_at(100 + 4 * i, 100, 30 + i) for i in range(20)]
    clip = track_faces(faces, model=HEAD, smoothing=0.0, image_size=256)
    corners = clip.parameters.box.corners
    assert float(corners.min()) > 0
    assert float(corners.max()) < 256
    scale = clip.parameters.camera
    assert isinstance(scale, WeakPerspective)
    assert float(scale.scale[-1] / scale.scale[0]) == pytest.approx(49 / 30, rel=0.02)
    assert float(shown_at(clip.parameters, clip.crop)[-1, 0] - shown_at(clip.parameters, clip.crop)[0, 0]) > 70


def test_frames_are_read_once_and_head_turns_are_followed():
    yaws = np.linspace(-0.5, 0.5, 15)
    script = Script(*[(face_at(150, 100, yaw=float(yaw)),) for yaw in yaws])
    clip = track_clip(frames(15), tracker=script, model=HEAD, smoothing=1.0)
    np.testing.assert_allclose(clip.parameters.pose[:, 0, 1].numpy(), yaws, atol=0.05)
    assert clip.report.missing == ()
    assert "15 of 15 frames" in str(clip.report)


def test_a_misspelt_rule_for_missing_faces_is_refused_before_anything_is_read(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # else the import hook refuses first
    misspelt: Any = "drop"
    message = "missing: expected one of interpolate, hold, raise; found 'drop'"
    with pytest.raises(InputError, match=message):
        track_faces([face_at(100, 100)], model=HEAD, missing=misspelt)
    unread = frames(3)
    with pytest.raises(InputError, match=message):
        track_clip(unread, tracker=ManualTracker((face_at(100, 100),)), model=HEAD, missing=misspelt)
    assert len(list(unread)) == 3


def test_several_faces_need_a_choice():
    tracker = ManualTracker((face_at(80, 100), face_at(220, 100, 30)))
    with pytest.raises(SeveralFacesError, match=r"2 faces .*\[0\] left .*\[1\] left .*face=INDEX.*--face INDEX"):
        track_image(IMAGE, tracker=tracker, model=HEAD)
    with pytest.raises(SeveralFacesError, match=r"2 faces .*frame 0.*face=INDEX.*--driving-face INDEX"):
        track_clip(frames(1), tracker=tracker, model=HEAD)
    chosen = track_image(IMAGE, tracker=tracker, model=HEAD, face=1)
    assert float(shown_at(chosen.parameters, chosen.crop)[0, 0]) == pytest.approx(220, abs=2)


@pytest.mark.parametrize("face", [-1, 2])
def test_a_face_that_is_not_there_cannot_be_chosen(face: int):
    tracker = ManualTracker((face_at(80, 100), face_at(220, 100, 30)))
    with pytest.raises(InputError, match=f"face={face}: .* shows 2 face"):
        track_image(IMAGE, tracker=tracker, model=HEAD, face=face)


def test_the_chosen_face_is_followed_though_another_becomes_the_largest():
    left = [face_at(80 + i, 100, 25 + i) for i in range(8)]
    right = [face_at(220 - i, 100, 30) for i in range(8)]
    lines = [tuple(sorted(pair, key=lambda one: one.box[0] - one.box[2])) for pair in zip(left, right, strict=True)]
    clip = track_clip(frames(8), tracker=Script(*lines), model=HEAD, face=1, smoothing=0.0)
    np.testing.assert_allclose(shown_at(clip.parameters, clip.crop)[:, 0].numpy(), 80 + np.arange(8), atol=2)


def test_another_face_far_away_does_not_stand_in_for_the_lost_one():
    near, far = face_at(60, 100, 20), face_at(250, 100, 20)
    clip = track_clip(frames(3), tracker=Script((near,), (far,), (near,)), model=HEAD)
    assert clip.report.missing == (1,)


def test_a_face_elsewhere_is_taken_up_after_a_cut():
    before, after = face_at(60, 100, 20), face_at(250, 100, 20)
    clip = track_clip(frames(12), tracker=Script((before,), *[(after,)] * 11), model=HEAD, smoothing=0.0)
    assert 0 < len(clip.report.missing) < 8
    assert float(shown_at(clip.parameters, clip.crop)[-1, 0]) == pytest.approx(250, abs=2)


@pytest.mark.parametrize(
    ("missing", "expected"), [("interpolate", [100, 100, 110, 120, 130, 130]), ("hold", [100, 100, 100, 100, 130, 130])]
)
def test_frames_without_a_face_are_filled(missing: Missing, expected: list[float]):
    faces = [None, face_at(100, 100), None, None, face_at(130, 100), None]
    clip = track_faces(faces, model=HEAD, missing=missing, smoothing=0.0)
    np.testing.assert_allclose(shown_at(clip.parameters, clip.crop)[:, 0].numpy(), expected, atol=1)
    assert clip.report.missing == (0, 2, 3, 5)
    assert f"2 of 6 frames (frames 0, 2-3, 5 filled by '{missing}')" in str(clip.report)


def test_frames_without_a_face_can_be_refused():
    with pytest.raises(NoFaceError, match=r"2 of 3 frames: 0-1\. Fill them"):
        track_faces([None, None, face_at(100, 100)], model=HEAD, missing="raise")


def test_no_face_at_all_says_what_was_searched_and_what_to_do():
    with pytest.raises(NoFaceError, match=r"the image \(300x200 pixels\) by ManualTracker.*ManualBox"):
        track_image(IMAGE, tracker=ManualTracker(()), model=HEAD)
    with pytest.raises(NoFaceError, match="any of 3 frames by ManualTracker"):
        track_clip(frames(3), tracker=ManualTracker(()), model=HEAD)
    with pytest.raises(NoFaceError, match="any of 2 frames"):
        track_faces([None, None], model=HEAD)


def test_an_empty_clip_is_refused():
    with pytest.raises(InputError, match="empty"):
        track_clip(frames(0), tracker=ManualTracker(()), model=HEAD)


def test_frames_that_are_no_rgb_pictures_are_refused():
    floats = (np.zeros((8, 8, 3), np.float32) for _ in range(1))
    with pytest.raises(ShapeError, match="frame 0: expected uint8"):
        track_clip(floats, tracker=ManualTracker(()), model=HEAD)


def test_smoothing_steadies_the_parameters():
    rng = np.random.default_rng(0)
    faces = [DetectedFace.at(face_at(150, 100).landmarks + rng.normal(0, 1, (68, 2))) for _ in range(30)]
    rough, smooth = (track_faces(faces, model=HEAD, smoothing=strength) for strength in (0.0, 1.5))
    jitter = [float(clip.parameters.pose[:, 0].diff(dim=0).std()) for clip in (rough, smooth)]
    assert jitter[1] < 0.5 * jitter[0]


def test_a_face_of_nan_names_the_tracker_and_the_frame():
    class Lost:
        number = -1

        def __call__(self, image: np.ndarray) -> tuple[DetectedFace, ...]:
            self.number += 1
            face = face_at(150, 100)
            return (DetectedFace(face.box, face.landmarks * (np.nan if self.number == 2 else 1)),)

    with pytest.raises(InputError, match=r"Lost, frame 2: DetectedFace\.landmarks: .*NaN"):
        track_clip(frames(4), tracker=Lost(), model=HEAD)


def test_a_box_of_nan_is_refused():
    face = face_at(150, 100)
    with pytest.raises(InputError, match=r"DetectedFace\.box.*nan"):
        DetectedFace((0.0, 0.0, float("nan"), 10.0), face.landmarks)
