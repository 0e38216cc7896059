from collections import Counter
from collections.abc import Mapping
from functools import cache

import numpy as np
import pytest
import torch

from anifacediff.errors import ShapeError
from anifacediff.geometry.contracts import LandmarkedModel
from anifacediff.geometry.head import ParametricHead, build_head
from anifacediff.geometry.head_sculpt import EYE, EYE_RADIUS, sculpt
from anifacediff.geometry.morphable import rotation_matrix

NEUTRAL: Mapping[str, float] = {}


@cache
def head() -> ParametricHead:
    return ParametricHead()


@pytest.fixture(scope="module")
def triangles() -> np.ndarray:
    return head().triangles.numpy()


def inputs(frames: int = 1) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    model = head()
    return torch.zeros(frames, model.num_shape), torch.zeros(frames, model.num_expression), torch.zeros(frames, 5, 3)


def pose_of(joint: str, *axis_angle: float) -> torch.Tensor:
    pose = torch.zeros(1, 5, 3)
    pose[0, head().joint_names.index(joint)] = torch.tensor(axis_angle)
    return pose


def posed(pose: torch.Tensor | None = None, coefficients: Mapping[str, float] = NEUTRAL) -> torch.Tensor:
    """Vertices of the head with some coefficients given by name."""
    shape, expression, still = inputs()
    for name, value in coefficients.items():
        if name in head().shape_names:
            shape[0, head().shape_names.index(name)] = value
        else:
            expression[0, head().expression_names.index(name)] = value
    return head()(shape, expression, still if pose is None else pose)


def landmarks(pose: torch.Tensor | None = None, coefficients: Mapping[str, float] = NEUTRAL) -> torch.Tensor:
    pose = inputs()[2] if pose is None else pose
    return head().landmarks(posed(pose, coefficients), pose)[0]


def mirror_permutation() -> np.ndarray:
    """For every vertex, the one at its mirror image in the template."""
    template = sculpt().vertices
    keys = {tuple(np.round(point, 6) + 0.0): index for index, point in enumerate(template)}
    flipped = np.round(template * [-1, 1, 1], 6) + 0.0
    # The edges of the closed mouth lie on one another, so that positions alone do not tell them apart.
    permutation = np.array([keys[tuple(point)] for point in flipped])
    mouth = sculpt().grid.mouth
    for edge in (mouth.upper, mouth.lower):
        permutation[edge] = edge[::-1]
    return permutation


def boundary_edges(triangles: np.ndarray) -> list[tuple[int, int]]:
    directed = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    edges = Counter(map(tuple, directed.tolist()))
    assert max(edges.values()) == 1, "an edge is walked twice in one direction: not an oriented manifold"
    return [edge for edge in edges if edge[::-1] not in edges]


def test_counts_and_contract() -> None:
    model = head()
    assert isinstance(model, LandmarkedModel)
    assert 4800 <= model.num_vertices <= 5300
    assert model.num_shape == len(set(model.shape_names)) >= 50
    assert model.num_expression == len(set(model.expression_names)) >= 50
    assert model.joint_names == ("global", "neck", "jaw", "left_eye", "right_eye")
    assert model.parents == (-1, 0, 1, 1, 1)


def test_size_and_axes() -> None:
    points = landmarks()
    vertices = posed()[0]
    height = float(vertices[:, 1].max() - points[8, 1])
    assert 0.2 < height < 0.25
    assert points[30, 2] > points[8, 2] > 0, "the nose points to the viewer"
    assert points[27, 1] > points[8, 1], "the chin is below"
    assert points[16, 0] > 0 > points[0, 0], "the jaw line runs from image-left to image-right"


def test_building_is_deterministic_and_shares_nothing() -> None:
    build_head.cache_clear()
    first = ParametricHead()
    build_head.cache_clear()
    second = ParametricHead()
    for (name, one), (_, other) in zip(first.named_buffers(), second.named_buffers(), strict=True):
        assert torch.equal(one, other), name
    with torch.no_grad():
        first.template.add_(1.0)
    assert float(ParametricHead().template.abs().max()) < 0.5


def test_template_and_triangles_mirror(triangles: np.ndarray) -> None:
    other = mirror_permutation()
    assert (other[other] == np.arange(len(other))).all()
    found = {tuple(sorted(t)) for t in triangles.tolist()}
    mirrored = {tuple(sorted(t)) for t in other[triangles].tolist()}
    assert found == mirrored


def test_bases_mirror() -> None:
    """Left and right components mirror each other, the rest themselves; sideways ones turn round."""
    other = torch.from_numpy(mirror_permutation())
    flip = torch.tensor([-1.0, 1.0, 1.0])
    mesh = build_head().mesh
    for names, basis in (
        (head().shape_names, mesh.shape_basis),
        (head().expression_names, mesh.expression_basis),
    ):
        for index, name in enumerate(names):
            twin = name.replace("_left", "_right") if name.endswith("_left") else name.replace("_right", "_left")
            sign = -1 if name.endswith("_sideways") else 1
            mirrored = basis[other, :, index] * flip * sign
            torch.testing.assert_close(mirrored, basis[..., names.index(twin)], rtol=0, atol=2e-7, msg=name)


def test_mesh_is_manifold_with_three_openings(triangles: np.ndarray) -> None:
    """The only edges with one triangle: the neck's end and the rims behind the lids; each a closed loop."""
    following = dict(boundary_edges(triangles))
    loops: list[set[int]] = []
    while following:
        start = vertex = next(iter(following))
        loop = {start}
        while (vertex := following.pop(vertex)) != start:
            loop.add(vertex)
        loops.append(loop)
    grid = sculpt().grid
    expected = [set(grid.below[-1].tolist())]
    expected += [set(eye.inner.ravel().tolist()) for eye in grid.eyes]
    assert sorted(map(sorted, loops)) == sorted(map(sorted, expected))
    assert set(triangles.ravel().tolist()) == set(range(head().num_vertices)), "every vertex belongs to a triangle"


def test_no_degenerate_triangles(triangles: np.ndarray) -> None:
    corners = sculpt().vertices[triangles]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
    assert area.min() > 1e-4  # square centimetres


def test_triangles_wind_outwards(triangles: np.ndarray) -> None:
    """Volumes are positive, and on the skull every normal points away from the middle."""
    sculpture = sculpt()
    corners = sculpture.vertices[triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    for part in (*sculpture.eyeballs, *sculpture.ears):
        chosen = np.isin(triangles[:, 0], part)
        assert (corners[chosen].mean(1) * normals[chosen]).sum() > 0
        middle = corners[chosen].mean((0, 1))
        assert ((corners[chosen].mean(1) - middle) * normals[chosen]).sum() > 0
    skull = (triangles < sculpture.grid.num_skin).all(1) & (corners[..., 1].min(1) > 4.5)
    outward = (corners.mean(1) - [0.0, 4.0, -1.0]) * normals
    assert (outward[skull].sum(1) > 0).all()


def test_skinning_weights_and_regressor_are_combinations() -> None:
    mesh = build_head().mesh
    torch.testing.assert_close(mesh.skinning_weights.sum(1), torch.ones(head().num_vertices))
    assert float(mesh.skinning_weights.min()) >= 0
    torch.testing.assert_close(mesh.joint_regressor.sum(1), torch.ones(5), rtol=0, atol=1e-5)


def test_joints_lie_where_they_should() -> None:
    root, neck, jaw, left_eye, right_eye = head().joints(*inputs())[0]
    assert root[1] < neck[1] < jaw[1] < left_eye[1]
    torch.testing.assert_close(left_eye, torch.from_numpy(EYE).float() / 100, rtol=0, atol=1e-5)
    torch.testing.assert_close(right_eye, left_eye * torch.tensor([-1.0, 1.0, 1.0]), rtol=0, atol=1e-5)


def test_landmarks_are_in_anatomical_order() -> None:
    x, y, z = landmarks().T
    jaw_line = slice(0, 17)
    assert (x[jaw_line].diff() > 0).all(), "the jaw line runs from image-left to image-right"
    assert int(y[jaw_line].argmin()) == 8, "the chin is its lowest point"
    assert (y[:9].diff() < 0).all()
    assert (x[17:27].diff() > 0).all(), "brows run to image-right"
    assert (y[27:31].diff() < 0).all(), "the bridge runs down"
    assert int(z[27:31].argmax()) == 3, "its tip is foremost"
    assert (x[31:36].diff() > 0).all()
    assert y[17:27].min() > y[36:48].max()
    assert y[36:48].min() > y[30]
    assert y[31:36].min() > y[48:68].max()
    for first in (36, 42):
        corner, top_outer, top_inner, far_corner, low_inner, low_outer = range(first, first + 6)
        assert x[corner] < x[top_outer] < x[top_inner] < x[far_corner]
        assert min(y[top_outer], y[top_inner]) > max(y[low_inner], y[low_outer])
        assert x[low_outer] < x[low_inner]
    assert (x[48:55].diff() > 0).all()
    assert (x[54:60].diff() < 0).all()
    assert (x[60:65].diff() > 0).all()
    assert (x[64:68].diff() < 0).all()
    assert y[49:54].min() > y[61:64].max()
    assert y[65:68].min() > y[55:60].max()


def test_landmarks_mirror() -> None:
    points = landmarks()
    mirrored = [*range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, *range(35, 30, -1)]
    mirrored += [45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40]
    mirrored += [54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65]
    torch.testing.assert_close(points[mirrored] * torch.tensor([-1.0, 1.0, 1.0]), points, rtol=0, atol=1e-6)


@pytest.mark.parametrize("degrees", [-45.0, -20.0, 20.0, 45.0])
def test_jaw_line_follows_the_silhouette(degrees: float) -> None:
    """On the side turned away, the jaw line is the outline of the skin in front of the ears at that height."""
    pose = pose_of("global", 0.0, np.deg2rad(degrees), 0.0)
    vertices, points = posed(pose)[0], landmarks(pose)
    sign = 1 if degrees > 0 else -1  # positive yaw turns the image-right side away
    face = sculpt().grid.below[: sculpt().jaw_row + 1]
    chosen = torch.from_numpy(face[:, face.shape[1] // 2 :: sign].ravel())
    away = range(12, 16) if degrees > 0 else range(1, 5)
    for index in away:
        level = chosen[(vertices[chosen, 1] - points[index, 1]).abs() < 0.0025]
        outline = float((vertices[level, 0] * sign).max())
        assert abs(float(points[index, 0]) * sign - outline) < 0.003


def test_jaw_line_moves_from_vertex_to_vertex_under_yaw() -> None:
    pose = pose_of("global", 0.0, 0.7, 0.0)
    root = head().joints(*inputs())[0, 0]
    unturned = (landmarks(pose) - root) @ rotation_matrix(pose[0, 0]) + root
    still = landmarks()
    torch.testing.assert_close(unturned[17:], still[17:], rtol=0, atol=1e-6)
    # The outline on the side turned away moves to the front of the face, the other one towards the ear, if anywhere.
    assert (unturned[12:16, 2] > still[12:16, 2] + 0.01).all()
    assert (unturned[1:5, 2] < still[1:5, 2] + 1e-6).all()


def test_jaw_opens_the_mouth() -> None:
    def gap(points: torch.Tensor) -> float:
        return float((points[62] - points[66]).norm())

    closed, half, wide = (landmarks(pose_of("jaw", angle, 0.0, 0.0)) for angle in (0.0, 0.15, 0.3))
    assert gap(closed) < 1e-6 < gap(half) < gap(wide)
    assert gap(wide) > 0.02
    assert wide[8, 1] < closed[8, 1] - 0.015, "the chin goes down"
    torch.testing.assert_close(wide[17:48], closed[17:48], rtol=0, atol=1e-4)
    assert gap(landmarks(coefficients={"jaw_open": 2.0})) > 0.005


@pytest.mark.parametrize(("side", "upper", "lower"), [("left", (43, 44), (47, 46)), ("right", (37, 38), (41, 40))])
def test_lids_close_over_the_eyeball(side: str, upper: tuple[int, int], lower: tuple[int, int]) -> None:
    closing = f"lids_close_{side}"
    open_eye, shut = landmarks(), landmarks(coefficients={closing: 2.0})
    for high, low in zip(upper, lower, strict=True):
        assert float(open_eye[high, 1] - open_eye[low, 1]) > 0.005
        assert abs(float(shut[high, 1] - shut[low, 1])) < 2e-4
    unmoved = [index for index in range(36, 48) if index not in (*upper, *lower)]
    torch.testing.assert_close(shut[unmoved], open_eye[unmoved])
    sculpture = sculpt()
    eye = sculpture.grid.eyes[1 if side == "left" else 0]
    center = EYE / 100 * np.array([1 if side == "left" else -1, 1, 1])
    for amount in (0.5, 1.0, 1.5, 2.0):
        edge = posed(coefficients={closing: amount})[0].numpy()[eye.upper]
        distance = np.linalg.norm(edge - center, axis=1)
        assert distance.min() > (EYE_RADIUS + 0.05) / 100, "the lid stays in front of the eyeball and its iris"


def test_eyeballs_turn_about_their_centre_and_nothing_else_moves() -> None:
    turned, still = posed(pose_of("left_eye", 0.1, 0.3, 0.0))[0], posed()[0]
    eyeball = torch.from_numpy(sculpt().eyeballs[1])
    moved = (turned - still).norm(dim=1) > 1e-6
    assert set(moved.nonzero()[:, 0].tolist()) <= set(eyeball.tolist())
    assert bool(moved[eyeball].float().mean() > 0.9)
    assert turned[eyeball[0], 0] > still[eyeball[0], 0], "a positive turn about y looks to the person's left"


@pytest.mark.parametrize("name", ["eye_distance", "eye_size", "head_width", "cartoon_eyes", "face_length"])
def test_identity_keeps_eyeballs_round(name: str) -> None:
    vertices = posed(coefficients={name: 2.0})[0]
    for eyeball, joint in zip(sculpt().eyeballs, (4, 3), strict=True):
        still = posed()[0][eyeball]
        ratio = torch.cdist(vertices[eyeball], vertices[eyeball]).sum() / torch.cdist(still, still).sum()
        center, rest = vertices[eyeball].mean(0), still.mean(0)
        torch.testing.assert_close(vertices[eyeball] - center, (still - rest) * ratio, rtol=0, atol=1e-6)
        shape = torch.zeros(1, head().num_shape)
        shape[0, head().shape_names.index(name)] = 2.0
        regressed = head().joints(shape, *inputs()[1:])[0, joint]
        middle = center + (head().joints(*inputs())[0, joint] - rest) * ratio
        torch.testing.assert_close(regressed, middle, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "point", "axis", "sign"),
    [
        ("smile_left", 54, 1, 1),
        ("smile_left", 54, 0, 1),
        ("smile_right", 48, 0, -1),
        ("frown_right", 48, 1, -1),
        ("lip_pucker", 48, 0, 1),
        ("lip_stretch_left", 54, 0, 1),
        ("upper_lip_raise_left", 63, 1, 1),
        ("lower_lip_drop_right", 67, 1, -1),
        ("brow_inner_up_left", 22, 1, 1),
        ("brow_outer_up_right", 17, 1, 1),
        ("brow_down_left", 23, 1, -1),
        ("mouth_sideways", 51, 0, 1),
        ("jaw_forward", 57, 2, 1),
        ("lids_close_left", 43, 1, -1),
        ("squint_right", 41, 1, 1),
        ("nose_projection", 30, 2, 1),
        ("chin_length", 8, 1, -1),
        ("mouth_width", 54, 0, 1),
        ("eye_distance", 36, 0, -1),
        ("jaw_width", 12, 0, 1),
        ("face_width", 15, 0, 1),
    ],
)
def test_components_do_what_they_say(name: str, point: int, axis: int, sign: int) -> None:
    moved = float((landmarks(coefficients={name: 1.0}) - landmarks())[point, axis]) * sign
    assert moved > 3e-4


def test_every_component_matters_and_is_smooth() -> None:
    """One standard deviation moves something by half a millimetre at least and two centimetres at most."""
    mesh = build_head().mesh
    for names, basis in ((head().shape_names, mesh.shape_basis), (head().expression_names, mesh.expression_basis)):
        reach = basis.norm(dim=1).amax(0)
        weak = [name for name, value in zip(names, reach.tolist(), strict=True) if not 0.0005 < value < 0.02]
        assert not weak


def test_components_are_independent() -> None:
    mesh = build_head().mesh
    for basis in (mesh.shape_basis, mesh.expression_basis):
        columns = basis.flatten(0, 1).double()
        unit = columns / columns.norm(dim=0)
        assert float((unit.T @ unit).fill_diagonal_(0).abs().max()) < 0.97
        assert float(torch.linalg.svdvals(unit).min()) > 0.03


def test_linear_in_shape_and_expression() -> None:
    generator = torch.Generator().manual_seed(0)
    _, _, pose = inputs()
    model = ParametricHead().double()
    shape = torch.randn(2, model.num_shape, generator=generator, dtype=torch.float64)
    expression = torch.randn(2, model.num_expression, generator=generator, dtype=torch.float64)
    still = pose.double().expand(2, -1, -1)
    one, other = model(shape, expression, still) - model.template
    mixed = model((shape[:1] * 0.3 + shape[1:] * 0.7), (expression[:1] * 0.3 + expression[1:] * 0.7), still[:1])
    torch.testing.assert_close(mixed[0] - model.template, one * 0.3 + other * 0.7, rtol=0, atol=1e-12)


def test_gradients_reach_everything_through_landmarks() -> None:
    arguments = tuple(tensor.requires_grad_() for tensor in inputs(2))
    model = head()
    points = model.landmarks(model(*arguments), arguments[2])
    (points * torch.randn(points.shape, generator=torch.Generator().manual_seed(0))).sum().backward()
    for argument in arguments:
        assert argument.grad is not None
        assert bool(argument.grad.isfinite().all())
    shape, expression, pose = arguments
    assert shape.grad is not None
    assert expression.grad is not None
    assert pose.grad is not None
    assert bool((pose.grad[:, :3] != 0).all()), "global, neck and jaw move landmarks"
    assert float((shape.grad != 0).float().mean()) > 0.9
    assert float((expression.grad != 0).float().mean()) > 0.9


def test_double_precision() -> None:
    model = ParametricHead().to(torch.float64)
    shape, expression, pose = (tensor.double() for tensor in inputs())
    vertices = model(shape, expression, pose)
    assert vertices.dtype == model.landmarks(vertices, pose).dtype == torch.float64


def test_landmarks_of_another_mesh_are_refused() -> None:
    with pytest.raises(ShapeError, match="vertices: expected shape"):
        head().landmarks(torch.zeros(1, 100, 3), torch.zeros(1, 5, 3))
