"""The tracker with networks that know the answer, and what is drawn of it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from anifacediff_bfm.coefficients import Coefficients, to_parameters
from anifacediff_bfm.crops import five_points
from anifacediff_bfm.estimator import CoefficientNetwork
from anifacediff_bfm.model import BfmModel
from anifacediff_bfm.render import FaceRenderer
from anifacediff_bfm.setups import DEEP3D, MIMAFACE, Setup
from anifacediff_bfm.tracker import D3dfrTracker
from bfm_faces import drawn_arrays, drawn_coefficients

from anifacediff.errors import InputError
from anifacediff.geometry.faces import Similarity
from anifacediff.geometry.perspective import Perspective
from anifacediff.tracking.contracts import DetectedFace, ManualTracker, ParameterTracker
from anifacediff.tracking.track import track_clip

GOLDEN = Path(__file__).parents[3] / "tests/parity/data/d3dfr/mimaface_encoder.json"
SETUPS = (DEEP3D, MIMAFACE)


class Known(CoefficientNetwork):
    """Says what it is told, and keeps what it was shown."""

    def __init__(self, setup: Setup, answer: Coefficients) -> None:
        torch.nn.Module.__init__(self)
        self.setup = setup
        self.scale = torch.nn.Parameter(torch.ones(()))
        self.answer = answer
        self.shown: list[torch.Tensor] = []

    def forward(self, crops: torch.Tensor) -> Coefficients:
        start = sum(map(len, self.shown))
        self.shown.append(crops)
        return self.answer[start : start + len(crops)]


@pytest.fixture(scope="module")
def model() -> BfmModel:
    return BfmModel(drawn_arrays())


def answer(setup: Setup, frames: int) -> Coefficients:
    values = drawn_coefficients(frames).joined()
    return Coefficients.split(values if len(setup.heads) == 8 else values[:, :257])


def faces_at(landmarks: torch.Tensor) -> list[DetectedFace]:
    return [DetectedFace.at(points.double().numpy()) for points in landmarks]


@pytest.mark.parametrize("setup", SETUPS, ids=lambda setup: setup.name)
def test_landmarks_read_off_a_crop_come_back_to_the_picture(model: BfmModel, setup: Setup) -> None:
    """What the network sees at a place of the crop is told at that place of the picture."""
    frames = 3
    known = answer(setup, frames)
    turn = torch.tensor([[0.9, -0.3], [0.3, 0.9]]) * 1.4
    cropped = to_parameters(known, model, setup)
    seen = cropped.camera.project(model.posed_landmarks(known.shape, known.expression, known.pose))[..., :2]
    faces = faces_at(seen @ turn.T + torch.tensor([120.0, 80.0]))
    network = Known(setup, known)
    tracker = D3dfrTracker(ManualTracker(()), model, network, batch_size=2)
    images = torch.rand(frames, 3, 500, 700, generator=torch.Generator().manual_seed(1))
    found = tracker.estimate(images, faces)
    assert isinstance(tracker, ParameterTracker)
    assert [len(part) for part in network.shown] == [2, 1]
    points = found.camera.project(model.landmarks(model(found.shape, found.expression, found.pose), found.pose))
    crops = setup.crop.align(five_points(np.stack([face.landmarks for face in faces])), canvas=(500, 700))
    torch.testing.assert_close(crops(points[..., :2].double()), seen.double(), rtol=0, atol=2e-3)
    assert found.canvas == (500, 700)
    assert (found.gaze is None) == (setup is DEEP3D)


def test_a_rendering_lies_under_its_landmarks(model: BfmModel) -> None:
    """Drawn on the canvas of a picture, a face covers what it covers in the crop, moved."""
    known = answer(MIMAFACE, 1)
    renderer = FaceRenderer.of(model, MIMAFACE)
    cropped = to_parameters(known, model, MIMAFACE)
    small, crop = renderer(known), renderer(known, cropped)
    assert torch.equal(small.picture, crop.picture)
    assert bool((small.condition()[:, :, 0, 0] == -1).all())
    assert float(small.picture.max()) <= 255
    twice = Similarity(torch.tensor([2.0]), torch.zeros(1, 2))
    doubled = cropped.moved(twice, canvas=(512, 512))
    large = renderer(known, doubled)
    assert abs(float(large.mask.sum() / small.mask.sum()) - 4) < 0.1


def test_clips_are_tracked_by_reading_not_by_fitting(model: BfmModel) -> None:
    cropped = to_parameters(answer(MIMAFACE, 1), model, MIMAFACE)
    points = cropped.camera.project(model.posed_landmarks(cropped.shape, cropped.expression, cropped.pose))[..., :2]
    (face,) = faces_at(points)
    tracker = D3dfrTracker(ManualTracker((face,)), model, Known(MIMAFACE, answer(MIMAFACE, 3)))
    clip = track_clip([np.zeros((256, 256, 3), np.uint8)] * 3, tracker=tracker, smoothing=0.0)
    assert isinstance(clip.parameters.camera, Perspective)
    torch.testing.assert_close(clip.parameters.expression, answer(MIMAFACE, 3).expression)
    torch.testing.assert_close(clip.parameters.gaze, answer(MIMAFACE, 3).gaze)


def test_as_many_faces_as_pictures(model: BfmModel) -> None:
    tracker = D3dfrTracker(ManualTracker(()), model, Known(DEEP3D, answer(DEEP3D, 1)))
    with pytest.raises(InputError, match="2 pictures, found 0"):
        tracker.estimate(torch.zeros(2, 3, 64, 64), [])
