"""The span rasteriser against a brute-force reference in float64 with an explicit top-left rule."""

import jaxtyping
import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from anifacediff.errors import InputError, ShapeError
from anifacediff.geometry import rasterizer as module
from anifacediff.geometry.contracts import Rasterizer
from anifacediff.geometry.fragments import Fragments
from anifacediff.geometry.rasterizer import SpanRasterizer

SIZES = ((48, 48), (40, 64), (64, 30), (17, 53))


def pixel_centers(height: int, width: int) -> tuple[Tensor, Tensor]:
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    return x.double(), y.double()


def edge(a: Tensor, b: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The signed area right of an edge (y down, clockwise on the screen), and the centres inside of it."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    area = dx * (y - a[1]) - dy * (x - a[0])
    is_top_or_left = bool(dy < 0) or (bool(dy == 0) and bool(dx > 0))
    return area, (area > 0) | ((area == 0) & is_top_or_left)


def brute_force(screen: Tensor, triangles: Tensor, height: int, width: int, perspective: bool) -> tuple[Tensor, Tensor]:
    """Return the triangle seen at every pixel of one frame (-1: none) and its depth."""
    x, y = pixel_centers(height, width)
    seen = torch.full((height, width), -1)
    nearest = torch.full((height, width), torch.inf, dtype=torch.float64)
    for index, corners in enumerate(screen.double()[triangles]):
        if perspective and bool((corners[:, 2] <= 0).any()):
            continue
        a, b, c = corners
        total = (b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])
        if total == 0:
            continue
        if total < 0:
            b, c = c, b
        (area_a, in_a), (area_b, in_b), (area_c, in_c) = edge(b, c, x, y), edge(c, a, x, y), edge(a, b, x, y)
        z = [1 / corner[2] if perspective else corner[2] for corner in (a, b, c)]
        depth = (area_a * z[0] + area_b * z[1] + area_c * z[2]) / total.abs()
        depth = 1 / depth if perspective else depth
        closer = in_a & in_b & in_c & (depth < nearest)
        seen[closer], nearest[closer] = index, depth[closer]
    return seen, nearest


def random_mesh(seed: int, zoom: float, perspective: bool, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    height, width = size
    vertices = torch.randn(1, 60, 3, generator=generator) * torch.tensor([width / 3 * zoom, height / 3 * zoom, 5.0])
    vertices = vertices + torch.tensor([width / 2, height / 2, 0.0])
    if perspective:
        vertices[..., 2] = vertices[..., 2] + 5  # some stay behind the viewer
    return vertices, torch.randint(0, 60, (80, 3), generator=generator)


@pytest.mark.parametrize("zoom", [1.0, 3.0])
@pytest.mark.parametrize("perspective", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_no_pixel_differs_from_brute_force(seed: int, perspective: bool, zoom: float) -> None:
    height, width = SIZES[seed]
    vertices, triangles = random_mesh(seed + 10 * perspective, zoom, perspective, (height, width))
    seen, depth = brute_force(vertices[0], triangles, height, width, perspective)
    fragments = SpanRasterizer()(vertices, triangles, height=height, width=width, perspective=perspective)
    assert (seen >= 0).sum() > 300
    assert torch.equal(fragments.triangle_map[0], seen)
    found = fragments.interpolate(vertices[..., 2:])[:, 0].double()
    expected = depth[seen >= 0]
    assert ((found - expected).abs() / expected.abs().clamp(min=1)).max() < 1e-4


def planar_grid(cells: int, size: int, jitter: float, seed: int) -> tuple[Tensor, Tensor]:
    """A grid over the picture that does not fold (jitter below half a cell)."""
    step = size / cells
    x, y = torch.meshgrid(torch.arange(cells + 1.0), torch.arange(cells + 1.0), indexing="xy")
    inner = ((x > 0) & (x < cells) & (y > 0) & (y < cells)).float()
    noise = (torch.rand(2, cells + 1, cells + 1, generator=torch.Generator().manual_seed(seed)) - 0.5) * jitter
    plane = torch.stack([x + noise[0] * inner, y + noise[1] * inner], dim=-1).flatten(0, 1) * step
    corner = (torch.arange(cells)[:, None] * (cells + 1) + torch.arange(cells)).flatten()
    right, below, across = corner + 1, corner + cells + 1, corner + cells + 2
    triangles = torch.cat([torch.stack([corner, below, right], 1), torch.stack([right, below, across], 1)])
    return plane, triangles


def coverage(plane: Tensor, triangles: Tensor, size: int) -> Tensor:
    """How many triangles cover each pixel: each is drawn alone, as a frame of its own."""
    corners = torch.cat([plane[triangles], torch.zeros(len(triangles), 3, 1)], dim=-1)
    fragments = SpanRasterizer()(corners, torch.tensor([[0, 1, 2]]), height=size, width=size)
    return fragments.mask.sum(0)


@pytest.mark.parametrize("jitter", [0.0, 0.45])
@pytest.mark.parametrize(("cells", "size", "shift"), [(13, 32, 0.0), (16, 32, 0.5), (32, 32, 0.5), (40, 32, 0.0)])
def test_meshes_are_watertight(cells: int, size: int, shift: float, jitter: float) -> None:
    """Every centre is covered exactly once, also where vertices and edges lie on centres (shift 0.5)."""
    plane, triangles = planar_grid(cells, size, jitter, seed=cells)
    count = coverage(plane - shift, triangles, size)  # ends half a pixel early at the right and at the bottom
    covered = size - int(shift > 0)
    assert torch.equal(count[:covered, :covered], torch.ones(covered, covered, dtype=count.dtype))


def test_a_pixel_aligned_square_is_filled() -> None:
    vertices = torch.tensor([[[2.0, 3.0, 1.0], [6.0, 3.0, 1.0], [2.0, 7.0, 1.0], [6.0, 7.0, 1.0]]])
    mask = SpanRasterizer()(vertices, torch.tensor([[0, 2, 1], [1, 2, 3]]), height=10, width=9).mask[0]
    expected = torch.zeros(10, 9, dtype=torch.bool)
    expected[3:7, 2:6] = True
    assert torch.equal(mask, expected)


@pytest.mark.parametrize("perspective", [False, True])
def test_gradient_with_visibility_fixed(perspective: bool) -> None:
    generator = torch.Generator().manual_seed(3)
    screen = (torch.rand(2, 6, 3, dtype=torch.float64, generator=generator) * 9 + 1).requires_grad_()
    attributes = torch.rand(2, 6, 2, dtype=torch.float64, generator=generator).requires_grad_()
    triangles = torch.tensor([[0, 1, 2], [3, 4, 5]])

    def interpolated(screen: Tensor, attributes: Tensor) -> Tensor:
        fragments = SpanRasterizer()(screen, triangles, height=11, width=12, perspective=perspective)
        return fragments.interpolate(attributes)

    assert len(interpolated(screen, attributes)) > 20
    assert gradcheck(interpolated, (screen, attributes), eps=1e-7, atol=1e-5)


def test_perspective_interpolation_recovers_the_plane() -> None:
    """On a receding plane, attributes that are linear in space are interpolated as space is, not as the screen is."""
    space = torch.tensor([[[-2.0, -2.0, 2.0], [3.0, -1.0, 9.0], [-1.0, 4.0, 5.0]]], dtype=torch.float64)
    screen = torch.stack(
        [16 + 10 * space[..., 0] / space[..., 2], 16 + 10 * space[..., 1] / space[..., 2], space[..., 2]], -1
    )
    fragments = SpanRasterizer()(screen, torch.tensor([[0, 1, 2]]), height=32, width=32, perspective=True)
    points = fragments.interpolate(space)
    x, y = fragments.pixel % 32 + 0.5, fragments.pixel // 32 + 0.5
    assert len(points) > 30
    assert torch.allclose(16 + 10 * points[:, 0] / points[:, 2], x.double(), atol=1e-9)
    assert torch.allclose(16 + 10 * points[:, 1] / points[:, 2], y.double(), atol=1e-9)


BACK = [[0.0, 0.0, 5.0], [40.0, 0.0, 5.0], [0.0, 40.0, 5.0]]


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf, 1e30, 2.0**21])
@pytest.mark.parametrize("axis", [0, 1])
def test_unusable_vertices_drop_their_triangles_only(bad: float, axis: int) -> None:
    front = torch.tensor([[1.0, 1.0, 1.0], [9.0, 1.0, 1.0], [1.0, 9.0, 1.0]])
    front[1, axis] = bad
    screen = torch.cat([torch.tensor(BACK), front])[None].requires_grad_()
    fragments = SpanRasterizer()(screen, torch.tensor([[0, 1, 2], [3, 4, 5], [0, 1, 4]]), height=12, width=12)
    assert fragments.mask.all()
    assert torch.equal(fragments.triangle.unique(), torch.tensor([0]))
    fragments.interpolate(torch.rand(1, 6, 3)).sum().backward()
    assert screen.grad is not None
    assert screen.grad.isfinite().all()


@pytest.mark.parametrize("perspective", [False, True])
@pytest.mark.parametrize("depth", [torch.nan, torch.inf])
def test_depths_that_are_not_finite_drop_the_triangle(depth: float, perspective: bool) -> None:
    screen = torch.tensor([BACK])
    screen[0, 0, 2] = depth
    fragments = SpanRasterizer()(screen, torch.tensor([[0, 1, 2]]), height=4, width=4, perspective=perspective)
    assert not fragments.mask.any()


def test_depth_may_have_any_sign_without_perspective_and_must_be_positive_with_it() -> None:
    screen = torch.tensor([BACK, BACK])
    screen[0, :, 2] = 1e-3
    screen = torch.cat([screen, screen], dim=1)
    screen[:, 3:, 2] = torch.tensor([-2.0, -1e-3])[:, None]  # always nearer than the first triangle
    triangles = torch.tensor([[0, 1, 2], [3, 4, 5]])
    flat = SpanRasterizer()(screen, triangles, height=6, width=6)
    assert torch.equal(flat.triangle_map, torch.ones(2, 6, 6, dtype=torch.long))
    deep = SpanRasterizer()(screen, triangles, height=6, width=6, perspective=True)
    assert torch.equal(deep.triangle_map, torch.zeros(2, 6, 6, dtype=torch.long))


def test_zero_depths_of_either_sign_tie_and_the_lower_index_wins() -> None:
    screen = torch.tensor([BACK + BACK])
    screen[0, :3, 2], screen[0, 3:, 2] = 0.0, -0.0
    assert (SpanRasterizer()(screen, torch.tensor([[0, 1, 2], [3, 4, 5]]), height=5, width=5).triangle == 0).all()


@pytest.mark.parametrize(
    ("frames", "vertices", "triangles"),
    [(0, 3, [[0, 1, 2]]), (2, 0, []), (2, 3, []), (2, 3, [[0, 1, 2]]), (1, 3, [[0, 0, 1]])],
)
def test_nothing_to_draw(frames: int, vertices: int, triangles: list[list[int]]) -> None:
    """No frames, no vertices, no triangles, triangles without area: an empty picture of the right shape."""
    screen = torch.ones(frames, vertices, 3)
    faces = torch.tensor(triangles, dtype=torch.long).view(-1, 3)
    for perspective in (False, True):
        fragments = SpanRasterizer()(screen, faces, height=5, width=7, perspective=perspective)
        assert fragments.mask.shape == (frames, 5, 7)
        assert not fragments.mask.any()
        assert fragments.scatter(fragments.interpolate(torch.zeros(frames, vertices, 2))).shape == (frames, 2, 5, 7)


def test_a_mesh_outside_the_picture_covers_nothing() -> None:
    screen = torch.tensor([BACK])
    moved = [screen + torch.tensor([x, y, 0.0]) for x, y in ((-50, 0), (50, 0), (0, -50), (0, 50))]
    assert not SpanRasterizer()(torch.cat(moved), torch.tensor([[0, 1, 2]]), height=40, width=40).mask.any()


def assert_same(found: Fragments, expected: Fragments) -> None:
    assert torch.equal(found.pixel, expected.pixel)
    assert torch.equal(found.triangle, expected.triangle)
    assert torch.equal(found.barycentric, expected.barycentric)


def test_chunks_blocks_and_repetition_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    vertices = torch.cat([random_mesh(seed, 2.0, False, (40, 64))[0] for seed in range(5)])
    triangles = random_mesh(9, 1.0, False, (40, 64))[1]
    whole = SpanRasterizer(frames_per_chunk=5)(vertices, triangles, height=40, width=64)
    for chunk in (None, 1, 2, 5):
        assert_same(SpanRasterizer(frames_per_chunk=chunk)(vertices, triangles, height=40, width=64), whole)
    monkeypatch.setattr(module, "_MAX_FRAGMENTS", 100)
    assert_same(SpanRasterizer(frames_per_chunk=5)(vertices, triangles, height=40, width=64), whole)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda_sees_the_same_triangles() -> None:
    vertices, triangles = random_mesh(1, 1.0, False, (64, 64))
    here = SpanRasterizer()(vertices, triangles, height=64, width=64)
    there = SpanRasterizer()(vertices.cuda(), triangles, height=64, width=64)
    assert torch.equal(here.triangle_map, there.triangle_map.cpu())
    assert torch.allclose(here.barycentric, there.barycentric.cpu(), atol=1e-5)


def test_it_is_a_rasterizer() -> None:
    assert isinstance(SpanRasterizer(), Rasterizer)


def test_bad_arguments_are_refused() -> None:
    screen, triangles = torch.zeros(1, 3, 3), torch.tensor([[0, 1, 2]])
    with pytest.raises(InputError, match="frames_per_chunk"):
        SpanRasterizer(frames_per_chunk=0)
    with pytest.raises(InputError, match="0 x 4"):
        SpanRasterizer()(screen, triangles, height=0, width=4)
    with pytest.raises(InputError, match="from 0 to 3"):
        SpanRasterizer()(screen, torch.tensor([[0, 1, 3]]), height=4, width=4)
    with pytest.raises(InputError, match="from -1 to 2"):
        SpanRasterizer()(screen, torch.tensor([[-1, 1, 2]]), height=4, width=4)


def test_wrong_shapes_name_the_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # else the import hook refuses first
    with pytest.raises(ShapeError, match=r"screen: expected shape \(f v 3\)"):
        SpanRasterizer()(torch.zeros(3, 3), torch.tensor([[0, 1, 2]]), height=4, width=4)
    with pytest.raises(ShapeError, match=r"triangles: expected shape \(t 3\)"):
        SpanRasterizer()(torch.zeros(1, 3, 3), torch.tensor([[0, 1]]), height=4, width=4)
