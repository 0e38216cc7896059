from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from anifacediff.errors import InputError, ShapeError
from anifacediff.geometry.contracts import MorphableModel
from anifacediff.geometry.morphable import SkinnedMesh, SkinnedModel, cross_matrix, rotation_matrix

PARENTS = (-1, 0, 1, 1)
VERTICES, SHAPES, EXPRESSIONS, JOINTS = 7, 3, 2, 4


def make_mesh(pose_basis: bool = True) -> SkinnedMesh:
    generator = torch.Generator().manual_seed(0)

    def draw(*size: int) -> torch.Tensor:
        return torch.randn(*size, generator=generator, dtype=torch.float64)

    return SkinnedMesh(
        template=draw(VERTICES, 3),
        shape_basis=draw(VERTICES, 3, SHAPES),
        expression_basis=draw(VERTICES, 3, EXPRESSIONS),
        joint_regressor=draw(JOINTS, VERTICES).softmax(-1),
        skinning_weights=draw(VERTICES, JOINTS).softmax(-1),
        parents=PARENTS,
        triangles=torch.tensor([[0, 1, 2], [4, 5, 6]]),
        joint_names=("global", "neck", "jaw", "eye"),
        pose_basis=draw(VERTICES, 3, 9 * (JOINTS - 1)) if pose_basis else None,
    )


def draw_inputs(frames: int, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    sizes = ((frames, SHAPES), (frames, EXPRESSIONS), (frames, JOINTS, 3))
    shape, expression, pose = (torch.randn(*size, generator=generator, dtype=torch.float64) for size in sizes)
    return shape, expression, pose


def skin_one_vertex_at_a_time(
    mesh: SkinnedMesh, shape: torch.Tensor, expression: torch.Tensor, pose: torch.Tensor
) -> np.ndarray:
    """The definition, with 4 x 4 matrices, scipy's rotations and a loop over everything."""
    shaped = mesh.template.numpy() + mesh.shape_basis.numpy() @ shape.numpy()
    shaped = shaped + mesh.expression_basis.numpy() @ expression.numpy()
    joints = mesh.joint_regressor.numpy() @ shaped
    turns = [Rotation.from_rotvec(row).as_matrix() for row in pose.numpy()]
    if mesh.pose_basis is not None:
        features = np.concatenate([(turn - np.eye(3)).ravel() for turn in turns[1:]])
        shaped = shaped + mesh.pose_basis.numpy() @ features
    world: list[np.ndarray] = []
    for joint, parent in enumerate(mesh.parents):
        local = np.eye(4)
        local[:3, :3] = turns[joint]
        local[:3, 3] = joints[joint] - (joints[parent] if parent >= 0 else 0)
        world.append(world[parent] @ local if parent >= 0 else local)
    posed = np.zeros_like(shaped)
    for vertex, point in enumerate(shaped):
        for joint, matrix in enumerate(world):
            back = np.append(point - joints[joint], 1.0)
            posed[vertex] += float(mesh.skinning_weights[vertex, joint]) * (matrix @ back)[:3]
    return posed


@pytest.mark.parametrize("pose_basis", [True, False])
def test_matches_the_definition(pose_basis: bool) -> None:
    mesh = make_mesh(pose_basis)
    shape, expression, pose = draw_inputs(3)
    found = SkinnedModel(mesh)(shape, expression, pose)
    for frame in range(3):
        expected = skin_one_vertex_at_a_time(mesh, shape[frame], expression[frame], pose[frame])
        np.testing.assert_allclose(found[frame].numpy(), expected, atol=1e-12)


def test_neutral_is_the_template() -> None:
    model = SkinnedModel(make_mesh())
    zero = torch.zeros(1, SHAPES), torch.zeros(1, EXPRESSIONS), torch.zeros(1, JOINTS, 3)
    shape, expression, pose = (tensor.double() for tensor in zero)
    torch.testing.assert_close(model(shape, expression, pose)[0], model.template, rtol=0, atol=1e-14)


def test_root_rotation_is_rigid_and_keeps_the_root_joint() -> None:
    mesh = make_mesh(pose_basis=False)
    model = SkinnedModel(mesh)
    shape, expression, pose = draw_inputs(1)
    pose[:, 1:] = 0
    still = model(shape, expression, torch.zeros_like(pose))[0]
    turned = model(shape, expression, pose)[0]
    torch.testing.assert_close(torch.cdist(still, still), torch.cdist(turned, turned))
    rest = model.joints(shape, expression, torch.zeros_like(pose))[0, 0]
    torch.testing.assert_close(model.joints(shape, expression, pose)[0, 0], rest)
    rotation = torch.from_numpy(Rotation.from_rotvec(pose[0, 0].numpy()).as_matrix())
    torch.testing.assert_close(turned - rest, (still - rest) @ rotation.T)


def test_frames_are_independent() -> None:
    model = SkinnedModel(make_mesh())
    shape, expression, pose = draw_inputs(4)
    together = model(shape, expression, pose)
    alone = model(shape[2:3], expression[2:3], pose[2:3])
    torch.testing.assert_close(together[2:3], alone, rtol=0, atol=1e-14)


def test_gradients_are_right_also_at_zero_rotation() -> None:
    model = SkinnedModel(make_mesh())
    shape, expression, pose = draw_inputs(2)
    pose[0] = 0
    pose[1, 1] = 0
    inputs = tuple(tensor.requires_grad_() for tensor in (shape, expression, pose))
    assert torch.autograd.gradcheck(model, inputs)


def test_moves_and_saves_nothing() -> None:
    model = SkinnedModel(make_mesh()).to(torch.float32)
    shape, expression, pose = (tensor.float() for tensor in draw_inputs(1))
    assert model(shape, expression, pose).dtype == torch.float32
    assert not model.state_dict()
    assert isinstance(model, MorphableModel)


@given(st.lists(st.floats(-4, 4), min_size=3, max_size=3))
@settings(max_examples=40, deadline=None)
def test_rotation_matches_scipy(axis_angle: list[float]) -> None:
    found = rotation_matrix(torch.tensor(axis_angle, dtype=torch.float64))
    np.testing.assert_allclose(found.numpy(), Rotation.from_rotvec(axis_angle).as_matrix(), atol=1e-12)


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-4, 0.9e-3, 1.1e-3, 3.14159])
def test_rotation_by_small_and_large_angles(angle: float) -> None:
    axis = np.array([2.0, -1.0, 2.0]) / 3
    expected = Rotation.from_rotvec(axis * angle).as_matrix()
    exact = rotation_matrix(torch.from_numpy(axis * angle))
    single = rotation_matrix(torch.from_numpy(axis * angle).float())
    np.testing.assert_allclose(exact.numpy(), expected, atol=1e-14)
    np.testing.assert_allclose(single.numpy(), expected, atol=5e-7)


def test_rotation_has_second_derivatives_at_zero() -> None:
    zero = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(rotation_matrix, zero)


def test_cross_matrix() -> None:
    first, second = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([-2.0, 0.5, 4.0])
    torch.testing.assert_close(cross_matrix(first) @ second, torch.linalg.cross(first, second))


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("shape", ((2, SHAPES + 1), (2, EXPRESSIONS), (2, JOINTS, 3))),
        ("expression", ((2, SHAPES), (2, EXPRESSIONS - 1), (2, JOINTS, 3))),
        ("pose", ((2, SHAPES), (2, EXPRESSIONS), (2, JOINTS - 1, 3))),
    ],
)
def test_wrong_sizes_are_named(name: str, sizes: tuple[tuple[int, ...], ...]) -> None:
    model = SkinnedModel(make_mesh())
    shape, expression, pose = (torch.zeros(size, dtype=torch.float64) for size in sizes)
    with pytest.raises(ShapeError, match=f"^{name}: "):
        model(shape, expression, pose)
    with pytest.raises(ShapeError, match=f"^{name}: "):
        model.joints(shape, expression, pose)


def test_arrays_that_do_not_fit_are_refused() -> None:
    mesh = make_mesh()
    with pytest.raises(InputError, match="parents: expected 4"):
        SkinnedModel(replace(mesh, parents=(-1, 2, 1, 1)))
    with pytest.raises(InputError, match="parents: expected 4"):
        SkinnedModel(replace(mesh, parents=(-1, 0, -1, 1)))
    with pytest.raises(InputError, match="triangles: indices"):
        SkinnedModel(replace(mesh, triangles=torch.tensor([[0, 1, VERTICES]])))
    with pytest.raises(ShapeError, match="pose_basis"):
        SkinnedModel(replace(mesh, pose_basis=torch.zeros(VERTICES, 3, 8, dtype=torch.float64)))
