"""The parts a drawn figure is put together from; lengths in metres unless said."""

from dataclasses import dataclass
from enum import IntEnum

import torch
from torch.nn import functional as F

from anifacediff.shapes import Float, Int, Tensor


class Material(IntEnum):
    """What a triangle is made of, and so what its four marks mean to the painter.

    Skin, cap, beard: x, y, z on the head at rest in centimetres, and whether it lies inside the mouth.
    Eye: the direction from the eyeball's centre. Lock: along, across and which lock, and the height in centimetres.
    Cloth: distance from the neck along the cloth, then x, y, z in centimetres. Thing: red, green, blue, gloss.
    """

    SKIN = 0
    EYE = 1
    CAP = 2
    LOCK = 3
    BEARD = 4
    CLOTH = 5
    THING = 6


BODY, HEAD, JAW = range(3)


@dataclass(frozen=True)
class Piece:
    """Something with a form of its own, carried by bones.

    Attributes:
        points: n 3, at rest.
        normals: n 3, at rest.
        bones: n 3, how much body, head and jaw move each point.
        marks: n 4, see :class:`Material`.
        triangles: t 3.
        material: of all triangles.
    """

    points: Float[Tensor, "n 3"]
    normals: Float[Tensor, "n 3"]
    bones: Float[Tensor, "n 3"]
    marks: Float[Tensor, "n 4"]
    triangles: Int[Tensor, "t 3"]
    material: Material


@dataclass(frozen=True)
class Growth:
    """Something that grows on the skin and follows it.

    Attributes:
        vertex: n, the vertex of the head that each point stands on.
        lift: n, how far along the skin's normal.
        offset: n 3, and how far in the head's own directions.
        marks: n 4, see :class:`Material`.
        triangles: t 3.
        material: of all triangles.
    """

    vertex: Int[Tensor, "n"]
    lift: Float[Tensor, "n"]
    offset: Float[Tensor, "n 3"]
    marks: Float[Tensor, "n 4"]
    triangles: Int[Tensor, "t 3"]
    material: Material


def smooth_normals(points: Float[Tensor, "n 3"], triangles: Int[Tensor, "t 3"]) -> Float[Tensor, "n 3"]:
    """Unit normals, the mean over the triangles at a point weighted by area."""
    first, second, third = (points[corner] for corner in triangles.T)
    area = torch.linalg.cross(second - first, third - first)
    total = torch.zeros_like(points)
    for corner in triangles.T:
        total.index_add_(0, corner, area)
    return F.normalize(total, dim=1, eps=1e-12)


def on_bone(count: int, bone: int) -> Float[Tensor, "n 3"]:
    """The weights of points that one bone carries."""
    weights = torch.zeros(count, 3)
    weights[:, bone] = 1.0
    return weights


def joined(pieces: list[Piece]) -> Piece:
    """Several pieces of one material as one."""
    counts = [0, *torch.tensor([len(piece.points) for piece in pieces]).cumsum(0).tolist()]
    return Piece(
        torch.cat([piece.points for piece in pieces]),
        torch.cat([piece.normals for piece in pieces]),
        torch.cat([piece.bones for piece in pieces]),
        torch.cat([piece.marks for piece in pieces]),
        torch.cat([piece.triangles + first for piece, first in zip(pieces, counts[:-1], strict=True)]),
        pieces[0].material,
    )


def colored(color: tuple[float, float, float], gloss: float, count: int) -> Float[Tensor, "n 4"]:
    """The marks of a thing of one colour."""
    return torch.tensor([*color, gloss]).expand(count, 4)


def grid_triangles(rows: int, columns: int, *, closed: bool = False) -> Int[Tensor, "t 3"]:
    """Triangles of a grid of points numbered row by row; closed if the last column meets the first."""
    index = torch.arange(rows * columns).view(rows, columns)
    index = torch.cat([index, index[:, :1]], dim=1) if closed else index
    a, b, c, d = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
    return torch.cat([torch.stack([a, b, c], -1).view(-1, 3), torch.stack([a, c, d], -1).view(-1, 3)])


def thing(
    points: Float[Tensor, "n 3"],
    triangles: Int[Tensor, "t 3"],
    color: tuple[float, float, float],
    *,
    gloss: float = 0.3,
    bone: int = HEAD,
) -> Piece:
    """A solid of one colour, carried by one bone."""
    return Piece(
        points,
        smooth_normals(points, triangles),
        on_bone(len(points), bone),
        colored(color, gloss, len(points)),
        triangles,
        Material.THING,
    )


def ellipsoid(
    center: Float[Tensor, "3"], radii: Float[Tensor, "3"], *, rings: int = 10, spokes: int = 16
) -> tuple[Float[Tensor, "n 3"], Int[Tensor, "t 3"]]:
    """Points and triangles of a ball stretched along the axes."""
    polar = torch.linspace(0, torch.pi, rings)[:, None]
    around = torch.arange(spokes)[None] * (2 * torch.pi / spokes)
    directions = torch.stack(
        [polar.sin() * around.sin(), polar.cos() + 0 * around, polar.sin() * around.cos()], dim=-1
    ).view(-1, 3)
    return center + radii * directions, grid_triangles(rings, spokes, closed=True)


def tube(
    path: Float[Tensor, "n 3"], radius: float | Float[Tensor, "n"], *, spokes: int = 6, closed: bool = False
) -> tuple[Float[Tensor, "m 3"], Int[Tensor, "t 3"]]:
    """A round wire along a path."""
    ahead = torch.roll(path, -1, 0) - torch.roll(path, 1, 0)
    if not closed:
        ahead[0], ahead[-1] = path[1] - path[0], path[-1] - path[-2]
    ahead = F.normalize(ahead, dim=1)
    rough = torch.tensor([0.31, 0.2, 0.93]).expand_as(ahead)
    side = F.normalize(torch.linalg.cross(ahead, rough), dim=1)
    up = torch.linalg.cross(side, ahead)
    around = torch.arange(spokes) * (2 * torch.pi / spokes)
    ring = side[:, None] * around.cos()[:, None] + up[:, None] * around.sin()[:, None]
    radii = torch.as_tensor(radius).expand(len(path))[:, None, None]
    points = path[:, None] + radii * ring
    if closed:
        points = torch.cat([points, points[:1]])
    return points.reshape(-1, 3), grid_triangles(len(points), spokes, closed=True)
