"""A small head of 68 landmarks with a jaw and a sliding contour, to fit where the truth is known."""

import math

import torch

from anifacediff.geometry.morphable import rotation_matrix
from anifacediff.shapes import Float, Int, Tensor

ROWS = 9  # candidate vertices for every contour landmark


class LinearHead:
    """68 landmarks on an ellipsoid, random smooth bases; the contour slides with yaw. Units are arbitrary."""

    num_shape = 8
    num_expression = 6
    joint_names = ("global", "neck", "jaw", "left_eye", "right_eye")

    def __init__(self, seed: int = 0):
        generator = torch.Generator().manual_seed(seed)
        self._template = torch.cat([_contour().flatten(0, 1), _inner()])
        vertices = self._template.shape[0]
        bases = torch.randn(self.num_shape + self.num_expression, vertices, 3, generator=generator) * 0.03
        self._shape_basis, self._expression_basis = bases.split([self.num_shape, self.num_expression])
        self._jaw_weight = ((-0.25 - self._template[:, 1]) / 0.3).clamp(0, 1)
        self._jaw_joint = torch.tensor([0.0, -0.1, -0.2])

    @property
    def triangles(self) -> Int[Tensor, "t 3"]:
        return torch.tensor([[0, 1, 2]])

    def __call__(
        self, shape: Float[Tensor, "f s"], expression: Float[Tensor, "f e"], pose: Float[Tensor, "f j 3"]
    ) -> Float[Tensor, "f v 3"]:
        points = self._template + torch.einsum("fs,svc->fvc", shape, self._shape_basis)
        points = points + torch.einsum("fe,evc->fvc", expression, self._expression_basis)
        local = points - self._jaw_joint
        opened = local @ rotation_matrix(pose[:, 2]).mT
        points = points + self._jaw_weight[:, None] * (opened - local)
        return points @ rotation_matrix(pose[:, 0]).mT

    def landmarks(self, vertices: Float[Tensor, "f v 3"], pose: Float[Tensor, "f j 3"]) -> Float[Tensor, "f 68 3"]:
        turn = rotation_matrix(pose[:, 0])
        yaw = torch.atan2(turn[:, 0, 2], turn[:, 2, 2])
        row = ((yaw / 0.15).round() + ROWS // 2).clamp(0, ROWS - 1).long()
        contour = vertices[:, : 17 * ROWS].unflatten(1, (ROWS, 17))[torch.arange(len(row)), row]
        return torch.cat([contour, vertices[:, 17 * ROWS :]], dim=1)


def _contour() -> Float[Tensor, "rows 17 3"]:
    angle = torch.linspace(-1.5, 1.5, 17)
    slide = torch.linspace(0.6, -0.6, ROWS)[:, None]  # towards the face's right in the picture: larger x, nearer
    around = torch.sin(angle)[None] * 1.2 + 0 * slide
    longitude = around + slide * torch.sin(angle).abs()
    down = -0.1 - 0.8 * torch.cos(angle)
    return torch.stack([0.75 * torch.sin(longitude), down.expand(ROWS, 17), 0.75 * torch.cos(longitude) - 0.2], dim=-1)


def _inner() -> Float[Tensor, "51 3"]:
    nose = [(0.0, y) for y in (0.28, 0.18, 0.08, -0.02)] + [(0.06 * i, -0.1) for i in range(-2, 3)]
    eyes = _ring(-0.3, 0.25, 0.12, 0.05, 6) + _ring(0.3, 0.25, 0.12, 0.05, 6)
    lips = _ring(0, -0.4, 0.26, 0.12, 12) + _ring(0, -0.4, 0.18, 0.03, 8)
    points = torch.tensor(_brow(-0.55, -0.12) + _brow(0.12, 0.55) + nose + eyes + lips, dtype=torch.float32)
    depth = 0.75 * (1 - (points[:, 0] / 0.9) ** 2 - (points[:, 1] / 1.2) ** 2).clamp(min=0).sqrt()
    depth[10:19] += torch.tensor([0.05, 0.12, 0.2, 0.25, 0.08, 0.12, 0.15, 0.12, 0.08])
    return torch.cat([points, depth[:, None]], dim=-1)


def _brow(left: float, right: float) -> list[tuple[float, float]]:
    return [(left + (right - left) * i / 4, 0.45 + 0.05 * math.sin(math.pi * i / 4)) for i in range(5)]


def _ring(x: float, y: float, width: float, height: float, count: int) -> list[tuple[float, float]]:
    angles = [2 * math.pi * i / count for i in range(count)]
    return [(x - width * math.cos(angle), y + height * math.sin(angle)) for angle in angles]
