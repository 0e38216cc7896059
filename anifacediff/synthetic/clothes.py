"""Shoulders and what they wear; lengths in centimetres."""

import numpy as np
import torch

from anifacediff.synthetic.avatar import Clothes
from anifacediff.synthetic.hair import METRES, tensor
from anifacediff.synthetic.pieces import BODY, Material, Piece, grid_triangles, joined, on_bone, smooth_normals, tube
from anifacediff.synthetic.skull import Floats

_SPOKES = 40
_RINGS = np.array(  # height, half width, half depth, z of the middle
    [
        (-9.5, 4.3, 4.4, -2.0),
        (-11.5, 4.9, 4.8, -2.0),
        (-12.8, 6.0, 5.3, -2.0),
        (-13.9, 8.2, 6.0, -1.9),
        (-14.9, 11.5, 6.8, -1.8),
        (-16.0, 14.8, 7.4, -1.7),
        (-17.6, 17.4, 8.0, -1.6),
        (-20.0, 18.9, 8.8, -1.4),
        (-24.0, 19.2, 9.6, -1.2),
        (-30.0, 18.6, 10.0, -1.2),
        (-40.0, 18.0, 10.0, -1.2),
    ]
)


def torso(clothes: Clothes) -> Piece:
    """The bust and the garment on it."""
    parts = [_bust(clothes)]
    if clothes.garment == "turtleneck":
        parts.append(_roll(height=-10.6, thick=1.0, wide=5.5, tilt=0.25))
        parts.append(_roll(height=-12.2, thick=1.2, wide=5.9, tilt=0.25))
    elif clothes.garment == "hoodie":
        parts.append(_roll(height=-13.9, thick=1.9, wide=8.2, tilt=0.5))
    elif clothes.garment == "shirt":
        parts += [_collar(side) for side in (-1.0, 1.0)]
    return joined(parts)


def _bust(clothes: Clothes) -> Piece:
    height, wide, deep, middle = _RINGS.T[..., None]
    turn = 2 * np.pi * np.arange(_SPOKES) / _SPOKES
    wide = np.where(height < -12, wide * clothes.width + (1 - clothes.width) * 6, wide)
    # The collarbones: the neck's front sinks a little below its back.
    dip = -1.3 * np.maximum(np.cos(turn), 0) * np.exp(-(((height + 13.5) / 2.5) ** 2))
    points = np.stack(
        [wide * np.sin(turn), height + dip, middle + deep * np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** 0.8], axis=2
    )
    return _cloth(points)


def _cloth(points: Floats, first: float = 0.0, *, closed: bool = True) -> Piece:
    """Cloth on a grid of points, rows away from the neck."""
    steps = np.linalg.norm(np.diff(points, axis=0), axis=2)
    along = first + np.concatenate([np.zeros((1, points.shape[1])), steps.cumsum(0)])
    marks = np.concatenate([along[..., None], points], axis=2)
    triangles = grid_triangles(*points.shape[:2], closed=closed)
    flat = tensor(points.reshape(-1, 3))
    return Piece(
        flat * METRES,
        smooth_normals(flat, triangles),
        on_bone(len(flat), BODY),
        tensor(marks.reshape(-1, 4)),
        triangles,
        Material.CLOTH,
    )


def _roll(*, height: float, thick: float, wide: float, tilt: float) -> Piece:
    """A thick ring of cloth around the neck, lower in front."""
    turn = torch.arange(32) * (2 * torch.pi / 32)
    path = torch.stack(
        [wide * turn.sin(), height - tilt * (1.2 + 2.0 * turn.cos()), -2.0 + 0.95 * wide * turn.cos()], dim=1
    )
    points, triangles = tube(path, thick, spokes=10, closed=True)
    marks = torch.cat([torch.full((len(points), 1), 30.0), points], dim=1)
    return Piece(
        points * METRES, smooth_normals(points, triangles), on_bone(len(points), BODY), marks, triangles, Material.CLOTH
    )


def _collar(side: float) -> Piece:
    """One flap of a shirt's collar."""
    turn = side * np.linspace(np.pi, 0.12, 16)
    level = np.cos(turn)
    stand = np.stack([4.9 * np.sin(turn), -10.6 - 1.5 * level, -2.1 + 5.0 * level], axis=1)
    fold = np.stack([5.5 * np.sin(turn), -10.4 - 1.5 * level, -2.0 + 5.6 * level], axis=1)
    front = np.clip(level, 0, 1)[:, None]
    tip = fold + np.array([side * 1.0, -2.2, 0.5]) + front**2 * np.array([side * 2.2, -1.8, 1.2])
    rows = np.stack([stand, fold, 0.5 * (fold + tip) + [0, 0, 0.4], tip])
    return _cloth(rows if side < 0 else rows[:, ::-1], 30.0, closed=False)
