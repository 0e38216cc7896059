"""Trackers that read parameters themselves: their estimates are taken, and nothing is fitted."""

import weakref
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from linear_head import LinearHead

from anifacediff.errors import InputError
from anifacediff.geometry.contracts import LandmarkedModel
from anifacediff.geometry.faces import Box, Camera, FaceParameters, Similarity, WeakPerspective
from anifacediff.geometry.morphable import rotation_matrix
from anifacediff.geometry.perspective import Perspective
from anifacediff.shapes import Tensor
from anifacediff.tracking import DetectedFace, ManualTracker, ParameterTracker, Tracker, track_clip, track_image
from anifacediff.tracking.fit import LandmarkFit
from anifacediff.tracking.gaps import Missing

HEAD = LinearHead()
SIZE = (200, 300)


def truth(frames: int, perspective: bool = False) -> FaceParameters:
    """A face that moves to the right and turns, in pixels of the frames."""
    time = torch.arange(frames, dtype=torch.float32)
    pose = torch.zeros(frames, 5, 3)
    pose[:, 0, 1] = 0.02 * time
    chance = torch.Generator().manual_seed(1)
    place = torch.stack([100 + 5 * time, torch.full_like(time, 90)], dim=1)
    camera: Camera = WeakPerspective(40 + time, place)
    if perspective:
        away = torch.tensor([0.0, 0.0, -10.0]).expand(frames, 3)
        camera = Perspective(torch.full((frames,), 400.0), place, away)
    return FaceParameters(
        shape=torch.randn(1, 8, generator=chance).expand(frames, 8),
        expression=0.1 * time[:, None].expand(frames, 6),
        pose=pose,
        camera=camera,
        box=Box(torch.zeros(frames, 4)),
        canvas=SIZE,
        gaze=time[:, None] * 0.1,
    )


def landmarks(face: FaceParameters) -> Tensor:
    points = HEAD.landmarks(HEAD(face.shape, face.expression, face.pose), face.pose)
    return face.camera.project(points)[..., :2]


def frames(count: int, size: tuple[int, int] = SIZE) -> Iterator[np.ndarray]:
    """Pictures in whose top-left pixel their number is written."""
    for number in range(count):
        picture = np.zeros((*size, 3), np.uint8)
        picture[0, 0, 0] = number
        yield picture


class Oracle:
    """Knows the parameters of every frame; finds no face in some of them."""

    model: LandmarkedModel = HEAD

    def __init__(self, face: FaceParameters, missing: tuple[int, ...] = (), offset: float = 0.0):
        self.face = face
        self.batches: list[int] = []
        self._missing = missing
        self._offset = offset

    def __call__(self, image: np.ndarray) -> tuple[DetectedFace, ...]:
        number = int(image[0, 0, 0])
        if number in self._missing:
            return ()
        marks = landmarks(self.face[number : number + 1])[0].double().numpy()
        return (DetectedFace.at(marks + np.array([self._offset, 0.0])),)

    def estimate(self, images: Tensor, faces: Sequence[DetectedFace]) -> FaceParameters:
        self.batches.append(len(images))
        numbers = (images[:, 0, 0, 0] * 255).round().long().tolist()
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))) or self._missing
        rows = torch.tensor(numbers)
        known = self.face
        assert isinstance(known.camera, WeakPerspective | Perspective)
        return FaceParameters(
            known.shape[rows],
            known.expression[rows],
            known.pose[rows],
            known.camera.map(lambda values: values[rows]),
            known.box.map(lambda values: values[rows]),
            (images.shape[2], images.shape[3]),
            None if known.gaze is None else known.gaze[rows],
        )


@pytest.fixture
def unfitted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails where anything is fitted."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("landmarks were fitted")

    monkeypatch.setattr(LandmarkFit, "__call__", refuse)


def test_the_protocol_is_told_from_that_of_plain_trackers():
    oracle = Oracle(truth(1))
    assert isinstance(oracle, ParameterTracker)
    assert isinstance(oracle, Tracker)
    assert not isinstance(ManualTracker(()), ParameterTracker)


@pytest.mark.usefixtures("unfitted")
@pytest.mark.parametrize("perspective", [False, True], ids=["weak perspective", "perspective"])
@pytest.mark.parametrize("model", [None, LinearHead()], ids=["its own model", "an equal model"])
def test_estimates_of_a_clip_are_taken_in_batches(model: LandmarkedModel | None, perspective: bool):
    oracle = Oracle(truth(19, perspective))
    clip = track_clip(frames(19), tracker=oracle, model=model, smoothing=0.0, image_size=128)
    assert oracle.batches == [8, 8, 3]
    assert clip.parameters.canvas == (128, 128)
    torch.testing.assert_close(clip.parameters.expression, oracle.face.expression)
    torch.testing.assert_close(clip.parameters.gaze, oracle.face.gaze)
    expected = clip.crop.to_crop(128)(landmarks(oracle.face))
    torch.testing.assert_close(landmarks(clip.parameters), expected, rtol=0, atol=1e-3)
    assert float(clip.report.reprojection_error.max()) < 1e-4


@pytest.mark.usefixtures("unfitted")
def test_the_estimate_of_an_image_is_taken():
    oracle = Oracle(truth(1))
    image = next(frames(1))
    tracked = track_image(image, tracker=oracle, image_size=128)
    expected = tracked.crop.to_crop(128)(landmarks(oracle.face))
    torch.testing.assert_close(landmarks(tracked.parameters), expected, rtol=0, atol=1e-3)
    assert tracked.reprojection_error < 1e-4


def test_the_error_is_that_of_the_estimated_landmarks_from_the_found_ones():
    oracle = Oracle(truth(1), offset=3.0)
    width = float(Box.around(landmarks(oracle.face)).width)
    tracked = track_image(next(frames(1)), tracker=oracle)
    assert tracked.reprojection_error == pytest.approx(3 / width, rel=1e-3)


def test_another_model_is_fitted_to_landmarks():
    oracle = Oracle(truth(3))
    track_clip(frames(3), tracker=oracle, model=LinearHead(seed=1))
    assert oracle.batches == []


@pytest.mark.usefixtures("unfitted")
@pytest.mark.parametrize(("missing", "expected"), [("interpolate", [0, 1, 2, 3, 4, 4]), ("hold", [0, 1, 1, 1, 4, 4])])
@pytest.mark.parametrize("perspective", [False, True], ids=["weak perspective", "perspective"])
def test_frames_without_a_face_are_filled(missing: Missing, expected: list[int], perspective: bool):
    oracle = Oracle(truth(6, perspective), missing=(2, 3, 5))
    clip = track_clip(frames(6), tracker=oracle, missing=missing, smoothing=0.0, image_size=128)
    assert clip.report.missing == (2, 3, 5)
    assert sum(oracle.batches) == 3
    rows = torch.tensor(expected)
    torch.testing.assert_close(clip.parameters.expression, oracle.face.expression[rows])
    torch.testing.assert_close(clip.parameters.gaze, truth(6).expression[rows][:, :1])
    torch.testing.assert_close(
        rotation_matrix(clip.parameters.pose), rotation_matrix(oracle.face.pose[rows]), rtol=0, atol=1e-5
    )
    sure = [row for row in range(6) if row not in (2, 3)] if missing == "interpolate" else list(range(6))
    assert float(clip.report.reprojection_error[sure].max()) < 1e-4
    assert float(clip.report.reprojection_error.max()) < 0.02


def test_smoothing_applies():
    face = truth(24)
    shaken = replace(
        face, expression=face.expression + 0.2 * torch.randn(24, 6, generator=torch.Generator().manual_seed(0))
    )
    rough, smooth = (
        track_clip(frames(24), tracker=Oracle(shaken), smoothing=strength).parameters.expression.diff(dim=0).std()
        for strength in (0.0, 1.5)
    )
    assert smooth < 0.5 * rough


def test_frames_of_other_sizes_are_read_apart():
    oracle = Oracle(truth(6))
    pictures = iter([*frames(3), *list(frames(6, (220, 300)))[3:]])
    track_clip(pictures, tracker=oracle, smoothing=0.0)
    assert oracle.batches == [3, 3]


def test_no_more_frames_than_a_batch_are_kept():
    living: list[weakref.ref[np.ndarray]] = []
    most = 0

    def watched() -> Iterator[np.ndarray]:
        nonlocal most
        for picture in frames(40):
            living.append(weakref.ref(picture))
            yield picture
            del picture
            most = max(most, sum(one() is not None for one in living))

    track_clip(watched(), tracker=Oracle(truth(40)), smoothing=0.0)
    assert most <= 9


class Confused(Oracle):
    """Says NaN for frame 10."""

    def estimate(self, images: Tensor, faces: Sequence[DetectedFace]) -> FaceParameters:
        found = super().estimate(images, faces)
        spoilt = found.expression.clone()
        spoilt[(images[:, 0, 0, 0] * 255).round() == 10] = torch.nan
        return self.spoil(found, spoilt)

    def spoil(self, found: FaceParameters, expression: Tensor) -> FaceParameters:
        return replace(found, expression=expression)


class Sly(Confused):
    """Puts NaN into parameters that were made before, where nobody looks for it."""

    def spoil(self, found: FaceParameters, expression: Tensor) -> FaceParameters:
        found.expression.copy_(expression)
        return found


class Blurred(Confused):
    """Moves its camera by NaN: copies of a camera are made without looking."""

    def spoil(self, found: FaceParameters, expression: Tensor) -> FaceParameters:
        shift = Similarity(torch.ones(len(found)), expression[:, :2])
        return replace(found, camera=found.camera.moved(shift))


def test_nan_in_a_camera_names_the_tracker_and_the_frame():
    with pytest.raises(InputError, match=r"Blurred, frame 10: FaceParameters\.camera\.translation.*NaN"):
        track_clip(frames(14), tracker=Blurred(truth(14)))


def test_parameters_in_pixels_of_something_else_are_refused():
    class Cropped(Oracle):
        def estimate(self, images: Tensor, faces: Sequence[DetectedFace]) -> FaceParameters:
            return replace(super().estimate(images, faces), canvas=(224, 224))

    with pytest.raises(InputError, match=r"Cropped, frame 0:.*\(224, 224\).*the pictures have \(200, 300\)"):
        track_clip(frames(3), tracker=Cropped(truth(3)))


@pytest.mark.parametrize("kind", [Confused, Sly])
def test_nan_names_the_tracker_and_the_frame(kind: type[Confused]):
    with pytest.raises(InputError, match=rf"{kind.__name__}, frame 10: FaceParameters\.expression.*NaN"):
        track_clip(frames(14), tracker=kind(truth(14)))


def test_too_few_estimates_are_refused():
    class Lazy(Oracle):
        def estimate(self, images: Tensor, faces: Sequence[DetectedFace]) -> FaceParameters:
            return super().estimate(images, faces)[: max(1, len(images) - 1)]

    with pytest.raises(InputError, match=r"Lazy, frames 0 to 4 together:.*4 frames of parameters for 5 pictures"):
        track_clip(frames(5), tracker=Lazy(truth(5)))


def test_a_tracker_without_parameters_needs_a_model():
    marks = landmarks(truth(1))[0].double().numpy()
    with pytest.raises(InputError, match="ManualTracker finds landmarks and no parameters"):
        track_image(next(frames(1)), tracker=ManualTracker((DetectedFace.at(marks),)))


def test_a_model_without_landmarks_is_refused():
    class Bare:
        num_shape, num_expression, joint_names, triangles = 1, 1, ("global",), torch.zeros(1, 3, dtype=torch.int64)

        def __call__(self, shape: Tensor, expression: Tensor, pose: Tensor) -> Tensor:
            return torch.zeros(len(shape), 1, 3)

    oracle = Oracle(truth(1))
    oracle.model = Bare()  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(InputError, match=r"Bare, which has no landmarks"):
        track_image(next(frames(1)), tracker=oracle)
