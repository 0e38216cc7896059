"""Where the 68 iBUG landmarks lie on FLAME's mesh, and how the jaw line follows the silhouette."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch

from anifacediff.errors import InputError
from anifacediff.geometry.morphable import rotation_matrix
from anifacediff.shapes import Float, Int, Tensor, check_shape

YawConvention = Literal["deca", "smplx"]

_GLOBAL, _NECK = 0, 1


@dataclass(frozen=True)
class LandmarkEmbedding:
    """Landmarks as points on triangles: 17 of the contour, which slide with the head's yaw, and 51 that stay.

    The contour has an odd number of rows. The first belongs to a frontal head; half of the others to positive yaws
    of 1, 2, ... degrees, and the rest to negative ones. One row alone is a contour that does not slide.

    Attributes:
        contour_triangles: n 17, indices of triangles.
        contour_barycentric: n 17 3, weights of their corners; they sum to one.
        inner_triangles: 51, brows, nose, eyes and mouth.
        inner_barycentric: 51 3.
    """

    contour_triangles: Int[Tensor, "n 17"]
    contour_barycentric: Float[Tensor, "n 17 3"]
    inner_triangles: Int[Tensor, "51"]
    inner_barycentric: Float[Tensor, "51 3"]

    def check(self, triangles: int) -> None:
        """Raise if the arrays do not fit together, or to a mesh of so many triangles.

        Raises:
            ShapeError: if an array has another shape.
            InputError: if a triangle does not exist, or weights do not sum to one.
        """
        check_shape("contour_triangles", self.contour_triangles, "n 17", None, 17)
        rows = len(self.contour_triangles)
        check_shape("contour_barycentric", self.contour_barycentric, "n 17 3", rows, 17, 3)
        check_shape("inner_triangles", self.inner_triangles, "51", 51)
        check_shape("inner_barycentric", self.inner_barycentric, "51 3", 51, 3)
        if rows % 2 == 0:
            raise InputError(f"contour_triangles: expected an odd number of rows (frontal, then yaws), found {rows}.")
        for name in ("contour", "inner"):
            _check_points(name, getattr(self, f"{name}_triangles"), getattr(self, f"{name}_barycentric"), triangles)

    def place(
        self, vertices: Float[Tensor, "f v 3"], triangles: Int[Tensor, "t 3"], rows: Int[Tensor, "f"]
    ) -> Float[Tensor, "f 68 3"]:
        """Pick the landmarks out of vertices, with the contour of the given rows."""
        inner = self.inner_triangles.expand(len(rows), -1)
        chosen = torch.cat([self.contour_triangles[rows], inner], dim=1)
        inner_weights = self.inner_barycentric.expand(len(rows), -1, -1)
        weights = torch.cat([self.contour_barycentric[rows], inner_weights], dim=1).to(vertices)
        frame = torch.arange(len(rows), device=vertices.device)[:, None, None]
        return (vertices[frame, triangles[chosen]] * weights[..., None]).sum(2)


def contour_rows(pose: Float[Tensor, "f j 3"], convention: YawConvention, rows: int = 79) -> Int[Tensor, "f"]:
    """Which row of the contour a pose shows.

    Args:
        pose: f j 3, axis-angle in radians, global and neck first.
        convention: ``"deca"`` counts the head's yaw about y (up) as it is, ``"smplx"`` (and FLAME_PyTorch) with the
            other sign: the two choose mirrored rows. With the published table, which is the same for both, DECA's sign
            follows the silhouette of a head in model space, and the other one leaves it.
        rows: how many there are.

    Source: Sanyal et al. 2019 (RingNet), section 3.2; the signs of the published code of DECA and of FLAME_PyTorch.
    """
    check_convention(convention)
    turn = rotation_matrix(pose[:, _GLOBAL]) @ rotation_matrix(pose[:, _NECK])
    yaw = torch.atan2(-turn[:, 2, 0], torch.hypot(turn[:, 0, 0], turn[:, 1, 0]))
    degrees = yaw * (180 / math.pi) * (1 if convention == "deca" else -1)
    farthest = (rows - 1) // 2
    degrees = degrees.round().clamp(-farthest, farthest).long()
    return torch.where(degrees < 0, farthest - degrees, degrees)


def check_convention(convention: str) -> None:
    """Raise :class:`InputError` unless there is a yaw convention of that name."""
    if convention not in get_args(YawConvention):
        raise InputError(f"yaw: expected one of {', '.join(get_args(YawConvention))}; found {convention!r}.")


def _check_points(name: str, triangles: Tensor, barycentric: Tensor, count: int) -> None:
    lowest, highest = int(triangles.min()), int(triangles.max())
    if lowest < 0 or highest >= count:
        raise InputError(
            f"{name}_triangles: indices run from {lowest} to {highest}, but the mesh has {count} triangles. "
            "Was the embedding made for another mesh?"
        )
    if not bool((barycentric.sum(-1) - 1).abs().max() < 1e-3):
        raise InputError(f"{name}_barycentric: the three weights of every landmark must sum to one.")
