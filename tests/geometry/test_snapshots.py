"""Every map convention, held to values that follow from the geometry."""

import math
from dataclasses import replace

import jaxtyping
import pytest
import torch
from torch import Tensor

from anifacediff.errors import InputError, ShapeError
from anifacediff.geometry import snapshots
from anifacediff.geometry.faces import WeakPerspective
from anifacediff.geometry.rasterizer import SpanRasterizer
from anifacediff.geometry.snapshots import (
    CONVENTIONS,
    MAPS,
    ControlMaps,
    Topology,
    default_light,
    find_convention,
    render_maps,
    vertex_normals,
)

SIZE = 64
RADIUS = 24.0


def sphere(rows: int = 48, columns: int = 96) -> tuple[Tensor, Tensor]:
    """A unit sphere, counter-clockwise seen from outside, without poles' caps."""
    polar = torch.linspace(0.02, math.pi - 0.02, rows, dtype=torch.float64)[:, None]
    around = (torch.arange(columns) * (2 * math.pi / columns)).double()
    x, y, z = polar.sin() * around.sin(), polar.cos().expand(-1, columns), polar.sin() * around.cos()
    vertices = torch.stack([x, y, z], dim=-1).flatten(0, 1)[None]
    column = torch.arange(columns)
    top_left = (torch.arange(rows - 1)[:, None] * columns + column).flatten()
    top_right = (torch.arange(rows - 1)[:, None] * columns + (column + 1) % columns).flatten()
    low_left, low_right = top_left + columns, top_right + columns
    triangles = torch.cat(
        [torch.stack([top_left, low_left, low_right], 1), torch.stack([top_left, low_right, top_right], 1)]
    )
    return vertices.float(), triangles


def camera(frames: int = 1, scale: float = RADIUS, center: float = SIZE / 2) -> WeakPerspective:
    return WeakPerspective(torch.full((frames,), scale), torch.full((frames, 2), center))


def draw(
    vertices: Tensor, triangles: Tensor, name: str, maps: tuple[str, ...] = ("normal",), light: Tensor | None = None
) -> ControlMaps:
    return render_maps(
        vertices,
        Topology.of(triangles),
        camera(len(vertices)),
        size=(SIZE, SIZE),
        rasterizer=SpanRasterizer(),
        convention=CONVENTIONS[name],
        maps=maps,
        light=light,
    )


def sphere_normals() -> tuple[Tensor, Tensor]:
    """The analytic normals of the picture of a sphere, and the pixels well inside its outline."""
    y, x = torch.meshgrid(torch.arange(SIZE) + 0.5, torch.arange(SIZE) + 0.5, indexing="ij")
    x, y = (x - SIZE / 2) / RADIUS, (SIZE / 2 - y) / RADIUS
    z = (1 - x**2 - y**2).clamp(min=0).sqrt()
    return torch.stack([x, y, z]), z > 0.3


TILTED = torch.tensor([[[-1.0, -1.0, -0.8], [1.0, -1.0, 0.4], [0.0, 1.0, -0.2]]])
"""A triangle whose normal is (-6, 0, 10) / sqrt(136), as z = 0.6 x - 0.2."""
TILTED_NORMAL = torch.tensor([-0.6, 0.0, 1.0]) / math.sqrt(1.36)
ONE = torch.tensor([[0, 1, 2]])


@pytest.mark.parametrize(
    ("name", "colour"),
    [
        ("anifacediff", 0.5 + 0.5 * TILTED_NORMAL),
        ("deca", TILTED_NORMAL),
        ("magicportrait-published", TILTED_NORMAL.clamp(min=0)),
    ],
)
def test_colours_of_a_known_triangle(name: str, colour: Tensor) -> None:
    maps = draw(TILTED, ONE, name)
    assert maps.normal is not None
    assert torch.allclose(maps.normal[0, :, 32, 32], colour, atol=1e-6)
    outside = ~maps.mask[0]
    assert outside[0, 0]
    assert maps.mask[0, 32, 32]
    assert (maps.normal[0, :, outside] == 0).all()
    assert maps.depth is None
    assert maps.shaded is None


def test_directions_of_the_anifacediff_convention() -> None:
    """Red grows to the right of the picture, green upwards, blue towards the viewer."""
    normal = draw(*sphere(), "anifacediff").normal
    assert normal is not None
    left, right, top, bottom = (normal[0, :, y, x] for y, x in ((32, 12), (32, 51), (12, 32), (51, 32)))
    assert right[0] > 0.85
    assert left[0] < 0.15
    assert top[1] > 0.85
    assert bottom[1] < 0.15
    assert normal[0, 2, 32, 32] > 0.99


@pytest.mark.parametrize("name", list(CONVENTIONS))
def test_normals_of_a_sphere(name: str) -> None:
    expected, inside = sphere_normals()
    if name == "anifacediff":
        expected = 0.5 + 0.5 * expected
    if name == "magicportrait-published":
        expected = expected.clamp(0, 1)
    found = draw(*sphere(), name).normal
    assert found is not None
    assert (found[0] - expected)[:, inside].abs().max() < 0.02


def test_only_the_anifacediff_convention_restores_unit_length() -> None:
    cube_corner = torch.tensor([[[-1.0, -1.0, 0.0], [1.0, -1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]])
    faces = torch.tensor([[0, 1, 3], [1, 2, 3], [2, 0, 3]])
    unit, raw = (draw(cube_corner, faces, name) for name in ("anifacediff", "deca"))
    assert unit.normal is not None
    assert raw.normal is not None
    length = (2 * unit.normal - 1).norm(dim=1)[unit.mask]
    assert torch.allclose(length, torch.ones_like(length), atol=1e-5)
    assert raw.normal.norm(dim=1)[raw.mask].min() < 0.9


@pytest.mark.parametrize("name", list(CONVENTIONS))
def test_depth_is_one_at_the_nearest_vertex_of_each_frame_and_zero_behind(name: str) -> None:
    vertices = torch.cat([TILTED, TILTED * torch.tensor([1.0, 1.0, 3.0])])
    depth = draw(vertices, ONE, name, ("depth",)).depth
    assert depth is not None
    x = (torch.arange(SIZE) + 0.5 - SIZE / 2) / RADIUS
    expected = (0.6 * x - 0.2 + 0.8) / 1.2  # z of the plane, from the farthest (-0.8) to the nearest (0.4)
    for frame in depth[:, 0]:
        row = frame[32]
        assert torch.allclose(row[row > 0], expected[row > 0], atol=1e-5)
        assert int((row > 0).sum()) == 24
    assert (depth[0, 0, 0] == 0).all()


def test_a_flat_mesh_has_a_finite_depth_and_gradient() -> None:
    vertices = (TILTED * torch.tensor([1.0, 1.0, 0.0])).requires_grad_()
    depth = draw(vertices, ONE, "anifacediff", ("depth",)).depth
    assert depth is not None
    assert depth.isfinite().all()
    depth.sum().backward()
    assert vertices.grad is not None
    assert vertices.grad.isfinite().all()


def test_shading_is_the_spherical_harmonic_sum() -> None:
    light = torch.linspace(-0.4, 0.9, 27).view(9, 3)
    found = draw(TILTED, ONE, "deca", ("shaded",), light).shaded
    assert found is not None
    x, y, z = TILTED_NORMAL.tolist()
    basis = [1, x, y, z, x * y, x * z, y * z, x * x - y * y, 3 * z * z - 1]
    factors = [0.28209479, *[1.02332671] * 3, *[0.85808553] * 3, 0.42904277, 0.24770796]
    expected = sum(a * b * row for a, b, row in zip(basis, factors, light, strict=True))
    assert torch.allclose(found[0, :, 32, 32], torch.as_tensor(expected), atol=1e-5)


def test_the_default_light_is_grey_and_within_range() -> None:
    shaded = draw(*sphere(), "deca", ("shaded",)).shaded
    assert shaded is not None
    assert shaded.min() >= 0
    assert shaded.max() < 0.8
    assert shaded[0, 0, 32, 32].item() == pytest.approx(0.74, abs=0.01)
    assert torch.equal(shaded[:, 0], shaded[:, 2])
    assert default_light().shape == (9, 3)


def test_limits_clip_the_shaded_map() -> None:
    light = default_light() * 3
    raw, clipped = (draw(TILTED, ONE, name, ("shaded",), light).shaded for name in ("deca", "magicportrait-published"))
    assert raw is not None
    assert clipped is not None
    assert raw.max() > 1.5
    assert torch.equal(clipped, raw.clamp(0, 1))


def test_vertex_normals_are_weighted_by_area() -> None:
    """A vertex between a triangle of area 2 facing z and one of area 0.5 facing x; one vertex has no triangle."""
    vertices = torch.tensor([[[0.0, 0, 0], [2.0, 0, 0], [0.0, 2, 0], [0.0, 1, 0], [0.0, 0, 1], [9.0, 9, 9]]])
    triangles = torch.tensor([[0, 1, 2], [0, 3, 4]])
    normals = vertex_normals(vertices, Topology.of(triangles))[0]
    assert torch.allclose(normals[0], torch.tensor([0.5, 0.0, 2.0]) / math.sqrt(4.25))
    assert torch.equal(normals[1], torch.tensor([0.0, 0.0, 1.0]))
    assert torch.equal(normals[3], torch.tensor([1.0, 0.0, 0.0]))
    assert torch.equal(normals[5], torch.zeros(3))


def test_vertex_normals_agree_with_accumulation() -> None:
    vertices, triangles = sphere(12, 17)
    vertices = vertices.double() + 0.05 * torch.rand(vertices.shape, dtype=torch.float64)
    a, b, c = vertices[0, triangles].unbind(1)
    area = torch.linalg.cross(b - a, c - a)
    total = torch.zeros_like(vertices[0]).index_add(0, triangles.flatten(), area.repeat_interleave(3, 0))
    expected = total / total.norm(dim=1, keepdim=True)
    assert torch.allclose(vertex_normals(vertices, Topology.of(triangles))[0], expected, atol=1e-12)


def test_a_table_without_triangles() -> None:
    normals = vertex_normals(torch.ones(2, 3, 3), Topology.of(torch.zeros(0, 3, dtype=torch.long)))
    assert torch.equal(normals, torch.zeros(2, 3, 3))


def test_long_clips_are_drawn_in_pieces_without_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    vertices, triangles = sphere(12, 17)
    clip = vertices * torch.linspace(0.5, 1.3, 5)[:, None, None]
    whole = draw(clip, triangles, "anifacediff", MAPS)
    monkeypatch.setattr(snapshots, "frames_at_once", lambda pixels, device: 2)  # pyright: ignore[reportUnknownLambdaType]
    pieces = draw(clip, triangles, "anifacediff", MAPS)
    for name in (*MAPS, "mask"):
        assert torch.equal(getattr(whole, name), getattr(pieces, name))


def test_no_frames_give_no_pictures() -> None:
    maps = draw(torch.zeros(0, 3, 3), ONE, "anifacediff", MAPS)
    assert maps.normal is not None
    assert maps.normal.shape == (0, 3, SIZE, SIZE)


def test_half_precision_vertices_are_drawn_in_single_precision() -> None:
    normal = draw(TILTED.half(), ONE, "deca").normal
    assert normal is not None
    assert normal.dtype == torch.float32
    assert torch.allclose(normal[0, :, 32, 32], TILTED_NORMAL, atol=1e-3)


def test_normals_carry_gradients_to_the_vertices() -> None:
    vertices = TILTED.double().requires_grad_()
    normal = draw(vertices, ONE, "anifacediff").normal
    assert normal is not None
    normal.sum().backward()
    assert vertices.grad is not None
    assert vertices.grad[0, :, 2].abs().min() > 0


def test_bad_names_are_answered_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="anifacediff, deca, magicportrait-published; found 'flame'"):
        find_convention("flame")
    for maps in ((), ("normal", "albedo")):
        with pytest.raises(InputError, match="normal, depth, shaded"):
            draw(TILTED, ONE, "deca", maps)
    with pytest.raises(InputError, match="found the text 'normal'; give a tuple"):
        snapshots.check_maps("normal")


def test_joined_maps_follow_each_other() -> None:
    first, second = (draw(TILTED * scale, ONE, "deca") for scale in (1.0, 0.5))
    both = ControlMaps.joined([first, second])
    assert both.normal is not None
    assert first.normal is not None
    assert torch.equal(both.mask, torch.cat([first.mask, second.mask]))
    assert torch.equal(both.normal[:1], first.normal)
    assert both.depth is None
    assert replace(both, normal=None).normal is None


def test_wrong_shapes_name_the_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # else the import hook refuses first
    with pytest.raises(ShapeError, match="light: expected"):
        draw(TILTED, ONE, "deca", ("shaded",), torch.zeros(9, 1))
    with pytest.raises(ShapeError, match="vertices: expected"):
        draw(TILTED[0], ONE, "deca")
