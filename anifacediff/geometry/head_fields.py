"""Smooth displacement fields with which the built-in head is sculpted and varied; all lengths in centimetres.

A field is written for the half x > 0 and mirrored, so that what it makes is symmetric.
"""

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Number = float | int
Triple = tuple[Number, Number, Number]
Side = Literal["both", "left", "right"]


@runtime_checkable
class Field(Protocol):
    """A displacement of every point."""

    def __call__(self, points: Floats) -> Floats:
        """Compute n 3 displacements of n 3 points with x >= 0."""
        ...


@dataclass(frozen=True)
class Stroke:
    """A push along a smooth path drawn on the front (x, y) or on the side (z, y) of the head.

    The push fades like ``exp(-(distance / radius)^2)`` away from the path.

    Attributes:
        path: one (x, y, radius) or (z, y, radius) for every node, in centimetres.
        push: displacement, one for all nodes or one for each.
        on: where the path is drawn; a stroke on the front does not reach the back of the head.
    """

    path: tuple[Triple, ...]
    push: Triple | tuple[Triple, ...]
    on: Literal["front", "side"] = "front"

    def __call__(self, points: Floats) -> Floats:
        across = points[:, 0] if self.on == "front" else points[:, 2]
        nodes = refine(np.column_stack([np.array(self.path), self._pushes()]))
        start, step = nodes[:-1], np.diff(nodes, axis=0)
        flat = np.stack([across, points[:, 1]], axis=1)[:, None]
        length = np.maximum((step[:, :2] ** 2).sum(1), 1e-12)
        along = np.clip(((flat - start[:, :2]) * step[:, :2]).sum(-1) / length, 0, 1)
        nearest = start + along[..., None] * step
        distance = ((flat - nearest[..., :2]) ** 2).sum(-1)
        weight = np.exp(-distance / nearest[..., 2] ** 2)
        best = weight.argmax(1)[:, None]
        strength = np.take_along_axis(weight, best, 1)
        push = np.take_along_axis(nearest[..., 3:], best[..., None], 1)[:, 0]
        reach = smoothstep(1.0, 4.0, points[:, 2]) if self.on == "front" else smoothstep(2.0, 4.5, points[:, 0])
        return strength * push * reach[:, None]

    def _pushes(self) -> Floats:
        return np.broadcast_to(np.array(self.push), (len(self.path), 3))


@dataclass(frozen=True)
class Swell:
    """A stretch about a centre that fades like ``exp(-|distance / radius|^2)``.

    Attributes:
        center: in centimetres.
        radius: per axis; infinity for no fading.
        factor: per axis, displacement for each centimetre from the centre.
        shift: displacement of the centre itself.
    """

    center: Triple
    radius: Triple
    factor: Triple = (0.0, 0.0, 0.0)
    shift: Triple = (0.0, 0.0, 0.0)

    def __call__(self, points: Floats) -> Floats:
        offset = points - np.array(self.center)
        weight = np.exp(-((offset / np.array(self.radius)) ** 2).sum(1))
        return weight[:, None] * (offset * np.array(self.factor) + np.array(self.shift))


@dataclass(frozen=True)
class Turn:
    """A small rotation, to first order.

    Attributes:
        center: in centimetres.
        angle: axis-angle in radians; only about x where the head is mirrored.
    """

    center: Triple
    angle: Triple

    def __call__(self, points: Floats) -> Floats:
        return np.cross(np.array(self.angle), points - np.array(self.center))


@dataclass(frozen=True)
class Wave:
    """A slow wave over the head, to complete a basis.

    Attributes:
        frequency: half waves over a head's length along x, y, z.
        phase: in radians along y and z; along x the wave is even.
        push: displacement at a crest.
        center: of the fading, in centimetres.
        radius: of the fading; infinity for none.
    """

    frequency: Triple
    phase: tuple[Number, Number]
    push: Triple
    center: Triple = (0.0, 0.0, 0.0)
    radius: Number = float("inf")

    def __call__(self, points: Floats) -> Floats:
        turns = points * np.array(self.frequency) * np.pi / 20.0
        wave = np.cos(turns[:, 0]) * np.cos(turns[:, 1] + self.phase[0]) * np.cos(turns[:, 2] + self.phase[1])
        fade = np.exp(-(((points - np.array(self.center)) / self.radius) ** 2).sum(1))
        outward = np.tanh(points[:, :1] / 2.0)
        push = np.array(self.push) * np.concatenate([outward, np.ones_like(outward), np.ones_like(outward)], axis=1)
        return (wave * fade)[:, None] * push


def displace(fields: tuple[Field, ...], points: Floats, side: Side = "both", *, mirrored: bool = True) -> Floats:
    """Sum fields.

    Args:
        fields: to add up.
        points: n 3, on both sides of the head.
        side: the person's side that moves: ``"left"`` is image-right (x > 0).
        mirrored: whether the side x < 0 mirrors the other one; otherwise it moves the same way along x.

    Returns:
        n 3 displacements.
    """
    folded = np.abs(points[:, :1])
    half = np.concatenate([folded, points[:, 1:]], axis=1)
    moved = np.sum([field(half) for field in fields], axis=0)
    if mirrored:
        moved[:, 0] *= np.sign(points[:, 0])
    if side == "both":
        return moved
    toward = points[:, 0] if side == "left" else -points[:, 0]
    return moved * smoothstep(-0.8, 0.8, toward)[:, None]


def smoothstep(low: Number, high: Number, values: Floats) -> Floats:
    """Rise from 0 at ``low`` to 1 at ``high`` with flat ends."""
    ramp = np.clip((values - low) / (high - low), 0, 1)
    return ramp * ramp * (3 - 2 * ramp)


def refine(nodes: Floats, pieces: int = 6) -> Floats:
    """Cut every step between nodes into pieces along a Catmull-Rom curve; one node becomes a step of no length."""
    if len(nodes) == 1:
        return np.repeat(nodes, 2, axis=0)
    padded = np.concatenate([2 * nodes[:1] - nodes[1:2], nodes, 2 * nodes[-1:] - nodes[-2:-1]])
    before, start, end, after = (padded[i : i + len(nodes) - 1, None] for i in range(4))
    u = (np.arange(pieces) / pieces)[None, :, None]
    tangent, next_tangent = (end - before) / 2, (after - start) / 2
    curve = (
        start
        + u * tangent
        + u**2 * (3 * (end - start) - 2 * tangent - next_tangent)
        + u**3 * (2 * (start - end) + tangent + next_tangent)
    )
    return np.concatenate([curve.reshape(-1, nodes.shape[1]), nodes[-1:]])


def spline(knots: Floats, values: Floats, at: Floats) -> Floats:
    """Interpolate with the natural cubic spline.

    Args:
        knots: n, ascending.
        values: n m.
        at: k, within the knots.

    Returns:
        k m.
    """
    gap = np.diff(knots)
    slope = np.diff(values, axis=0) / gap[:, None]
    system = np.eye(len(knots))
    inner = np.arange(1, len(knots) - 1)
    system[inner, inner - 1], system[inner, inner], system[inner, inner + 1] = (
        gap[:-1],
        2 * (gap[:-1] + gap[1:]),
        gap[1:],
    )
    right = np.zeros_like(values)
    right[1:-1] = 6 * np.diff(slope, axis=0)
    bend = np.linalg.solve(system, right)
    piece = np.clip(np.searchsorted(knots, at, side="right") - 1, 0, len(gap) - 1)
    u, h = (at - knots[piece])[:, None], gap[piece, None]
    low, high = bend[piece], bend[piece + 1]
    first = slope[piece] - h * (2 * low + high) / 6
    return values[piece] + u * (first + u * (low / 2 + u * (high - low) / (6 * h)))
