"""Triangles whose pixels are known."""

from collections.abc import Sequence

import torch

from anifacediff.geometry.contracts import Rasterizer
from anifacediff.geometry.fragments import Fragments
from anifacediff.shapes import Bool, Float, Tensor

HEIGHT, WIDTH = 9, 13
Corner = tuple[float, float, float]
LARGE: tuple[Corner, ...] = ((1.2, 1.1, 2.0), (11.7, 2.3, 5.0), (4.1, 8.4, 3.0))


def draw(rasterizer: Rasterizer, corners: Sequence[tuple[Corner, ...]], *, perspective: bool = False) -> Fragments:
    """Rasterise single triangles, given by x, y in pixels and depth, into one picture of 9 x 13 pixels."""
    screen = torch.tensor([[corner for triangle in corners for corner in triangle]])
    triangles = torch.arange(3 * len(corners)).reshape(-1, 3)
    return rasterizer(screen, triangles, height=HEIGHT, width=WIDTH, perspective=perspective)


def small(x: float, y: float) -> tuple[Corner, ...]:
    """A triangle of 0.6 pixels around a point."""
    return ((x - 0.3, y - 0.3, 1.0), (x + 0.3, y - 0.2, 1.0), (x, y + 0.3, 1.0))


def inside(corners: Sequence[Corner]) -> Bool[Tensor, "h w"]:
    """Which centres lie on the same side of all three edges."""
    x, y = (torch.arange(size, dtype=torch.float64) + 0.5 for size in (WIDTH, HEIGHT))
    a, b, c = corners
    sides = [
        (to[0] - at[0]) * (y[:, None] - at[1]) - (to[1] - at[1]) * (x - at[0]) for at, to in ((a, b), (b, c), (c, a))
    ]
    signs = torch.stack(sides).sign()
    return (signs == signs[0]).all(0)


def centers(seen: Fragments) -> Float[Tensor, "p 2"]:
    """Where the centres of the covered pixels are."""
    return torch.stack([seen.pixel % seen.width, seen.pixel // seen.width], dim=1) + 0.5


def call(rasterizer: Rasterizer, screen: Tensor, perspective: bool) -> Fragments:
    """Rasterise one triangle."""
    return rasterizer(screen, torch.tensor([[0, 1, 2]]), height=HEIGHT, width=WIDTH, perspective=perspective)


def differences(rasterizer: Rasterizer, screen: Tensor, factors: Tensor, perspective: bool) -> Tensor:
    """Central differences; the steps are so small that the covered pixels stay the same."""
    result, step = torch.zeros_like(screen), 1e-3
    for index in range(screen.numel()):
        ends: list[float] = []
        for sign in (1, -1):
            moved = screen.clone()
            moved.view(-1)[index] += sign * step
            ends.append(float((call(rasterizer, moved, perspective).barycentric.double() * factors).sum()))
        result.view(-1)[index] = (ends[0] - ends[1]) / (2 * step)
    return result
