"""What grows on a face besides hair: lashes, teeth, tongue, beard."""

import numpy as np
import torch

from anifacediff.shapes import Float, Tensor
from anifacediff.synthetic.avatar import Eyes, Hair
from anifacediff.synthetic.hair import METRES, shell, tensor
from anifacediff.synthetic.paint import beard_field
from anifacediff.synthetic.pieces import (
    HEAD,
    JAW,
    Growth,
    Material,
    Piece,
    colored,
    ellipsoid,
    grid_triangles,
    on_bone,
    smooth_normals,
    thing,
)
from anifacediff.synthetic.skull import Floats, Indices, Skull, sculpture

ENAMEL = (0.96, 0.94, 0.9)
TONGUE = (0.86, 0.42, 0.45)


def lashes(eyes: Eyes) -> list[Growth]:
    """A dark rim on the edges of the upper lids, longest at the outer corner."""
    return [_lash(eyes, slit.upper, side) for slit, side in zip(sculpture().grid.eyes, (-1.0, 1.0), strict=True)]


def _lash(eyes: Eyes, edge: Indices, side: float) -> Growth:
    outer = np.linspace(0, 1, len(edge))
    outer = outer if side > 0 else 1 - outer
    length = (0.15 + 0.5 * eyes.lashes * outer**1.2) * np.clip(6 * outer, 0.25, 1)
    width = (0.1 + 0.15 * eyes.liner) * np.clip(5 * np.minimum(outer + 0.05, 1.08 - outer), 0.3, 1)
    rows = [
        np.stack([0 * outer, -0.02 + 0 * outer, 0.06 + 0 * outer], axis=1),
        np.stack([side * 0.2 * width * outer, width, 0.1 + 0 * outer], axis=1),
        np.stack([side * length * (0.15 + 0.75 * outer), 0.55 * width + 0.35 * length, 0.22 * length + 0.1], axis=1),
    ]
    count = 3 * len(edge)
    return Growth(
        torch.from_numpy(np.tile(edge, 3)),
        torch.zeros(count),
        tensor(np.concatenate(rows) * METRES),
        colored((0.1, 0.07, 0.08), 0.0, count),
        grid_triangles(3, len(edge)),
        Material.THING,
    )


def beard(hair: Hair) -> Growth | None:
    """The body of a full beard; shorter ones are only painted."""
    if hair.facial not in ("beard", "goatee"):
        return None
    points = sculpture().vertices
    field = beard_field(torch.from_numpy(points).float(), hair.facial).numpy().astype(np.float64)
    field[sculpture().grid.num_skin :] = 0.0
    field[sculpture().grid.mouth.inner] = 0.0
    bumps = np.sin(3.1 * points).sum(1) * 0.05
    below = np.clip((-5.5 - points[:, 1]) / 3.5, 0, 1)
    thick = (0.25 + 0.95 * below) * (0.7 if hair.facial == "goatee" else 1.0)
    return shell((thick + bumps) * np.clip(1.6 * field - 0.3, 0, 1) - 0.05, Material.BEARD)


def mouth(skull: Skull) -> list[Piece]:
    """Both rows of teeth."""
    slit = sculpture().grid.mouth
    upper, lower = skull.skin[slit.upper[2:-2]], skull.skin[slit.lower[2:-2]]
    return [
        _teeth(upper, 0.55, -0.22, HEAD),
        _teeth(lower, -0.75, -0.3, JAW),
    ]


def _teeth(edge: Floats, high: float, low: float, bone: int) -> Piece:
    """A bow of teeth behind a lip, between two heights above its edge."""
    across = edge[:, 0] / np.abs(edge[:, 0]).max()
    bow = np.stack([edge[:, 0] * 0.92, np.full(len(edge), edge[len(edge) // 2, 1]), edge[:, 2] - 0.75], axis=1)
    bow[:, 2] = bow[:, 2].max() - 1.5 * across**2
    height = np.linspace(high, low, 3)[:, None]
    rows = [bow + np.array([0.0, 1.0, 0.0]) * level for level in height]
    points = tensor(np.concatenate(rows) * METRES)
    triangles = grid_triangles(3, len(edge))
    return thing(points, triangles, ENAMEL, gloss=0.5, bone=bone)


def tongue(skull: Skull) -> Piece:
    """The tongue; :class:`Material.THING` in the colour of flesh, moved by the jaw."""
    lip = skull.skin[sculpture().grid.mouth.lower]
    middle = lip[len(lip) // 2]
    center = tensor(np.array([0.0, middle[1] - 0.75, middle[2] - 2.3]))
    points, triangles = ellipsoid(center, torch.tensor([1.5, 0.45, 1.5]), rings=10, spokes=16)
    normals = smooth_normals(points, triangles)
    return Piece(
        points * METRES,
        normals,
        on_bone(len(points), JAW),
        colored(TONGUE, 0.4, len(points)),
        triangles,
        Material.THING,
    )


def tongue_shift(amount: Float[Tensor, "f"]) -> Float[Tensor, "f 3"]:
    """Where the tongue lies, relative to the jaw, metres."""
    amount = amount.clamp(-0.5, 2.5)
    return torch.stack([0 * amount, 0.22 * amount, 0.85 * amount], dim=1) * METRES
