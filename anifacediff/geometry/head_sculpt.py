"""The neutral built-in head: cross-sections from crown to neck, strokes that sculpt the face, lips, lids, eyes, ears.

Lengths are centimetres; the origin lies between the ears at the height of the nose. Proportions follow common
anthropometric averages of adult faces.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from anifacediff.geometry.head_fields import Stroke, displace, smoothstep, spline
from anifacediff.geometry.head_grid import HeadGrid, ball, build_grid

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


class Section(NamedTuple):
    """A closed curve around the head, and how many grid rows lead to it from the one above."""

    rows: int
    front: tuple[float, float]  # y, z on the midline
    side: tuple[float, float, float]  # x, y, z where it is widest
    back: tuple[float, float]  # y, z on the midline
    squareness: tuple[float, float]  # exponents of the superellipse in front and behind; 2 is an ellipse


CROWN = (12.7, -1.2)
SECTIONS = (
    Section(1, (12.5, 0.6), (1.8, 12.5, -1.3), (12.5, -3.0), (2.0, 2.0)),
    Section(2, (11.6, 4.2), (4.6, 11.3, -1.4), (11.3, -6.3), (2.0, 2.0)),
    Section(2, (10.1, 6.8), (6.4, 9.2, -1.4), (9.1, -8.8), (2.1, 2.0)),
    Section(2, (8.1, 8.5), (7.3, 6.9, -1.3), (6.4, -10.1), (2.2, 2.1)),
    Section(3, (6.0, 9.4), (7.55, 4.8, -1.1), (3.9, -10.4), (2.25, 2.1)),
    Section(3, (4.1, 9.7), (7.45, 3.2, -0.9), (2.2, -10.2), (2.3, 2.1)),
    Section(8, (1.7, 9.3), (7.15, 1.3, -0.6), (0.3, -9.6), (2.25, 2.1)),
    Section(5, (0.0, 9.4), (6.95, 0.0, -0.5), (-1.2, -8.9), (2.25, 2.1)),
    Section(5, (-1.7, 9.6), (6.8, -1.2, -0.4), (-2.6, -8.1), (2.2, 2.1)),
    Section(6, (-2.9, 9.8), (6.65, -2.0, -0.3), (-3.6, -7.5), (2.15, 2.1)),
    Section(9, (-5.0, 9.8), (6.35, -3.5, -0.2), (-5.3, -6.7), (2.1, 2.1)),
    Section(6, (-6.9, 9.4), (6.05, -4.8, -0.2), (-6.7, -6.4), (2.0, 2.1)),
    Section(4, (-8.7, 9.2), (5.75, -5.9, -0.3), (-8.0, -6.3), (1.95, 2.1)),
    Section(3, (-9.8, 8.2), (5.4, -6.9, -0.6), (-9.2, -6.3), (1.95, 2.1)),
    Section(2, (-10.0, 6.6), (4.9, -7.9, -1.2), (-10.4, -6.3), (1.9, 2.1)),
    Section(2, (-10.8, 4.5), (4.75, -9.6, -1.8), (-11.7, -6.4), (2.0, 2.1)),
    Section(2, (-13.2, 3.7), (5.0, -12.6, -2.0), (-13.8, -6.8), (2.1, 2.1)),
    Section(2, (-16.0, 3.7), (5.9, -16.0, -2.2), (-16.0, -7.3), (2.1, 2.1)),
)
EYE_SECTION, MOUTH_SECTION, JAW_SECTION = 6, 10, 13
COLUMN_STEPS = (
    (2.7,) * 6 + (2.4,) * 10 + (3.2, 4.2, 5.4, 6.6, 7.4, 7.8, 8.0, 8.0) + (11.15,) * 8
)  # degrees, front to back

EYE = np.array([3.2, 1.7, 7.05])
EYE_RADIUS, LID_RADIUS = 1.38, 1.52
EYE_PROFILE = (  # degrees from the gaze, height above the sphere
    *((0, -0.09), (5, -0.08), (8.5, -0.02), (11, 0.05), (17, 0.045), (22, 0.02), (25, -0.03), (28, -0.005)),
    *((36, 0.0), (50, 0.0), (68, 0.0), (90, 0.0), (125, 0.0), (180, 0.0)),
)
EYE_CORNERS = (1.95, 4.5)
MOUTH_CORNER = 2.5
POCKET = (
    (0.05, -0.45, 0.97),
    (0.9, -1.4, 0.9),
    (0.5, -3.4, 0.7),
    (-0.5, -3.4, 0.7),
    (-0.9, -1.4, 0.9),
    (-0.05, -0.45, 0.97),
)

FEATURES = (
    # brow ridge, glabella, temple
    Stroke(((0.9, 3.3, 0.6), (2.6, 3.85, 0.6), (4.4, 3.7, 0.6), (5.4, 2.8, 0.5)), (0.0, 0.0, 0.2)),
    Stroke(((0.0, 3.3, 0.9),), (0.0, 0.0, 0.1)),
    Stroke(((3.6, 3.6, 1.8),), (-0.35, 0.0, 0.0), on="side"),
    # eye socket: the pit beside the nose, under the brow, and under the lid
    Stroke(((3.2, 1.7, 1.2),), (0.0, 0.0, -0.45)),
    Stroke(((1.8, 1.7, 0.7),), (0.0, 0.0, -0.95)),
    Stroke(((1.9, 2.6, 0.55), (3.2, 2.9, 0.5), (4.4, 2.6, 0.5)), (0.0, 0.0, -0.2)),
    Stroke(((2.2, 0.5, 0.5), (3.3, 0.2, 0.45), (4.3, 0.6, 0.45)), (0.0, 0.0, -0.12)),
    # cheekbone and cheek
    Stroke(
        ((3.2, -0.7, 1.3), (4.6, -0.7, 1.4), (5.9, -0.2, 1.4)), ((0.0, 0.0, 0.25), (0.1, 0.0, 0.4), (0.15, 0.0, 0.2))
    ),
    Stroke(((3.6, -2.6, 1.6),), (0.0, 0.0, 0.1)),
    Stroke(((4.0, -3.6, 2.0),), (-0.25, 0.0, 0.0), on="side"),
    # nose: broad base, ridge, ball of the tip, wings, crease behind the wings, nostrils, septum
    Stroke(
        ((0.0, 2.4, 0.9), (0.0, 1.0, 1.0), (0.0, -0.4, 1.15), (0.0, -1.5, 1.1)),
        ((0.0, 0.0, 0.1), (0.0, 0.0, 0.4), (0.0, 0.0, 0.65), (0.0, 0.0, 0.75)),
    ),
    Stroke(
        ((0.0, 2.6, 0.7), (0.0, 1.2, 0.7), (0.0, 0.0, 0.75), (0.0, -1.0, 0.8), (0.0, -1.8, 0.8)),
        ((0.0, 0.0, 0.0), (0.0, 0.0, 0.4), (0.0, 0.0, 0.75), (0.0, 0.0, 0.95), (0.0, 0.0, 0.75)),
    ),
    Stroke(((0.0, -1.75, 0.8),), (0.0, -0.25, 0.75)),
    Stroke(((1.3, -2.05, 0.55),), (0.1, -0.25, 0.8)),
    Stroke(((1.95, -1.4, 0.35), (2.05, -2.1, 0.35)), (0.0, 0.0, -0.2)),
    Stroke(((0.65, -2.45, 0.28),), (0.0, 0.25, -0.4)),
    # philtrum, lips, the line between them, the pits at their corners
    Stroke(((0.0, -3.1, 0.25), (0.0, -4.0, 0.3)), (0.0, 0.0, -0.15)),
    Stroke(((0.45, -3.2, 0.2), (0.55, -4.1, 0.25)), (0.0, 0.0, 0.1)),
    Stroke(((0.0, -4.0, 1.3),), (0.0, 0.0, 0.35)),
    Stroke(
        ((0.0, -4.62, 0.38), (0.7, -4.48, 0.4), (1.6, -4.75, 0.33), (2.4, -5.0, 0.2)),
        ((0.0, 0.0, 0.45), (0.0, 0.0, 0.45), (0.0, 0.0, 0.35), (0.0, 0.0, 0.05)),
    ),
    Stroke(
        ((0.0, -5.52, 0.46), (0.9, -5.47, 0.44), (1.7, -5.27, 0.35), (2.4, -5.05, 0.2)),
        ((0.0, 0.0, 0.65), (0.0, 0.0, 0.6), (0.0, 0.0, 0.4), (0.0, 0.0, 0.1)),
    ),
    Stroke(
        ((0.0, -5.0, 0.2), (1.6, -5.0, 0.2), (2.5, -5.0, 0.2)),
        ((0.0, 0.0, -0.28), (0.0, 0.0, -0.25), (0.0, 0.0, -0.05)),
    ),
    Stroke(((2.9, -5.1, 0.6),), (0.0, 0.0, -0.08)),
    # flap in front of the ear's opening
    Stroke(((-0.1, -0.7, 0.45),), (0.3, 0.0, 0.0), on="side"),
    # fold from nose to mouth, fold under the lip, chin, corner of the jaw
    Stroke(((2.1, -2.6, 0.4), (2.7, -3.6, 0.45), (3.1, -4.6, 0.4)), (0.0, 0.0, -0.12)),
    Stroke(((0.0, -6.7, 0.55), (1.3, -6.5, 0.5)), ((0.0, 0.0, -0.35), (0.0, 0.0, -0.2))),
    Stroke(((0.0, -8.5, 1.0), (0.9, -8.6, 0.9)), (0.0, 0.0, 0.55)),
    Stroke(((0.8, -6.4, 1.2),), (0.25, 0.0, 0.0), on="side"),
)


@dataclass(frozen=True)
class Sculpture:
    """The neutral head.

    Attributes:
        vertices: v 3, centimetres.
        triangles: t 3, counter-clockwise seen from outside.
        grid: numbering of the skin.
        jaw_row: the grid row along the edge of the jaw.
        eyeballs: vertices of the eyeballs at image-left and image-right.
        ears: vertices of the ears at image-left and image-right.
    """

    vertices: Floats
    triangles: Indices
    grid: HeadGrid
    jaw_row: int
    eyeballs: tuple[Indices, Indices]
    ears: tuple[Indices, Indices]


def sculpt() -> Sculpture:
    """Build the neutral head."""
    base = lay_sections()
    ends = np.cumsum([section.rows for section in SECTIONS]) - 1
    eye_row, mouth_row, jaw_row = (int(ends[section]) for section in (EYE_SECTION, MOUTH_SECTION, JAW_SECTION))
    front = base.shape[1] // 2
    mouth_corner = front + nearest_column(base[mouth_row, front:, 0], MOUTH_CORNER)
    eye_corners = [front + nearest_column(base[eye_row, front:, 0], corner) for corner in EYE_CORNERS]
    grid = build_grid(
        *base.shape[:2],
        mouth_row=mouth_row,
        mouth_columns=slice(2 * front - mouth_corner, mouth_corner + 1),
        eye_row=eye_row,
        eye_columns=slice(eye_corners[0], eye_corners[1] + 1),
        pocket_rows=len(POCKET),
    )
    skin = np.zeros((grid.num_skin, 3))
    skin[grid.crown] = 0.0, *CROWN
    upper = np.zeros(grid.num_skin, dtype=bool)
    skin[grid.below], skin[grid.above] = base, base
    upper[grid.above[: eye_row + 1]] = True
    corners = grid.above[eye_row, eye_corners]
    skin += displace(FEATURES, skin)
    skin = open_lids(skin, upper, skin[corners, 0])
    line_slits(skin, grid)
    return add_parts(skin, grid, jaw_row)


def nearest_column(positions: Floats, target: float) -> int:
    """The column of the front quarter whose x is nearest to ``target``."""
    return int(np.abs(positions[: len(COLUMN_STEPS) // 2] - target).argmin())


def lay_sections() -> Floats:
    """The smooth head before any feature: rows, columns, 3; columns from the back over image-left round to it."""
    # Reflecting the first sections over the crown makes the surface smooth there.
    over = [(*s.back, -s.side[0], *s.side[1:], *s.front, *reversed(s.squareness)) for s in reversed(SECTIONS[:3])]
    down = [(*s.front, *s.side, *s.back, *s.squareness) for s in SECTIONS]
    table = np.array([*over, (*CROWN, 0.0, *CROWN, *CROWN, 2.0, 2.0), *down])
    steps = np.linalg.norm(np.diff(table[:, :2], axis=0), axis=1)
    knots = np.concatenate([[0.0], np.cumsum(steps)])
    knots -= knots[len(over)]
    sections = knots[len(over) :]
    at = [
        np.linspace(start, end, section.rows + 1)[1:]
        for start, end, section in zip(sections[:-1], sections[1:], SECTIONS, strict=True)
    ]
    rows = spline(knots, table, np.concatenate(at))
    half = np.deg2rad(np.concatenate([[0.0], np.cumsum(COLUMN_STEPS)]))
    half[-1] = np.pi
    angles = np.concatenate([-half[:0:-1], half[:-1]])
    return np.stack([lay_row(row, angles) for row in rows])


def lay_row(row: Floats, angles: Floats) -> Floats:
    """The points of one cross-section at polar angles from the front."""
    front, side, back, squareness = row[:2], row[2:5], row[5:7], row[7:]
    forward = np.cos(angles) >= 0
    exponent = np.where(forward, squareness[0], squareness[1])
    sine, cosine = np.sin(angles), np.abs(np.cos(angles))
    cosine[cosine < 1e-12] = 0.0
    length = (np.abs(sine) ** exponent + cosine**exponent) ** (-1 / exponent)
    middle = np.where(forward[:, None], front, back)
    yz = side[1:] + (middle - side[1:]) * (length * cosine)[:, None]
    x = side[0] * length * np.where(np.abs(sine) < 1e-12, 0.0, sine)
    return np.column_stack([x, yz])


def open_lids(skin: Floats, upper: NDArray[np.bool_], corners: Floats) -> Floats:
    """Open the slits of the eyes and drape the skin around them over the eyeballs."""
    x, y, z = np.abs(skin[:, 0]), skin[:, 1].copy(), skin[:, 2].copy()
    inner, outer = corners
    along = np.clip((x - inner) / (outer - inner), 0, 1)
    arch = (4 * along * (1 - along)) ** 0.75
    height = np.abs(y - EYE[1])
    fade = np.clip(1 - height / 1.9, 0, 1) ** 2
    front = smoothstep(2.0, 4.0, z)
    y += np.where(upper, 0.58 * arch * (1.1 - 0.25 * along), -0.42 * arch * (0.8 + 0.35 * along)) * fade * front
    y += 0.12 * smoothstep(2.2, 4.6, x) * np.exp(-(height**2) / 2) * front
    z = np.where(front > 0, soft_maximum(z, EYE[2] + lid_height(x, y), 0.12), z)
    return np.column_stack([skin[:, 0], y, z])


def lid_height(x: Floats, y: Floats, thickness: float = 0.0) -> Floats:
    """How far in front of the eyeball's centre the lids lie; it falls off straight beyond the eyeball's rim."""
    radius = LID_RADIUS + thickness
    edge = 0.92 * radius
    away = np.hypot(np.abs(x) - EYE[0], y - EYE[1])
    cap = np.sqrt(radius**2 - np.minimum(away, edge) ** 2)
    return cap - np.maximum(away - edge, 0) * edge / np.sqrt(radius**2 - edge**2)


def soft_maximum(first: Floats, second: Floats, width: float) -> Floats:
    """The larger of two values, rounded where they are closer than ``width``."""
    gap = np.clip(1 - np.abs(first - second) / (2 * width), 0, 1)
    return np.maximum(first, second) + width / 2 * gap**2


def line_slits(skin: Floats, grid: HeadGrid) -> None:
    """Place the rows that lead inwards from the slits."""
    mouth = grid.mouth
    edge = skin[mouth.upper]
    bow = 1 - (edge[:, 0] / edge[-1, 0]) ** 2
    smooth = edge[-1] + bow[:, None] * (edge[len(edge) // 2] - edge[-1])
    edge = np.column_stack([edge[:, 0], smooth[:, 1:]])
    taper = np.sqrt(np.clip(1 - (edge[:, 0] / edge[-1, 0]) ** 4, 0, 1))
    # Corners behind the corners of the lips keep the large walls of the pocket out of the lips' normals.
    skin[mouth.inner[0, [0, -1]]] = skin[mouth.upper[[0, -1]]] + np.array([0.0, 0.0, -0.3])
    for row, (rise, depth, narrow) in zip(mouth.inner, POCKET, strict=True):
        inside = edge * np.array([narrow, 1.0, 1.0]) + taper[:, None] * np.array([0.0, rise, depth])
        skin[row[1:-1]] = inside[1:-1]
    for eye in grid.eyes:
        for edge_row, row in zip((eye.upper, eye.lower), eye.inner, strict=True):
            skin[row[1:-1]] = behind_lid(skin[edge_row[1:-1]])


def behind_lid(edge: Floats) -> Floats:
    """Where the rim of a lid meets the eyeball: a little under its surface."""
    center = EYE * np.array([np.sign(edge[0, 0]), 1.0, 1.0])
    offset = edge - center
    flat = offset[:, :2] * 0.97
    depth = np.sqrt(np.maximum((0.97 * EYE_RADIUS) ** 2 - (flat**2).sum(1), 0))
    return center + np.column_stack([flat, depth])


def add_parts(skin: Floats, grid: HeadGrid, jaw_row: int) -> Sculpture:
    """Add eyeballs and ears."""
    vertices, triangles, ids = [skin], [grid.triangles], []
    count = len(skin)
    for points, faces in (make_eyeball(), make_ear()):
        for mirror in (-1.0, 1.0):
            vertices.append(points * np.array([mirror, 1.0, 1.0]))
            triangles.append((faces if mirror > 0 else faces[:, ::-1]) + count)
            ids.append(np.arange(count, count + len(points)))
            count += len(points)
    eyeballs, ears = (ids[0], ids[1]), (ids[2], ids[3])
    return Sculpture(np.concatenate(vertices), np.concatenate(triangles), grid, jaw_row, eyeballs, ears)


def make_eyeball(spokes: int = 16) -> tuple[Floats, Indices]:
    """The eyeball at image-right: a sphere with a bulging iris, a groove around it, and a dimple for the pupil."""
    profile = np.array(EYE_PROFILE)
    polar, radius = np.deg2rad(profile[:, 0]), EYE_RADIUS + profile[:, 1]
    around = 2 * np.pi * np.arange(spokes) / spokes
    rings = np.stack(
        [
            np.stack([np.sin(p) * np.cos(around), np.sin(p) * np.sin(around), np.full(spokes, np.cos(p))], 1) * r
            for p, r in zip(polar[1:-1], radius[1:-1], strict=True)
        ]
    )
    front, back = np.array([[0.0, 0.0, radius[0]]]), np.array([[0.0, 0.0, -radius[-1]]])
    return EYE + np.concatenate([front, rings.reshape(-1, 3), back]), ball(len(polar) - 2, spokes)


def make_ear(spokes: int = 20) -> tuple[Floats, Indices]:
    """The ear at image-right: a shell whose front edge is sunk into the head."""
    reach = np.array([0.22, 0.4, 0.55, 0.67, 0.78, 0.88, 0.96, 1.0, 0.9, 0.6])
    relief = np.array([-0.4, -0.32, -0.02, 0.12, -0.1, 0.05, 0.18, 0.02, -0.3, -0.9])
    around = 2 * np.pi * np.arange(spokes) / spokes
    backward, up = np.cos(around), np.sin(around)
    lobe = smoothstep(0.5, 1.0, -up)
    root = smoothstep(0.2, 0.9, -backward)
    rings: list[Floats] = []
    for index, (size, height) in enumerate(zip(reach, relief, strict=True)):
        wide = 1.75 * size * backward * (1 + 0.22 * up)
        tall = 3.1 * size * up - 0.1 * size * lobe
        carved = height if index >= 7 else height * (1 - 0.8 * lobe)
        rings.append(np.stack([wide, tall, carved - 0.25 * root * size], 1))
    first, last = np.array([[0.0, 0.0, -0.42]]), np.array([[0.0, 0.0, -1.2]])
    local = np.concatenate([first, *rings, last])
    axes = ear_axes()
    return np.array([7.62, -0.2, -1.2]) + local @ axes, ball(len(reach), spokes)


def ear_axes() -> Floats:
    """Rows: backward along the ear, up along it, and outward from it."""
    flare, tilt = np.deg2rad(24), np.deg2rad(12)
    backward = np.array([np.sin(flare), -np.sin(tilt) * np.cos(flare), -np.cos(flare) * np.cos(tilt)])
    rough_up = np.array([0.0, np.cos(tilt), -np.sin(tilt)])
    up = rough_up - backward * (rough_up @ backward)
    up /= np.linalg.norm(up)
    return np.stack([backward, up, np.cross(backward, up)])
