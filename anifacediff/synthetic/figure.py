"""An avatar as one mesh that can be posed: the head, what grows on it, what it wears."""

from dataclasses import dataclass
from functools import cache

import torch
from torch.nn import functional as F

from anifacediff.geometry.morphable import rotation_matrix
from anifacediff.geometry.snapshots import Topology, vertex_normals
from anifacediff.shapes import Bool, Float, Int, Tensor
from anifacediff.synthetic import features
from anifacediff.synthetic.accessories import SQUEEZING, worn
from anifacediff.synthetic.avatar import Avatar
from anifacediff.synthetic.clothes import torso
from anifacediff.synthetic.expression import COMPONENTS, ExpressiveHead
from anifacediff.synthetic.hair import CUTS, cap, locks
from anifacediff.synthetic.pieces import Growth, Material, Piece
from anifacediff.synthetic.skull import Skull, sculpture

_EYE_JOINTS = ("right_eye", "left_eye")  # of the eyeballs at image-left and image-right


@dataclass(frozen=True)
class Bones:
    """How body, head and jaw have moved from rest.

    Attributes:
        turned: f 3 3 3, rotation matrices.
        moved: f 3 3, where a bone carries the origin, metres.
        eyes: f 2 3 3, rotations of the eyeballs at image-left and image-right.
    """

    turned: Float[Tensor, "f 3 3 3"]
    moved: Float[Tensor, "f 3 3"]
    eyes: Float[Tensor, "f 2 3 3"]

    @classmethod
    def of(
        cls,
        head: ExpressiveHead,
        shape: Float[Tensor, "f s"],
        expression: Float[Tensor, "f e"],
        pose: Float[Tensor, "f j 3"],
    ) -> "Bones":
        """Follow the chain of joints: global carries the body, neck the head, jaw the jaw."""
        coefficients, pose = head.resolved(shape, expression, pose)
        rest = head.head.joints(shape, coefficients, torch.zeros_like(pose))
        now = head.head.joints(shape, coefficients, pose)
        own = dict(zip(head.joint_names, rotation_matrix(pose).unbind(1), strict=True))
        body = own["global"]
        skull = body @ own["neck"]
        turned = torch.stack([body, skull, skull @ own["jaw"]], dim=1)
        names = [head.joint_names.index(name) for name in ("global", "neck", "jaw")]
        moved = now[:, names] - (turned @ rest[:, names, :, None])[..., 0]
        return cls(turned, moved, torch.stack([skull @ own[name] for name in _EYE_JOINTS], dim=1))


@dataclass(frozen=True)
class Posed:
    """A figure in some frames.

    Attributes:
        points: f v 3, model space, metres.
        normals: f v 3, unit.
    """

    points: Float[Tensor, "f v 3"]
    normals: Float[Tensor, "f v 3"]


@dataclass(frozen=True)
class Figure:
    """The mesh of an avatar; vertices are those of the head, then of its growths, then of its pieces.

    Attributes:
        growths: what follows the skin.
        pieces: what follows bones.
        tongue: the piece that sticks out.
        triangles: t 3, of everything.
        material: t, a :class:`Material` for each.
        corners: t 12, the four marks of each corner.
    """

    growths: tuple[Growth, ...]
    pieces: tuple[Piece, ...]
    tongue: Piece
    triangles: Int[Tensor, "t 3"]
    material: Int[Tensor, "t"]
    corners: Float[Tensor, "t 12"]

    @classmethod
    def of(cls, avatar: Avatar, head: ExpressiveHead) -> "Figure":
        """Build the mesh."""
        skull = Skull.of(head, avatar.coefficients(head.shape_names))
        squeezed = avatar.accessories.hat in SQUEEZING
        grown = (cap(avatar.hair, squeezed), features.beard(avatar.hair), *features.lashes(avatar.eyes))
        growths = tuple(growth for growth in grown if growth is not None)
        bare = _bare(growths)
        hair = locks(avatar.hair, skull, squeezed)
        pieces = [torso(avatar.clothes), *features.mouth(skull), *([] if hair is None else [hair])]
        pieces += worn(avatar.accessories, skull, CUTS[avatar.hair.cut].cap)
        tongue = features.tongue(skull)
        marks, triangles, material = [_head_marks()], [_head_triangles()[bare]], [_head_materials()[bare]]
        count = len(marks[0])
        for part in (*growths, *pieces, tongue):
            marks.append(part.marks)
            triangles.append(part.triangles + count)
            material.append(torch.full((len(part.triangles),), int(part.material)))
            count += len(part.marks)
        index = torch.cat(triangles)
        corners = torch.cat(marks)[index].flatten(1)
        return cls(growths, tuple(pieces), tongue, index, torch.cat(material), corners)

    def posed(
        self,
        head: ExpressiveHead,
        shape: Float[Tensor, "f s"],
        expression: Float[Tensor, "f e"],
        pose: Float[Tensor, "f j 3"],
    ) -> Posed:
        """Move the figure.

        Args:
            head: with nothing withheld.
            shape: f s, as the avatar's.
            expression: f 50.
            pose: f j 3, radians.
        """
        skin = head(shape, expression, pose)
        bones = Bones.of(head, shape, expression, pose)
        normals = vertex_normals(skin, _head_topology())
        _round_eyes(normals, bones)
        points, directions = [skin], [normals]
        for growth in self.growths:
            at = normals[:, growth.vertex]
            shift = growth.offset @ bones.turned[:, 1].transpose(1, 2)
            points.append(skin[:, growth.vertex] + growth.lift[:, None] * at + shift)
            directions.append(at)
        out = features.tongue_shift(expression[:, COMPONENTS.index("tongue")])
        for piece in (*self.pieces, self.tongue):
            here, facing = _carried(piece, bones, out if piece is self.tongue else None)
            points.append(here)
            directions.append(facing)
        return Posed(torch.cat(points, dim=1), torch.cat(directions, dim=1))


def _carried(piece: Piece, bones: Bones, shift: Tensor | None) -> tuple[Float[Tensor, "f n 3"], Float[Tensor, "f n 3"]]:
    """Move a piece with its bones, after a shift of its own."""
    rest = piece.points[None] if shift is None else piece.points + shift[:, None]
    points, normals = [], []
    used = piece.bones.amax(0) > 0
    for bone in range(3):
        if not used[bone]:
            continue
        weight = piece.bones[:, bone, None]
        turn = bones.turned[:, bone].transpose(1, 2)
        points.append(weight * (rest @ turn + bones.moved[:, bone, None]))
        normals.append(weight * (piece.normals @ turn))
    return torch.stack(points).sum(0), torch.stack(normals).sum(0)


def _round_eyes(normals: Float[Tensor, "f v 3"], bones: Bones) -> None:
    """Give the eyeballs the normals of smooth balls, in place: their grooves are for normal maps."""
    for side, ball in enumerate(sculpture().eyeballs):
        directions = _head_marks()[torch.from_numpy(ball), :3]
        normals[:, torch.from_numpy(ball)] = F.normalize(directions, dim=1) @ bones.eyes[:, side].transpose(1, 2)


def _bare(growths: tuple[Growth, ...]) -> Bool[Tensor, "t"]:
    """Which triangles of the head are not hidden under a thick cap of hair."""
    covered = torch.zeros(len(sculpture().vertices), dtype=torch.bool)
    for growth in growths:
        if growth.material == Material.CAP:
            covered[growth.vertex[growth.lift > 0.002]] = True
    return ~covered[_head_triangles()].all(1)


@cache
def _head_triangles() -> Int[Tensor, "t 3"]:
    return torch.from_numpy(sculpture().triangles)


@cache
def _head_topology() -> Topology:
    return Topology.of(_head_triangles())


@cache
def _head_marks() -> Float[Tensor, "v 4"]:
    """Where vertices of the head lie at rest, centimetres, and whether in the mouth; directions on the eyeballs."""
    sculpted = sculpture()
    marks = torch.zeros(len(sculpted.vertices), 4)
    marks[:, :3] = torch.from_numpy(sculpted.vertices)
    marks[torch.from_numpy(sculpted.grid.mouth.inner).flatten(), 3] = 1.0
    for ball in sculpted.eyeballs:
        points = marks[torch.from_numpy(ball), :3]
        offset = points - (points.amax(0) + points.amin(0)) / 2
        marks[torch.from_numpy(ball), :3] = F.normalize(offset, dim=1)
    return marks


@cache
def _head_materials() -> Int[Tensor, "t"]:
    sculpted = sculpture()
    eye = torch.zeros(len(sculpted.vertices), dtype=torch.bool)
    for ball in sculpted.eyeballs:
        eye[torch.from_numpy(ball)] = True
    is_eye = eye[_head_triangles()].all(1)
    return torch.where(is_eye, int(Material.EYE), int(Material.SKIN))
