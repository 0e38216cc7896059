"""The mapping to PyTorch3D's conventions against points computed by hand; nothing here needs PyTorch3D."""

import subprocess
import sys

import pytest
import torch
from anifacediff_pytorch3d.conventions import to_fragments, to_ndc

from anifacediff.registry import registry


def moved(x: float, y: float, depth: float, *, height: int, width: int) -> list[float]:
    screen = torch.tensor([[[x, y, depth]]])
    return to_ndc(screen, height=height, width=width, perspective=True)[0, 0].tolist()


@pytest.mark.parametrize(
    ("point", "size", "expected"),
    [
        ((4.0, 4.0), (8, 8), [0, 0]),  # the middle
        ((0.0, 0.0), (8, 8), [1, 1]),  # the top left corner: x to the left, y up
        ((8.0, 8.0), (8, 8), [-1, -1]),
        ((0.5, 0.5), (8, 8), [7 / 8, 7 / 8]),  # the centre of the first pixel: 1 - 1 / 8
        ((0.0, 0.0), (4, 8), [2, 1]),  # the shorter side spans [-1, 1]
        ((8.0, 4.0), (4, 8), [-2, -1]),
        ((0.0, 0.0), (6, 4), [1, 1.5]),
        ((3.0, 1.5), (6, 4), [-0.5, 0.75]),
    ],
)
def test_points_land_where_pytorch3d_looks_for_them(
    point: tuple[float, float], size: tuple[int, int], expected: list[float]
):
    height, width = size
    assert moved(*point, 5.0, height=height, width=width) == pytest.approx([*expected, 5.0])


@pytest.mark.parametrize(("height", "width"), [(6, 6), (5, 9), (9, 5)])
def test_pixel_centres_are_those_of_pytorch3d(height: int, width: int):
    """Its kernels count columns and rows from the far end: -r + (2 r i + r) / n, r the half extent of that side."""
    shorter = min(height, width)
    for size, axis in ((width, 0), (height, 1)):
        half = size / shorter
        for index in range(size):
            centre = [index + 0.5, index + 0.5, 1.0]
            theirs = -half + (2 * half * (size - 1 - index) + half) / size
            assert moved(*centre, height=height, width=width)[axis] == pytest.approx(theirs)


def test_without_perspective_depth_is_shifted_in_front_of_the_viewer():
    screen = torch.tensor([[[1.0, 1.0, -30.0], [2.0, 2.0, 0.0], [3.0, 3.0, 12.0]]])
    depth = to_ndc(screen, height=4, width=4, perspective=False)[0, :, 2]
    assert depth.tolist() == [1, 31, 43]


@pytest.mark.parametrize(
    "vertex",
    [(torch.nan, 1, 1), (1, torch.inf, 1), (1, 1, torch.nan), (2.0**20, 1, 1), (1, 1, 0), (1, 1, -2)],
    ids=str,
)
def test_vertices_of_no_use_stand_behind_the_viewer(vertex: tuple[float, float, float]):
    screen = torch.tensor([[vertex, (1.0, 2.0, 3.0)]])
    assert to_ndc(screen, height=4, width=4, perspective=True)[0, :, 2].tolist() == [-1, 3]


def test_gradients_of_useful_vertices_are_finite_beside_useless_ones():
    screen = torch.tensor([[[torch.nan, 1.0, 1.0], [1.0, 2.0, 3.0]]], requires_grad=True)
    to_ndc(screen, height=4, width=6, perspective=False).sum().backward()
    assert screen.grad is not None
    assert screen.grad[0].tolist() == [[0, 0, 0], [-0.5, -0.5, 1]]


def test_faces_counted_through_the_batch_become_triangles_of_the_mesh():
    faces = torch.tensor([[[-1, 2], [0, -1]], [[3, -1], [-1, 5]]])  # two frames of 2 x 2, three triangles
    barycentric = torch.rand(2, 2, 2, 3)
    fragments = to_fragments(faces, barycentric, torch.tensor([[0, 1, 2], [1, 2, 3], [2, 3, 4]]))
    assert fragments.pixel.tolist() == [1, 2, 4, 7]
    assert fragments.triangle.tolist() == [2, 0, 0, 2]
    assert (fragments.frames, fragments.height, fragments.width) == (2, 2, 2)
    assert torch.equal(fragments.triangle_map, torch.tensor([[[-1, 2], [0, -1]], [[0, -1], [-1, 2]]]))


def test_weights_of_slivers_sum_to_one():
    barycentric = torch.tensor([[[[0.2, 0.3, 0.4]]]])
    fragments = to_fragments(torch.tensor([[[0]]]), barycentric, torch.tensor([[0, 1, 2]]))
    torch.testing.assert_close(fragments.barycentric, torch.tensor([[2 / 9, 3 / 9, 4 / 9]]))


def test_the_registry_lists_it_without_importing_it():
    assert "pytorch3d" in registry.rasterizers
    code = "import sys, anifacediff_pytorch3d; print({'pytorch3d', 'torch'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).stdout == b"set()\n"
