"""Our skinning against DECA's FLAME and FLAME_PyTorch on a synthetic model of FLAME's structure."""

from pathlib import Path

import flame_synth
import numpy as np
import pytest
import torch

from anifacediff.geometry.morphable import SkinnedMesh, SkinnedModel

GOLDEN = Path(__file__).parent / "data" / "deca" / "flame.npz"


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN) as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def flame() -> SkinnedModel:
    data, _, _ = flame_synth.build(level=2)

    def tensor(array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array.astype(np.float32))

    basis = data["shapedirs"]
    mesh = SkinnedMesh(
        template=tensor(data["v_template"]),
        shape_basis=tensor(basis[..., :100]),
        expression_basis=tensor(basis[..., 300:350]),
        pose_basis=tensor(data["posedirs"]),
        joint_regressor=tensor(data["J_regressor"]),
        skinning_weights=tensor(data["weights"]),
        parents=(-1, 0, 1, 1, 1),
        triangles=torch.from_numpy(data["f"]),
        joint_names=("global", "neck", "jaw", "left_eye", "right_eye"),
    )
    return SkinnedModel(mesh)


def full_pose(golden: dict[str, np.ndarray], eyes: bool) -> torch.Tensor:
    given = torch.from_numpy(golden["pose"]).unflatten(1, (2, 3))
    pose = torch.zeros(given.shape[0], 5, 3)
    pose[:, 0], pose[:, 2] = given[:, 0], given[:, 1]
    if eyes:
        pose[:, 3:] = torch.from_numpy(golden["eye_pose"]).unflatten(1, (2, 3))
    return pose


def assert_matches(found: torch.Tensor, expected: np.ndarray) -> None:
    torch.testing.assert_close(found, torch.from_numpy(expected), rtol=0, atol=2e-5 * float(expected.std()))


@pytest.mark.parametrize(
    ("key", "eyes"), [("vertices", False), ("vertices_eye", True), ("flame_pytorch_vertices", False)]
)
def test_vertices(flame: SkinnedModel, golden: dict[str, np.ndarray], key: str, eyes: bool) -> None:
    shape, expression = torch.from_numpy(golden["shape"]), torch.from_numpy(golden["exp"])
    assert_matches(flame(shape, expression, full_pose(golden, eyes)), golden[key])


def test_joints(flame: SkinnedModel, golden: dict[str, np.ndarray]) -> None:
    shape, expression = torch.from_numpy(golden["shape"]), torch.from_numpy(golden["exp"])
    found = flame.joints(shape, expression, full_pose(golden, eyes=False))
    expected = torch.from_numpy(golden["joints"])
    vertex_std = float(golden["vertices"].std())  # a joint is a sum over all vertices: their rounding, not its own
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-5 * vertex_std)
