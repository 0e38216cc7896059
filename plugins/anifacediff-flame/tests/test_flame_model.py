import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from anifacediff_flame.landmarks import LandmarkEmbedding, YawConvention, contour_rows
from anifacediff_flame.model import FlameModel
from flame_parts import ARRAYS, SLIDING, STAYING
from hypothesis import given, settings
from hypothesis import strategies as st

from anifacediff.errors import InputError, ShapeError
from anifacediff.geometry.contracts import LandmarkedModel
from anifacediff.geometry.faces import WeakPerspective
from anifacediff.tracking.fit import LandmarkFit, reprojection_error


@pytest.fixture(scope="module")
def flame() -> FlameModel:
    return FlameModel(ARRAYS, SLIDING)


def test_it_can_be_fitted_to_landmarks(flame: FlameModel):
    assert isinstance(flame, LandmarkedModel)
    shape, expression, pose = torch.zeros(1, 100), torch.zeros(1, 50), torch.zeros(1, 5, 3)
    shape[0, :3], pose[0, 0, 1] = torch.tensor([1.0, -1.0, 0.5]), 0.2
    camera = WeakPerspective(torch.tensor([600.0]), torch.tensor([[128.0, 128.0]]))
    marks = camera.project(flame.landmarks(flame(shape, expression, pose), pose))[..., :2]
    fitted = LandmarkFit(flame)(marks, canvas=(256, 256))
    assert float(reprojection_error(flame, fitted, marks)) < 0.02


def test_it_moves_with_its_landmarks_and_saves_nothing(flame: FlameModel):
    double = FlameModel(ARRAYS, SLIDING).double()
    pose = torch.zeros(1, 5, 3, dtype=torch.float64)
    vertices = double(torch.zeros(1, 100).double(), torch.zeros(1, 50).double(), pose)
    assert double.landmarks(vertices, pose).dtype == torch.float64
    assert double.triangles.dtype == torch.int64
    assert flame.state_dict() == {}


def test_gradients_reach_the_parameters_through_the_landmarks(flame: FlameModel):
    shape, expression = torch.zeros(1, 100, requires_grad=True), torch.zeros(1, 50, requires_grad=True)
    pose = torch.zeros(1, 5, 3, requires_grad=True)
    flame.landmarks(flame(shape, expression, pose), pose).square().sum().backward()
    for values in (shape, expression, pose):
        assert values.grad is not None
        assert values.grad.abs().sum() > 0


def test_landmarks_are_points_on_triangles(flame: FlameModel):
    """Against a loop in float64 over the two parts of the embedding."""
    pose = torch.zeros(1, 5, 3)
    pose[0, 0, 1] = 0.3
    vertices = flame(torch.randn(1, 100), torch.randn(1, 50), pose)
    row = int(contour_rows(pose, "deca")[0])
    chosen = [*SLIDING.contour_triangles[row].tolist(), *SLIDING.inner_triangles.tolist()]
    weights = np.concatenate([SLIDING.contour_barycentric[row].numpy(), SLIDING.inner_barycentric.numpy()])
    points = vertices[0].double().numpy()
    corners = ARRAYS.triangles.numpy()
    expected = [
        sum(w * points[v] for w, v in zip(ws, corners[t], strict=True)) for t, ws in zip(chosen, weights, strict=True)
    ]
    np.testing.assert_allclose(flame.landmarks(vertices, pose)[0].numpy(), expected, atol=1e-6)


@given(st.floats(-1.5, 1.5), st.floats(-0.5, 0.5))
@settings(max_examples=40, deadline=None)
def test_the_conventions_mirror_each_other(yaw: float, split: float):
    pose = torch.zeros(1, 5, 3)
    pose[0, 0, 1], pose[0, 1, 1] = yaw * (1 - split), yaw * split
    deca, smplx = (int(contour_rows(pose, name)[0]) for name in ("deca", "smplx"))
    degrees = min(round(abs(yaw) * 180 / np.pi), 39)
    signs = (degrees, degrees + 39) if yaw > 0 else (degrees + 39, degrees)
    assert degrees == 0 or abs(deca - signs[0]) <= 1
    assert degrees == 0 or abs(smplx - signs[1]) <= 1
    assert {deca, smplx} == {0} or abs(deca - smplx) == 39


@pytest.mark.parametrize("yaw", ["deca", "smplx"])
def test_a_contour_of_one_row_stays(yaw: YawConvention):
    pose = torch.zeros(3, 5, 3)
    pose[:, 0, 1] = torch.tensor([-1.0, 0.0, 1.0])
    assert contour_rows(pose, yaw, rows=1).tolist() == [0, 0, 0]


def spoilt(**fields: torch.Tensor) -> LandmarkEmbedding:
    return replace(SLIDING, **fields)


@pytest.mark.parametrize(
    ("embedding", "error", "said"),
    [
        (spoilt(inner_triangles=SLIDING.inner_triangles[:50]), ShapeError, "inner_triangles"),
        (spoilt(contour_barycentric=SLIDING.contour_barycentric[:, :16]), ShapeError, "contour_barycentric"),
        (spoilt(inner_triangles=SLIDING.inner_triangles + 400), InputError, "has 320 triangles"),
        (spoilt(inner_triangles=SLIDING.inner_triangles - 400), InputError, "has 320 triangles"),
        (spoilt(inner_barycentric=SLIDING.inner_barycentric * 2), InputError, "sum to one"),
        (spoilt(inner_barycentric=SLIDING.inner_barycentric * torch.nan), InputError, "sum to one"),
        (
            LandmarkEmbedding(
                SLIDING.contour_triangles[:4],
                SLIDING.contour_barycentric[:4],
                STAYING.inner_triangles,
                STAYING.inner_barycentric,
            ),
            InputError,
            "odd number of rows",
        ),
    ],
)
def test_landmarks_that_do_not_fit_are_refused(embedding: LandmarkEmbedding, error: type[InputError], said: str):
    with pytest.raises(error, match=said):
        FlameModel(ARRAYS, embedding)


@pytest.mark.parametrize(
    "parents",
    [(-1, 2, 1, 1, 1), (-1, 0, 1, 1), (0, 0, 1, 1, 1), (-1, 0, 1, 4, 3)],
    ids=["cycle", "short", "root", "knot"],
)
def test_joints_that_are_no_tree_are_refused(parents: tuple[int, ...]):
    with pytest.raises(InputError, match="parents"):
        FlameModel(replace(ARRAYS, parents=parents), SLIDING)


@pytest.mark.parametrize("name", ["template", "basis", "pose_basis", "joint_regressor", "skinning_weights"])
def test_arrays_of_another_size_are_refused(name: str):
    fewer = getattr(ARRAYS, name)
    fewer = fewer[:, :100] if name == "joint_regressor" else fewer[:100]
    with pytest.raises(ShapeError, match="basis" if name == "template" else name):
        FlameModel(replace(ARRAYS, **{name: fewer}), SLIDING)


def test_importing_the_plugin_loads_no_torch():
    code = "import sys, anifacediff_flame; sys.exit(bool({'torch', 'transformers', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
