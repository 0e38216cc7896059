"""Joints, skinning weights and landmarks of the built-in head; lengths in centimetres."""

import numpy as np
from numpy.typing import NDArray

from anifacediff.geometry.head_fields import Triple, smoothstep
from anifacediff.geometry.head_sculpt import EYE, Sculpture

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

JOINT_NAMES = ("global", "neck", "jaw", "left_eye", "right_eye")
PARENTS = (-1, 0, 1, 1, 1)
JAW: Triple = (0.0, -0.6, 0.8)
JOINTS = np.array([(0.0, -13.0, -2.0), (0.0, -8.0, -2.0), JAW, EYE, EYE * np.array([-1.0, 1.0, 1.0])])


def jaw_weights(sculpture: Sculpture) -> Floats:
    """How much each vertex follows the jaw: v, in [0, 1]."""
    grid, vertices = sculpture.grid, sculpture.vertices
    x, y, z = np.abs(vertices[:, 0]), vertices[:, 1], vertices[:, 2]
    # The line between what moves and what stays runs from the corner of the mouth up to the ear.
    lip = vertices[grid.mouth.upper]
    lip = lip[len(lip) // 2 :]
    corner_x, corner_y, corner_z = lip[-1]
    beside = corner_y + 0.33 * np.clip(corner_z - z, 0, 9)
    below = np.where(x < corner_x, np.interp(x, lip[:, 0], lip[:, 1]), beside) - y
    band = 0.05 + 0.6 * smoothstep(1.2, corner_x, x) + 0.8 * np.maximum(x - corner_x, 0)
    taper = np.clip(1 - (x / corner_x) ** 2, 0, 1)
    lower = np.zeros(len(vertices), dtype=bool)
    mouth_row = int(np.argwhere(grid.above == grid.mouth.upper[0])[0, 0])
    lower[grid.below[mouth_row:]] = True
    lower[grid.above[: mouth_row + 1]] = False
    below += band * taper * np.where(lower, 1, -1)
    weights = smoothstep(-1.0, 1.0, below / band)
    rows = np.zeros(len(vertices))
    rows[grid.below] = np.arange(len(grid.below))[:, None]
    weights *= 1 - smoothstep(sculpture.jaw_row, sculpture.jaw_row + 5.0, rows)
    weights *= smoothstep(-1.5, 3.0, z)
    skin = np.zeros(len(vertices), dtype=bool)
    skin[grid.below] = skin[grid.above] = True
    weights[~skin] = 0.0
    share = np.array([0.0, 0.0, 0.25, 0.75, 1.0, 1.0])[:, None]
    upper_lip, lower_lip = weights[grid.mouth.upper], weights[grid.mouth.lower]
    inner = upper_lip + share * (lower_lip - upper_lip)
    weights[grid.mouth.inner] = inner
    return weights


def skinning_weights(sculpture: Sculpture, jaw: Floats) -> Floats:
    """How much each joint moves each vertex: v j."""
    vertices = sculpture.vertices
    head = smoothstep(-15.0, -8.5, vertices[:, 1] + 0.2 * vertices[:, 2])
    weights = np.zeros((len(vertices), len(JOINTS)))
    weights[:, 2] = jaw * head
    weights[:, 1] = head - weights[:, 2]
    weights[:, 0] = 1 - head
    for joint, eyeball in zip((4, 3), sculpture.eyeballs, strict=True):
        weights[eyeball] = np.eye(len(JOINTS))[joint]
    return weights


def joint_regressor(sculpture: Sculpture) -> Floats:
    """Combinations of vertices that give the joints: j v, rows sum to one."""
    vertices, grid = sculpture.vertices, sculpture.grid
    ring = np.zeros(len(vertices), dtype=bool)
    ring[grid.above] = True
    ring &= np.abs(vertices[:, 2] - JOINTS[1, 2]) < 3.0
    regressor = np.zeros((len(JOINTS), len(vertices)))
    near = [np.flatnonzero(ring & (np.abs(vertices[:, 1] - joint[1]) < 2.5)) for joint in JOINTS[:3]]
    right_eye, left_eye = sculpture.eyeballs
    for row, joint, chosen in zip(regressor, JOINTS, (*near, left_eye, right_eye), strict=True):
        row[chosen] = smallest_combination(vertices[chosen], joint)
    return regressor


def smallest_combination(points: Floats, target: Floats) -> Floats:
    """The weights of least square sum that add up to one and combine ``points`` to ``target``."""
    constraints = np.vstack([np.ones(len(points)), points.T])
    return np.asarray(np.linalg.pinv(constraints) @ np.append(1.0, target), dtype=np.float64)


BROWS = ((-5.2, 3.2), (-4.4, 3.75), (-3.4, 3.9), (-2.4, 3.75), (-1.4, 3.4))
BRIDGE = ((0.0, 2.0), (0.0, 0.9), (0.0, -0.3), (0.0, -1.6))
NOSTRILS = ((-1.3, -2.45), (-0.65, -2.75), (0.0, -2.9))
OUTER_LIPS = ((-1.5, -4.5), (-0.6, -4.2), (0.0, -4.3), (0.0, -6.05), (-0.7, -6.0), (-1.6, -5.65))
CONTOUR = (
    (-7.0, 1.2),
    (-6.9, -0.8),
    (-6.7, -2.7),
    (-6.3, -4.5),
    (-5.7, -6.2),
    (-4.6, -7.6),
    (-3.3, -8.6),
    (-1.8, -9.3),
)
SIDE_COLUMNS = 24  # grid columns from the midline to just before the ear
INNERMOST = (3.0, 3.0, 3.0, 3.0, 3.0, 2.2, 1.2, 0.5)


def face_landmarks(sculpture: Sculpture) -> Indices:
    """Vertices of the iBUG points 17 to 67."""
    skin, grid = sculpture.vertices, sculpture.grid

    def nearest(targets: tuple[tuple[float, float], ...], sign: int = 1) -> list[int]:
        front = grid.below[skin[grid.below][..., 2] > 4.0]
        gaps = [np.hypot(skin[front, 0] - sign * x, skin[front, 1] - y) for x, y in targets]
        return [int(front[gap.argmin()]) for gap in gaps]

    brows = nearest(BROWS) + nearest(BROWS, -1)[::-1]
    nose = nearest(BRIDGE) + nearest(NOSTRILS) + nearest(NOSTRILS[:2], -1)[::-1]
    eyes: list[int] = []
    for eye in grid.eyes:
        third = round((len(eye.upper) - 1) / 3)
        top, bottom = eye.upper, eye.lower[::-1]
        eyes += [int(v) for v in (top[0], top[third], top[-1 - third], top[-1], bottom[third], bottom[-1 - third])]
    upper, lower = grid.mouth.upper, grid.mouth.lower
    quarter = round((len(upper) - 1) * 0.33)
    left, right = nearest(OUTER_LIPS), nearest(OUTER_LIPS, -1)
    outer = [int(upper[0]), *left[:3], *right[1::-1], int(upper[-1]), *right[:3:-1], *left[3:]]
    middle = len(upper) // 2
    inner = [upper[1], upper[quarter], upper[middle], upper[-1 - quarter], upper[-2]]
    inner += [lower[-1 - quarter], lower[middle], lower[quarter]]
    return np.array([*brows, *nose, *eyes, *outer, *inner], dtype=np.int64)


def contour_candidates(sculpture: Sculpture) -> Indices:
    """Vertices that each of the iBUG points 0 to 16 may lie on: 17 n; a row runs from the face back to the ear."""
    vertices, grid = sculpture.vertices, sculpture.grid
    middle = grid.below.shape[1] // 2
    face = grid.below[: sculpture.jaw_row + 2]
    chin = int(grid.below[sculpture.jaw_row, middle])
    image_left = [
        candidates_at(vertices, face[:, middle:0:-1], *point) for point in zip(CONTOUR, INNERMOST, strict=True)
    ]
    image_right = [
        candidates_at(vertices * [-1, 1, 1], face[:, middle:], *point) for point in zip(CONTOUR, INNERMOST, strict=True)
    ]
    rows = [*image_left, np.array([chin]), *image_right[::-1]]
    longest = max(len(row) for row in rows)
    return np.stack([np.pad(row, (0, longest - len(row)), mode="edge") for row in rows])


def candidates_at(vertices: Floats, columns: Indices, point: tuple[float, float], innermost: float) -> Indices:
    """The vertices at one height along grid columns of one side, from the front to the ear."""
    columns = columns[:, :SIDE_COLUMNS]
    height = np.abs(vertices[columns][..., 1] - point[1])
    chosen = np.take_along_axis(columns, height.argmin(0)[None], 0)[0]
    fits = (height.min(0) < 0.35) & (vertices[chosen, 0] < -innermost)
    return chosen[fits]
