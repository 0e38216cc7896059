"""The head at rest as the other parts need it: where skin, eyes, lips and scalp are; lengths in centimetres."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from anifacediff.geometry.head_sculpt import Sculpture, sculpt
from anifacediff.shapes import Float, Tensor
from anifacediff.synthetic.expression import ExpressiveHead

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


@cache
def sculpture() -> Sculpture:
    """The neutral head; its vertices are those of :class:`~anifacediff.geometry.ParametricHead`."""
    return sculpt()


def over_hairline(points: Floats) -> Floats:
    """How far points of the average head lie above the hairline."""
    x, y, z = points.T
    nape = 1.15 * np.maximum(-2.5 - z, 0)
    sideburn = 2.2 * np.exp(-(((z - 1.2) / 1.1) ** 2)) * np.clip((np.abs(x) - 5.5) / 1.5, 0, 1)
    peak = 0.3 * np.exp(-((x / 1.2) ** 2)) + 0.02 * np.minimum(np.abs(x), 6) ** 2
    return y - (3.2 + 0.56 * z) + peak + nape + sideburn


@cache
def scalp_field() -> Floats:
    """:func:`over_hairline` at every vertex of the head; far below it on ears and eyeballs."""
    sculpted = sculpture()
    field = over_hairline(sculpted.vertices)
    field[sculpted.grid.num_skin :] = -9.0
    return field


@dataclass(frozen=True)
class Skull:
    """One person's head at rest.

    Attributes:
        skin: v 3, all vertices.
        center: 3, the middle of the cranium.
        radii: 3, of the ellipsoid around it.
    """

    skin: Floats
    center: Floats
    radii: Floats

    @classmethod
    def of(cls, head: ExpressiveHead, shape: Float[Tensor, "s"]) -> "Skull":
        """Measure someone's head."""
        still = torch.zeros(1, len(head.joint_names), 3)
        rest = head(shape[None], torch.zeros(1, head.num_expression), still)[0]
        skin = rest.double().numpy() * 100
        template = sculpture().vertices
        above = np.zeros(len(skin), dtype=bool)
        above[: sculpture().grid.num_skin] = True
        above &= template[:, 1] > 2.5
        middle = skin[above & (np.abs(template[:, 1] - 3.2) < 0.7), 1].mean()
        low, high = skin[above].min(0), skin[above].max(0)
        center = np.array([(low[0] + high[0]) / 2, middle, (low[2] + high[2]) / 2])
        return cls(skin, center, np.array([(high[0] - low[0]) / 2, high[1] - middle, (high[2] - low[2]) / 2]))

    def outward(self, points: Floats) -> Floats:
        """Unit directions away from the skull; below its middle, level ones."""
        away = (points - self.center) / self.radii
        away[..., 1] = np.maximum(away[..., 1], 0)
        away /= self.radii
        return away / np.maximum(np.linalg.norm(away, axis=-1, keepdims=True), 1e-9)

    def pushed_out(self, points: Floats, margin: Floats) -> Floats:
        """Move points that lie inside the skull, or less than a share of its radii outside it, out of it."""
        away = (points - self.center) / self.radii
        level = away.copy()
        level[..., 1] = np.maximum(level[..., 1], 0)
        distance = np.maximum(np.linalg.norm(level, axis=-1, keepdims=True), 1e-6)
        wanted = (1 + margin)[..., None]
        pushed = np.where(distance < wanted, level * wanted / distance, level)
        pushed[..., 1] += np.minimum(away[..., 1], 0)
        return self.center + pushed * self.radii
