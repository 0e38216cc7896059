"""Little functions that textures are made of; all act on one value per pixel."""

import torch

from anifacediff.shapes import Float, Tensor

Number = float | int
Values = Float[Tensor, "*p"]
Knots = tuple[tuple[float, float], ...]


def step(value: Values, softness: Number) -> Values:
    """From 0 to 1 where a value passes zero, within twice a softness."""
    return (value * (0.5 / softness) + 0.5).clamp(0, 1)


def bump(value: Values, center: Number, radius: Number) -> Values:
    """1 at a centre, fading away from it."""
    return _faded(((value - center) / radius).square())


def spot(x: Values, y: Values, center: tuple[Number, Number], radii: tuple[Number, Number]) -> Values:
    """1 at a point, fading away from it."""
    return _faded(((x - center[0]) / radii[0]).square() + ((y - center[1]) / radii[1]).square())


def _faded(squared: Values) -> Values:
    """Nearly exp(-squared), at a third of the cost, and zero from 4 on."""
    return (1 - 0.25 * squared).clamp(min=0).square().square()


def curve(value: Values, knots: Knots) -> Values:
    """Follow straight lines between knots (value, result); level beyond the ends."""
    at = torch.tensor([knot[0] for knot in knots])
    to = torch.tensor([knot[1] for knot in knots])
    slope = (to[1:] - to[:-1]) / (at[1:] - at[:-1])
    value = value.clamp(float(at[0]), float(at[-1])).contiguous()
    index = (torch.bucketize(value, at) - 1).clamp(0, len(knots) - 2)
    return to[index] + slope[index] * (value - at[index])


def dice(first: Float[Tensor, "*p"], second: Float[Tensor, "*p"], seed: int) -> Values:
    """A random number in [0, 1) for every pair of whole numbers."""
    mixed = first.long() * 374761393 + second.long() * 668265263 + (seed % 1000003) * 362437
    mixed = ((mixed ^ (mixed >> 13)) & 0x7FFFFFFF) * 1274126177
    return ((mixed ^ (mixed >> 16)) & 0xFFFF).to(first.dtype) / 65536


def dots(x: Values, y: Values, size: Number, radius: Number, seed: int, share: Number = 1.0) -> Values:
    """Round dots, one in each of some square cells of a size, somewhere in it."""
    column, row = torch.floor(x / size), torch.floor(y / size)
    here = dice(column, row, seed)
    reach = radius * (0.6 + 0.4 * here)
    shift = 0.5 * size - radius
    cx = (column + 0.5) * size + shift * (2 * dice(column, row, seed + 1) - 1)
    cy = (row + 0.5) * size + shift * (2 * dice(column, row, seed + 2) - 1)
    away = torch.hypot(x - cx, y - cy)
    return step(reach - away, 0.3 * radius) * (dice(column, row, seed + 3) < share)


def strands(across: Values, fineness: Number, phase: Number) -> Values:
    """Irregular streaks between -1 and 1."""
    return 0.6 * torch.sin(fineness * across + phase) * torch.sin(
        0.37 * fineness * across + 2.1 * phase
    ) + 0.4 * torch.sin(2.3 * fineness * across + 3 * phase)


def mix(colors: Float[Tensor, "p 3"], color: tuple[float, float, float], share: Values) -> None:
    """Paint a colour over others, in place."""
    colors += share[:, None] * (torch.tensor(color) - colors)
