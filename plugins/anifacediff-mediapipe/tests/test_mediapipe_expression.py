"""What becomes of blendshapes; nothing here needs MediaPipe's networks."""

import numpy as np
import pytest
import torch
from anifacediff_mediapipe.expression import EXPRESSION_DIM, expression_code, eyelids, gaze, with_eyes
from anifacediff_mediapipe.faces import BLENDSHAPES, MediapipeFace
from anifacediff_mediapipe.landmarks import IBUG, ibug_landmarks
from mediapipe.tasks.python.vision.face_landmarker import Blendshapes, FaceLandmarksConnections

from anifacediff.conditioning.expression_adapter import ExpressionAdapter
from anifacediff.errors import InputError, ShapeError
from anifacediff.geometry.faces import Box, FaceParameters, WeakPerspective


def shapes(**scores: float) -> torch.Tensor:
    row = torch.zeros(1, len(BLENDSHAPES))
    for name, score in scores.items():
        row[0, BLENDSHAPES.index(name)] = score
    return row


def parameters(frames: int) -> FaceParameters:
    zeros = torch.zeros(frames, 3)
    camera = WeakPerspective(torch.ones(frames), torch.zeros(frames, 2))
    box = Box(torch.tensor([0.0, 0.0, 8.0, 8.0]).expand(frames, 4))
    return FaceParameters(zeros, zeros, torch.zeros(frames, 1, 3), camera, box, (8, 8))


def test_the_names_are_those_of_mediapipe_in_its_order():
    theirs = [shape.name.replace("_", "").lower() for shape in Blendshapes]
    assert [name.removeprefix("_").lower() for name in BLENDSHAPES] == theirs


def test_the_code_is_all_but_the_neutral_shape():
    blendshapes = torch.arange(104.0).view(2, 52)
    code = expression_code(blendshapes)
    assert code.shape == (2, EXPRESSION_DIM)
    torch.testing.assert_close(code, blendshapes[:, 1:])


@pytest.mark.parametrize(
    ("look", "expected"),
    [
        ({"eyeLookOutLeft": 0.5, "eyeLookInRight": 0.25}, [0.5, 0, 0.25, 0]),  # to the person's left: image right
        ({"eyeLookInLeft": 0.5, "eyeLookOutRight": 0.25}, [-0.5, 0, -0.25, 0]),
        ({"eyeLookUpLeft": 0.5, "eyeLookUpRight": 0.25}, [0, 0.5, 0, 0.25]),
        ({"eyeLookDownLeft": 0.5, "eyeLookDownRight": 0.25}, [0, -0.5, 0, -0.25]),
    ],
)
def test_gaze_points_right_and_up(look: dict[str, float], expected: list[float]):
    torch.testing.assert_close(gaze(shapes(**look)), torch.tensor([expected]))


def test_eyelids_are_the_blinks():
    torch.testing.assert_close(
        eyelids(shapes(eyeBlinkLeft=0.3, eyeBlinkRight=0.9, jawOpen=1)), torch.tensor([[0.3, 0.9]])
    )


def test_parameters_gain_gaze_and_eyelids():
    with_them = with_eyes(parameters(2), shapes(eyeBlinkLeft=1, eyeLookUpRight=0.5).double().expand(2, -1))
    assert with_them.expression_code.shape == (2, 3 + 4 + 2)
    torch.testing.assert_close(with_them.expression_code[1], torch.tensor([0, 0, 0, 0, 0, 0, 0.5, 1, 0]))


def test_an_expression_adapter_takes_the_code():
    adapter = ExpressionAdapter(layers={"here": 4}, expression_dim=EXPRESSION_DIM, cross_attention_dim=8)
    assert adapter.tokens(expression_code(torch.rand(3, 52))).shape == (3, 1, 8)


def test_blendshapes_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match="52"):
        with_eyes(parameters(2), torch.zeros(3, 52))
    with pytest.raises(ShapeError, match="52"):
        expression_code(torch.zeros(1, 51))
    with pytest.raises(InputError, match="NaN"):
        eyelids(torch.full((1, 52), torch.nan))


def rings() -> dict[str, set[int]]:
    """The lines that MediaPipe draws, as sets of vertices."""
    lines = FaceLandmarksConnections
    named = {
        "jaw": lines.FACE_LANDMARKS_FACE_OVAL,
        "right brow": lines.FACE_LANDMARKS_RIGHT_EYEBROW,
        "left brow": lines.FACE_LANDMARKS_LEFT_EYEBROW,
        "nose": lines.FACE_LANDMARKS_NOSE,
        "right eye": lines.FACE_LANDMARKS_RIGHT_EYE,
        "left eye": lines.FACE_LANDMARKS_LEFT_EYE,
        "lips": lines.FACE_LANDMARKS_LIPS,
    }
    return {name: {end for line in drawn for end in (line.start, line.end)} for name, drawn in named.items()}


@pytest.mark.parametrize(
    ("feature", "landmarks"),
    [
        ("jaw", range(17)),
        ("right brow", range(17, 22)),
        ("left brow", range(22, 27)),
        ("nose", range(27, 36)),
        ("right eye", range(36, 42)),
        ("left eye", range(42, 48)),
        ("lips", range(48, 68)),
    ],
)
def test_every_landmark_is_a_vertex_of_its_feature(feature: str, landmarks: range):
    assert {IBUG[landmark] for landmark in landmarks} <= rings()[feature]


def test_no_vertex_stands_for_two_landmarks():
    assert len(set(IBUG)) == len(IBUG) == 68


def test_landmarks_are_picked_in_order():
    points = np.stack([np.arange(478.0), np.arange(478.0) + 0.5, np.zeros(478)], axis=1)
    picked = ibug_landmarks(points)
    np.testing.assert_array_equal(picked[[8, 30]], [[152, 152.5], [4, 4.5]])


def test_a_face_with_nan_is_refused():
    points = np.zeros((478, 3))
    points[5] = np.nan
    with pytest.raises(InputError, match=r"MediapipeFace\.points"):
        MediapipeFace(points, np.zeros(52), np.eye(4))
