"""MagicPortrait's depth, normal and rendering maps: one identity under another's pose and SMIRK's expression."""

import golden
import pytest
import torch
from anifacediff_flame.camera import crop_camera, to_picture
from anifacediff_flame.model import FlameModel
from flame_parts import ARRAYS, SLIDING, TEXTURE_POSITIONS
from pictures import assert_covers, assert_normals, saved
from torch.nn import functional as F

from anifacediff.geometry.faces import WeakPerspective
from anifacediff.geometry.rasterizer import SpanRasterizer
from anifacediff.geometry.snapshots import CONVENTIONS, ControlMaps, Topology, render_maps
from anifacediff.media.crop import SquareCrop

CONDITIONS = golden.read("magicportrait/conditions")
GIVEN = CONDITIONS.arrays
COVERED = GIVEN["alpha_images"][:, 0] > 0.5
SIZE = 128
# The golden's transform to the crop of 224 pixels: 1.75 x - 20, 1.75 y - 15 in DECA's pixels.
CROP = SquareCrop(64 + 20.375 / 1.75, 64 + 15.375 / 1.75, 128.0)


@pytest.fixture(scope="module")
def flame() -> FlameModel:
    return FlameModel(ARRAYS, SLIDING)


@pytest.fixture(scope="module")
def vertices(flame: FlameModel) -> torch.Tensor:
    pose = torch.zeros(1, 5, 3)
    pose[:, 0], pose[:, 2] = GIVEN["drv_pose"][:, :3], GIVEN["smirk_jaw"]
    return flame(GIVEN["src_shape"], GIVEN["smirk_exp"], pose)


def camera() -> WeakPerspective:
    return crop_camera(GIVEN["src_cam"]).moved(to_picture(CROP))


def drawn(vertices: torch.Tensor, convention: str) -> ControlMaps:
    return render_maps(
        vertices,
        Topology.of(ARRAYS.triangles),
        camera(),
        size=(SIZE, SIZE),
        rasterizer=SpanRasterizer(),
        convention=CONVENTIONS[convention],
        maps=("normal", "depth", "shaded"),
        light=GIVEN["src_light"][0],
    )


def albedo(vertices: torch.Tensor) -> torch.Tensor:
    """The golden's texture on the mesh."""
    seen = SpanRasterizer()(camera().project(vertices), ARRAYS.triangles, height=SIZE, width=SIZE)
    place = (TEXTURE_POSITIONS * 2 - 1) * torch.tensor([1.0, -1.0])
    grid = seen.scatter(seen.interpolate(place[None])).permute(0, 2, 3, 1)
    return F.grid_sample(GIVEN["albedo"], grid, align_corners=False) * seen.mask[:, None]


def assert_saved(picture: torch.Tensor, name: str) -> None:
    """Equal bytes but for a few pixels that lie on the edge between two."""
    off = (saved(picture).int() - GIVEN[f"{name}_saved_uint8"].int()).abs()
    assert int(off.max()) <= 1
    assert float((off > 0).float().mean()) < 1e-3


def test_vertices(vertices: torch.Tensor):
    CONDITIONS.assert_close(vertices, "verts", golden.SINGLE_MODULE)


def test_coverage_normals_and_depth(vertices: torch.Tensor):
    maps = drawn(vertices, "deca")
    assert maps.normal is not None
    assert maps.depth is not None
    both = assert_covers(maps.mask, COVERED)
    assert_normals(maps.normal, GIVEN["normal_images"], both)
    torch.testing.assert_close(maps.depth, GIVEN["depth_images"], rtol=0, atol=2e-5)


def test_the_rendering_is_albedo_under_the_sources_light(vertices: torch.Tensor):
    maps = drawn(vertices, "deca")
    assert maps.shaded is not None
    picture = albedo(vertices) * maps.shaded
    torch.testing.assert_close(picture, GIVEN["rendered_images"].float(), rtol=0, atol=6e-4)  # stored in 16 bits
    assert_saved(picture, "rendered")


def test_what_is_saved_has_lost_the_negative_normals(vertices: torch.Tensor):
    maps = drawn(vertices, "magicportrait-published")
    assert maps.normal is not None
    assert maps.depth is not None
    assert_saved(maps.normal, "normal")
    assert_saved(maps.depth, "depth")
