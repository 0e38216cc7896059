"""The topology of the built-in head: a grid from the crown to the neck with slits for mouth and eyes, eyeballs, ears.

Everything is mirror-symmetric about x = 0: grid columns come in pairs, and so do triangles.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Slit:
    """A cut along a grid row, from its image-left corner to its image-right one.

    Attributes:
        upper: vertices of the edge above the cut; the two corners come first and last.
        lower: vertices of the edge below, the same corners included.
        inner: m n, rows that lead inwards from the edges: for the mouth a pocket from the upper to the lower edge,
            whose rows meet in corners of their own; for an eye one row behind each edge, the same corners included.
    """

    upper: Indices
    lower: Indices
    inner: Indices


@dataclass(frozen=True)
class HeadGrid:
    """Which vertices and triangles the head has.

    Attributes:
        above: r c, the grid's vertices as rows above them see them; columns run from the back over image-left, the
            front (column c/2) and image-right to the back again.
        below: r c, the same as rows below see them: other vertices where a slit cuts.
        crown: the vertex at the top.
        mouth: its slit.
        eyes: the slits at image-left and image-right.
        num_skin: number of vertices of the grid, its crown and its slits; other parts follow.
        triangles: t 3, counter-clockwise seen from outside.
    """

    above: Indices
    below: Indices
    crown: int
    mouth: Slit
    eyes: tuple[Slit, Slit]
    num_skin: int
    triangles: Indices


def build_grid(
    rows: int, columns: int, mouth_row: int, mouth_columns: slice, eye_row: int, eye_columns: slice, pocket_rows: int
) -> HeadGrid:
    """Number the vertices and make the triangles of the skin.

    Args:
        rows: of the grid, the crown not counted.
        columns: of the grid; even.
        mouth_row: the row that the mouth cuts.
        mouth_columns: corners included, symmetric.
        eye_row: the row that the eyes cut.
        eye_columns: of the eye at image-right, corners included.
        pocket_rows: rows of the pocket behind the lips.
    """
    above = np.arange(rows * columns).reshape(rows, columns)
    below = above.copy()
    crown = rows * columns
    used = crown + 1

    def new(count: int) -> Indices:
        nonlocal used
        used += count
        return np.arange(used - count, used)

    def cut(row: int, span: slice, depth: int, own_corners: bool) -> Slit:
        upper = above[row, span]
        inside = len(upper) - 2
        below[row, span.start + 1 : span.stop - 1] = new(inside)
        inner = np.tile(upper, (depth, 1))
        inner[:, 1:-1] = new(depth * inside).reshape(depth, inside)
        if own_corners:
            inner[:, [0, -1]] = new(2)
        return Slit(upper, below[row, span].copy(), inner)

    mouth = cut(mouth_row, mouth_columns, pocket_rows, own_corners=True)
    mirrored = slice(columns - eye_columns.stop + 1, columns - eye_columns.start + 1)
    eyes = cut(eye_row, mirrored, 2, own_corners=False), cut(eye_row, eye_columns, 2, own_corners=False)

    leans = np.arange(columns) >= columns // 2
    ring = [np.append(strip, strip[0]) for strip in above]
    ring_below = [np.append(strip, strip[0]) for strip in below]
    strips = [quads(high, low, leans) for high, low in zip(ring_below[:-1], ring[1:], strict=True)]
    strips.append(np.stack([np.full(columns, crown), ring[0][:-1], ring[0][1:]], axis=1))
    pocket = [mouth.upper, *mouth.inner, mouth.lower]
    strips += [quads(high, low, leans[mouth_columns][:-1]) for high, low in pairwise(pocket)]
    for eye, lean in zip(eyes, (False, True), strict=True):
        leaning = np.full(len(eye.upper) - 1, lean)
        strips.append(quads(eye.upper, eye.inner[0], leaning))
        strips.append(quads(eye.inner[1], eye.lower, leaning))
    return HeadGrid(above, below, crown, mouth, eyes, used, np.concatenate(strips))


def quads(high: Indices, low: Indices, leans: NDArray[np.bool_]) -> Indices:
    """Triangles between two rows of vertices, the upper one first, both from image-left to image-right.

    Args:
        high: n + 1 vertices.
        low: n + 1 vertices.
        leans: n, which way to cut a quad in two; opposite ways mirror each other.

    Returns:
        Counter-clockwise triangles, without those that have a vertex twice.
    """
    a, b, c, d = high[:-1], low[:-1], low[1:], high[1:]
    first = np.where(leans[:, None], np.stack([a, b, c], 1), np.stack([a, b, d], 1))
    second = np.where(leans[:, None], np.stack([a, c, d], 1), np.stack([b, c, d], 1))
    triangles = np.concatenate([first, second])
    x, y, z = triangles.T
    return triangles[(x != y) & (y != z) & (z != x)]


def ball(rings: int, spokes: int) -> Indices:
    """Triangles of a closed ball of rings between two poles.

    Vertices are numbered first pole, then ring by ring, then last pole; rings run counter-clockwise seen from
    beyond the first pole.
    """
    last = 1 + rings * spokes
    ring = 1 + np.arange(rings * spokes).reshape(rings, spokes)
    closed = np.concatenate([ring, ring[:, :1]], axis=1)
    leans = np.zeros(spokes, dtype=bool)
    fan = np.stack([np.zeros(spokes, dtype=np.int64), closed[0, :-1], closed[0, 1:]], axis=1)
    tail = np.stack([np.full(spokes, last), closed[-1, 1:], closed[-1, :-1]], axis=1)
    sides = [quads(high, low, leans) for high, low in pairwise(closed)]
    return np.concatenate([fan, *sides, tail])
