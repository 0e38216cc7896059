"""Glasses, earrings and what is worn on the head; lengths in centimetres."""

import math

import numpy as np
import torch

from anifacediff.shapes import Float, Int, Tensor
from anifacediff.synthetic.avatar import Accessories
from anifacediff.synthetic.hair import METRES, tensor
from anifacediff.synthetic.palette import Color, toned
from anifacediff.synthetic.pieces import Piece, ellipsoid, grid_triangles, thing, tube
from anifacediff.synthetic.skull import Floats, Skull, sculpture

SQUEEZING = ("beanie",)
"""Hats that press the hair down."""


def worn(accessories: Accessories, skull: Skull, hair_lift: float) -> list[Piece]:
    """Everything that an avatar wears on its head.

    Args:
        accessories: what.
        skull: on whom.
        hair_lift: thickness of the hair below a hat.
    """
    pieces = [*_glasses(accessories, skull), *_earrings(accessories, skull)]
    hats = {"beanie": _beanie, "headband": _headband, "ears": _ears, "horns": _horns, "flower": _flower}
    if accessories.hat in hats:
        pieces += hats[accessories.hat](skull, accessories.hat_color, hair_lift)
    return pieces


def _solid(mesh: tuple[Float[Tensor, "n 3"], Int[Tensor, "t 3"]], color: Color, gloss: float = 0.3) -> Piece:
    points, triangles = mesh
    return thing(points * METRES, triangles, color, gloss=gloss)


def _glasses(accessories: Accessories, skull: Skull) -> list[Piece]:
    if accessories.glasses == "none":
        return []
    color, pieces = accessories.frame, list[Piece]()
    turn = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    square = {"round": 1.0, "square": 0.45, "cat": 0.7}[accessories.glasses]
    ring = np.stack([_rounded(np.cos(turn), square), _rounded(np.sin(turn), square)], axis=1)
    size = {"round": (2.35, 2.2), "square": (2.6, 1.85), "cat": (2.55, 1.9)}[accessories.glasses]
    inner: list[Floats] = []
    for side, ball in zip((-1.0, 1.0), sculpture().eyeballs, strict=True):
        eye = skull.skin[ball]
        middle = (eye.max(0) + eye.min(0)) / 2
        x, y = ring[:, 0] * size[0], ring[:, 1] * size[1]
        if accessories.glasses == "cat":
            y = y + 0.5 * np.clip(side * x / size[0], 0, 1) ** 2 * (y > 0)
        z = eye[:, 2].max() + 1.15 - 0.05 * (side * x + 1.0) ** 2
        path = np.stack([middle[0] + side * 0.1 + x, middle[1] - 0.25 + y, z], axis=1)
        pieces.append(_solid(tube(tensor(path), 0.17, closed=True), color, 0.6))
        hinge = path[np.argmax(side * path[:, 0] + 0.3 * path[:, 1])]
        ear = np.array([side * (np.abs(skull.skin[:, 0]).max() - 1.0), middle[1] + 0.2, -2.5])
        joint = hinge + np.array([side * 0.9, 0.1, -0.8])
        pieces.append(_solid(tube(tensor(np.stack([hinge, joint, ear])), 0.16), color, 0.6))
        inner.append(path[np.argmin(side * path[:, 0] - 0.2 * path[:, 1])])
    bridge = np.stack([inner[0], (inner[0] + inner[1]) / 2 + np.array([0.0, 0.25, 0.35]), inner[1]])
    return [*pieces, _solid(tube(tensor(bridge), 0.16), color, 0.6)]


def _rounded(values: Floats, power: float) -> Floats:
    return np.sign(values) * np.abs(values) ** power


def _earrings(accessories: Accessories, skull: Skull) -> list[Piece]:
    if not accessories.earrings:
        return []
    pieces: list[Piece] = []
    for ear in sculpture().ears:
        points = skull.skin[ear]
        lobe = points[points[:, 1].argmin()]
        at = tensor(lobe + np.array([0.35 * np.sign(lobe[0]), -0.45, 0.3]))
        pieces.append(
            _solid(ellipsoid(at, torch.tensor([0.42, 0.55, 0.42]), rings=8, spokes=10), accessories.metal, 0.9)
        )
    return pieces


def _dome(skull: Skull, lift: float, low: float, rows: int = 14) -> tuple[Float[Tensor, "n 3"], Int[Tensor, "t 3"]]:
    """The upper part of the skull's ellipsoid, from its top down to a share ``low`` of its height."""
    polar = np.linspace(0, math.acos(low), rows)[:, None]
    around = 2 * np.pi * np.arange(36) / 36
    away = np.stack([np.sin(polar) * np.sin(around), np.cos(polar) + 0 * around, np.sin(polar) * np.cos(around)], 2)
    radii = skull.radii + lift
    # Hats sit lower at the back of the head than on the forehead.
    points = skull.center + away * radii + np.array([0.0, 1.0, 0.0]) * (0.16 * away[..., 2:] * radii[1])
    return tensor(points.reshape(-1, 3)), grid_triangles(rows, 36, closed=True)


def _brim(skull: Skull, lift: float, low: float, thick: float) -> tuple[Float[Tensor, "n 3"], Int[Tensor, "t 3"]]:
    turn = 2 * np.pi * np.arange(48) / 48
    reach = math.sqrt(1 - low**2)
    away = np.stack([reach * np.sin(turn), low + 0 * turn, reach * np.cos(turn)], axis=1)
    radii = skull.radii + lift
    path = skull.center + away * radii + np.array([0.0, 1.0, 0.0]) * (0.16 * away[:, 2:] * radii[1])
    return tube(tensor(path), thick, spokes=10, closed=True)


def _beanie(skull: Skull, color: Color, lift: float) -> list[Piece]:
    dome, brim = _dome(skull, 1.2, 0.3), _brim(skull, 0.9, 0.32, 1.0)
    top = tensor(skull.center + (skull.radii + 1.2) * np.array([0.0, 1.05, -0.02]))
    ball = ellipsoid(top, torch.tensor([1.9, 1.8, 1.9]))
    return [
        _solid(dome, color, 0.0),
        _solid(brim, toned(color, light=0.82), 0.0),
        _solid(ball, toned(color, light=1.2), 0.0),
    ]


def _headband(skull: Skull, color: Color, lift: float) -> list[Piece]:
    turn = np.linspace(-0.06, 1.06, 40) * np.pi
    radii = skull.radii + 0.75 * lift + 0.2
    path = skull.center + np.stack([np.cos(turn), np.sin(turn), 0.1 + 0 * turn], axis=1) * radii
    return [_solid(tube(tensor(path), 0.75, spokes=8), color, 0.25)]


def _ears(skull: Skull, color: Color, lift: float) -> list[Piece]:
    pieces: list[Piece] = []
    for side in (-1.0, 1.0):
        base = skull.center + (skull.radii + 0.5 * lift) * np.array([side * 0.62, 0.76, 0.05])
        tip = base + np.array([side * 2.4, 4.6, 0.0])
        for size, front, shade in ((1.0, 0.0, color), (0.66, 0.42, toned(color, light=1.35, saturation=0.8))):
            start = base + np.array([0.0, 0.0, front])
            path = np.linspace(start, start + (tip - base) * (0.4 + 0.6 * size), 9)
            radius = tensor(2.3 * size * (1 - np.linspace(0, 1, 9) ** 1.5) + 0.04)
            points, triangles = tube(tensor(path), radius, spokes=12)
            points[:, 2] = float(base[2] + front) + 0.35 * (points[:, 2] - float(base[2] + front))
            pieces.append(_solid((points, triangles), shade, 0.0))
    return pieces


def _horns(skull: Skull, color: Color, lift: float) -> list[Piece]:
    along = np.linspace(0, 1, 12)
    pieces: list[Piece] = []
    for side in (-1.0, 1.0):
        base = skull.center + (skull.radii + 0.3 * lift) * np.array([side * 0.55, 0.78, 0.3])
        bend = np.stack([side * 2.6 * np.sin(1.9 * along), 4.6 * along, -1.2 * along], axis=1)
        pieces.append(
            _solid(tube(tensor(base + bend), tensor(1.15 * (1 - along) ** 0.8 + 0.05), spokes=10), color, 0.5)
        )
    return pieces


def _flower(skull: Skull, color: Color, lift: float) -> list[Piece]:
    away = np.array([0.74, 0.62, 0.42])
    center = skull.center + (skull.radii + lift + 0.7) * away / np.linalg.norm(away)
    turn = 2 * np.pi * np.arange(5) / 5
    across, up = np.array([0.72, -0.25, -0.65]), np.array([-0.3, 0.92, -0.2])
    pieces = [
        _solid(
            ellipsoid(tensor(center + 1.5 * (np.cos(t) * across + np.sin(t) * up)), torch.full((3,), 1.15), rings=8),
            color,
        )
        for t in turn
    ]
    heart = tensor(center + 0.7 * away)
    return [*pieces, _solid(ellipsoid(heart, torch.full((3,), 0.8), rings=8), (0.98, 0.8, 0.35))]
