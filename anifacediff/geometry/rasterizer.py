"""The default rasteriser: triangles become spans of pixels, and the nearest span wins; plain PyTorch, CPU and CUDA."""

from itertools import pairwise

import torch

from anifacediff.errors import InputError
from anifacediff.geometry.chunks import chunks, frames_at_once
from anifacediff.geometry.fragments import Fragments
from anifacediff.shapes import Float, Int, Tensor, check_shape

_MAX_FRAGMENTS = 2**24
_MAX_COORDINATE = 2.0**20
_EMPTY = torch.iinfo(torch.int64).max


class SpanRasterizer:
    """Finds the triangle seen at every pixel centre, exactly and reproducibly.

    Every triangle is cut into rows, every row into a half-open span of pixel centres. Both triangles
    at an edge compute its crossings from the same two ends in the same order, so a centre on the
    edge belongs to exactly one of them (the top-left rule, without an edge test).

    Which triangle is seen carries no gradient; the barycentric coordinates do. Triangles with a
    vertex that is not finite, lies beyond 2^20 pixels, or (under perspective) has no positive depth
    are dropped whole. Both sides of a triangle are drawn; of two at the same depth, the lower index wins.

    Args:
        frames_per_chunk: how many frames are rasterised together; by default as many as keep the
            working memory small (4 frames of 256 x 256 on a CPU, 64 elsewhere).

    Raises:
        InputError: if ``frames_per_chunk`` is not positive.
    """

    def __init__(self, *, frames_per_chunk: int | None = None) -> None:
        if frames_per_chunk is not None and frames_per_chunk < 1:
            raise InputError(f"frames_per_chunk: expected at least 1 or None, found {frames_per_chunk}.")
        self.frames_per_chunk = frames_per_chunk

    def __call__(
        self,
        screen: Float[Tensor, "f v 3"],
        triangles: Int[Tensor, "t 3"],
        *,
        height: int,
        width: int,
        perspective: bool = False,
    ) -> Fragments:
        """Rasterise a mesh.

        Args:
            screen: f v 3, x and y in pixels (pixel centres at +0.5) and depth growing away from the viewer.
            triangles: t 3, vertex indices.
            height: of the picture in pixels.
            width: of the picture in pixels.
            perspective: whether barycentric coordinates are corrected by depth, which must then be positive.

        Raises:
            ShapeError: if ``screen`` or ``triangles`` have other axes.
            InputError: if the picture has no pixel or a triangle names a vertex that does not exist.
        """
        check_mesh(screen, triangles, height, width)
        points = screen.to(torch.promote_types(screen.dtype, torch.float32))
        triangles = triangles.to(points.device, torch.int64)
        size = self.frames_per_chunk or frames_at_once(height * width, points.device)
        pieces = chunks(len(points), size)
        parts = [_rasterize(points[frames], triangles, height, width, perspective) for frames in pieces]
        pixel = torch.cat([part[0] + frames.start * height * width for part, frames in zip(parts, pieces, strict=True)])
        triangle = torch.cat([part[1] for part in parts])
        barycentric = torch.cat([part[2] for part in parts])
        return Fragments(pixel, triangle, barycentric, triangles, len(points), height, width)


def check_mesh(screen: Float[Tensor, "..."], triangles: Int[Tensor, "..."], height: int, width: int) -> None:
    """Check what a rasteriser is given.

    Args:
        screen: f v 3, vertices.
        triangles: t 3, vertex indices.
        height: of the picture in pixels.
        width: of the picture in pixels.

    Raises:
        ShapeError: if ``screen`` or ``triangles`` have other axes.
        InputError: if the picture has no pixel or a triangle names a vertex that does not exist.
    """
    check_shape("screen", screen, "f v 3", None, None, 3)
    check_shape("triangles", triangles, "t 3", None, 3)
    if height < 1 or width < 1:
        raise InputError(f"height and width: expected at least one pixel each, found {height} x {width}.")
    if triangles.numel() == 0:
        return
    lowest, highest = (int(bound) for bound in triangles.aminmax())
    if lowest < 0 or highest >= screen.shape[1]:
        raise InputError(
            f"triangles: vertex indices run from {lowest} to {highest}, but screen has {screen.shape[1]} vertices."
        )


def _rasterize(
    points: Tensor, triangles: Tensor, height: int, width: int, perspective: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Return pixel, triangle and barycentric coordinates of the covered pixels of a few frames."""
    frames, num_vertices = points.shape[:2]
    offsets = num_vertices * torch.arange(frames, device=points.device)
    corners = (triangles.T[:, None] + offsets[:, None]).flatten(1)
    flat = points.flatten(0, 1)
    with torch.no_grad():
        pixel, face = _visible(_sortable(flat, perspective), corners, (frames, height, width))
    barycentric = _barycentric(flat, corners, face, _centers(pixel, height, width, flat.dtype), perspective)
    return pixel, face % max(len(triangles), 1), barycentric


def _sortable(points: Tensor, perspective: bool) -> Tensor:
    """Replace depth by something affine on the screen in the same order, and unusable vertices by NaN."""
    x, y, depth = points.unbind(1)
    z = torch.where(depth > 0, -1 / depth, torch.nan) if perspective else depth
    usable = (x.abs() < _MAX_COORDINATE) & (y.abs() < _MAX_COORDINATE) & z.isfinite() & depth.isfinite()
    return torch.stack([x, y, z]).masked_fill(~usable, torch.nan)


def _visible(points: Tensor, corners: Tensor, size: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
    """Return the covered pixels in ascending order, and the face seen at each.

    Args:
        points: 3 n, x, y, z of every vertex of every frame.
        corners: 3 m, vertex indices of every face of every frame.
        size: frames, height, width.
    """
    frames, height, width = size
    face, y, ends = _rows(points, corners, height)
    first, count, z, slope = _spans(ends, width)
    frame = face.div(max(corners.shape[1] // max(frames, 1), 1), rounding_mode="floor")
    start = (frame * height + y) * width + first
    nearest = torch.full((frames * height * width,), _EMPTY, device=points.device)
    for block in _blocks(count):
        _splat(nearest, block, count[block], start[block], z[block], slope[block])
    pixel = (nearest != _EMPTY).nonzero()[:, 0]
    row = nearest.index_select(0, pixel) & 0xFFFFFFFF
    return pixel, face.index_select(0, row)


def _rows(points: Tensor, corners: Tensor, height: int) -> tuple[Tensor, Tensor, Tensor]:
    """Cut every face into rows; return the face, the row's number, and 4 n: x, z of one end, x, z of the other."""
    upper, middle, lower = _sorted_by_row(*(points.index_select(1, ends) for ends in corners))
    bounds = _first_center(torch.stack([upper[1], middle[1], lower[1]], dim=1), height)
    bounds = bounds.where((upper[1] + middle[1] + lower[1])[:, None].isfinite(), 0).long()
    first, count = bounds[:, :2].flatten(), bounds.diff(dim=1).flatten()
    part, y = _expand(count, first)
    face = part // 2
    center = y + 0.5
    long = _edge(upper, lower).index_select(0, face)
    short = torch.stack([_edge(upper, middle), _edge(middle, lower)], dim=1).flatten(0, 1).index_select(0, part)
    return face, y, torch.cat([_at(long, center), _at(short, center)])


def _sorted_by_row(a: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Sort the corners of every face from the top of the picture to its bottom."""
    a, b = _swap(a, b)
    b, c = _swap(b, c)
    a, b = _swap(a, b)
    return a, b, c


def _swap(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    in_order = a[1] <= b[1]
    return torch.where(in_order, a, b), torch.where(in_order, b, a)


def _edge(upper: Tensor, lower: Tensor) -> Tensor:
    """Return n 5: the upper end and the growth of x and z for one row."""
    run = lower - upper
    return torch.stack([*upper, run[0] / run[1], run[2] / run[1]], dim=1)


def _at(edge: Tensor, y: Tensor) -> Tensor:
    """Return 2 n: x and z of edges at the height of a row; the same numbers whichever face asks."""
    down = y - edge[:, 1]
    return torch.stack([edge[:, 0] + down * edge[:, 3], edge[:, 2] + down * edge[:, 4]])


def _first_center(position: Tensor, limit: int) -> Tensor:
    """Return the index of the first pixel centre at or after a position."""
    return (position - 0.5).ceil().clamp(0, limit)


def _expand(count: Tensor, first: Tensor) -> tuple[Tensor, Tensor]:
    """Enumerate ``count[i]`` consecutive numbers from ``first[i]`` on; return every number's ``i`` and the numbers."""
    owner = torch.repeat_interleave(count)
    shift = first - (count.cumsum(0) - count)
    return owner, torch.arange(len(owner), device=owner.device) + shift.index_select(0, owner)


def _spans(ends: Tensor, width: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the first column, the number of columns, z at the first one and its growth per column, of every row."""
    long_x, long_z, short_x, short_z = ends
    in_order = long_x <= short_x
    left, right = torch.minimum(long_x, short_x), torch.maximum(long_x, short_x)
    left_z, right_z = torch.where(in_order, long_z, short_z), torch.where(in_order, short_z, long_z)
    first, stop = _first_center(left, width), _first_center(right, width)
    slope = (right_z - left_z) / (right - left)
    z = left_z + (first + 0.5 - left) * slope
    return first.long(), (stop - first).long(), z, slope


def _blocks(count: Tensor) -> list[slice]:
    """Cut the rows into blocks of bounded numbers of pixels; one block unless many huge faces lie behind each other."""
    total = count.cumsum(0)
    if len(count) == 0 or int(total[-1]) <= _MAX_FRAGMENTS:
        return [slice(None)]
    limits = torch.arange(_MAX_FRAGMENTS, int(total[-1]), _MAX_FRAGMENTS, device=count.device)
    cuts = [0, *torch.searchsorted(total, limits).tolist(), len(count)]
    return [slice(first, stop) for first, stop in pairwise(cuts)]


def _splat(nearest: Tensor, block: slice, count: Tensor, start: Tensor, z: Tensor, slope: Tensor) -> None:
    """Keep in every pixel the smallest (z, row) of the block's spans, packed into one integer."""
    row, pixel = _expand(count, start)
    step = pixel - start.index_select(0, row)
    depth = z.index_select(0, row) + step * slope.index_select(0, row)
    key = (_ordered_bits(depth) << 32) | (row + (block.start or 0))
    nearest.scatter_reduce_(0, pixel, key, "amin")


def _ordered_bits(values: Tensor) -> Tensor:
    """Map floats of any sign to integers of 32 bits in the same order."""
    bits = values.float().view(torch.int32)
    return (bits ^ ((bits >> 31) & 0x7FFFFFFF)).long()


def _centers(pixel: Tensor, height: int, width: int, dtype: torch.dtype) -> Tensor:
    """Return 2 p: x and y of pixel centres."""
    row = pixel.div(width, rounding_mode="floor")
    return torch.stack([pixel - row * width, row % height]).to(dtype) + 0.5


def _barycentric(points: Tensor, corners: Tensor, face: Tensor, centers: Tensor, perspective: bool) -> Tensor:
    """Return p 3: the weights of the corners at the pixel centres; differentiable with respect to ``points``."""
    plane = points[:, :2]
    # Dropped vertices must not put NaN into the gradients of their neighbours.
    plane = torch.where(plane.abs() < _MAX_COORDINATE, plane, 0)
    a, b, c = (plane.index_select(0, ends) for ends in corners)
    (bx, by), (cx, cy) = (b - a).unbind(1), (c - a).unbind(1)
    area = bx * cy - cx * by
    area = torch.where(area == 0, 1, area)
    table = torch.stack([*a.unbind(1), cy / area, cx / area, by / area, bx / area], dim=1)
    ax, ay, cy, cx, by, bx = table.index_select(0, face).unbind(1)
    x, y = centers[0] - ax, centers[1] - ay
    second = (x * cy - y * cx).clamp(0, 1)
    third = torch.minimum((y * bx - x * by).clamp(min=0), 1 - second)
    weights = torch.stack([1 - second - third, second, third], dim=1)
    if not perspective:
        return weights
    weights = weights / points[:, 2][corners.index_select(1, face).T]
    return weights / weights.sum(1, keepdim=True)
