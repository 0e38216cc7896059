"""Our maps against DECA's renderer, which drew with PyTorch3D: coverage, normals, depth and shading."""

import golden
import torch
from anifacediff_flame.camera import crop_camera
from flame_parts import ARRAYS
from pictures import assert_covers, assert_normals

from anifacediff.geometry.faces import Similarity, WeakPerspective
from anifacediff.geometry.rasterizer import SpanRasterizer
from anifacediff.geometry.snapshots import CONVENTIONS, ControlMaps, Topology, render_maps, vertex_normals

RENDERER = golden.read("deca/renderer").arrays
VERTICES = RENDERER["vertices"]
TOPOLOGY = Topology.of(ARRAYS.triangles)
CAMERA = torch.tensor([[5.0, 0.01, -0.02], [4.0, 0.0, 0.0]])  # of the golden's frames
HALF_FLOAT = 6e-4  # what storing numbers of order one in 16 bits costs
COVERED = RENDERER["alpha_images"][:, 0] > 0.5


def camera(size: int) -> WeakPerspective:
    scale = torch.full((2,), size / 224)
    return crop_camera(CAMERA).moved(Similarity(scale, torch.zeros(2, 2)))


def drawn() -> ControlMaps:
    frames = [slice(0, 1), slice(1, 2)]
    return ControlMaps.joined(
        [
            render_maps(
                VERTICES[frame],
                TOPOLOGY,
                camera(96)[frame],
                size=(96, 96),
                rasterizer=SpanRasterizer(),
                convention=CONVENTIONS["deca"],
                maps=("normal", "depth", "shaded"),
                light=RENDERER["light"][frame][0],
            )
            for frame in frames
        ]
    )


def test_the_camera_is_that_of_the_golden():
    shown = camera(96).project(VERTICES)[..., :2] / 48 - 1
    torch.testing.assert_close(shown, RENDERER["trans_verts"][..., :2], rtol=0, atol=1e-5)


def test_coverage_and_normals():
    maps = drawn()
    assert maps.normal is not None
    assert_normals(maps.normal, RENDERER["normal_images"], assert_covers(maps.mask, COVERED))
    assert not maps.normal[~maps.mask[:, None].expand_as(maps.normal)].any()


def test_normals_of_a_picture_that_is_not_square():
    expected = RENDERER["normal_images_48x64"]
    x, y, depth = RENDERER["trans_verts"].unbind(-1)
    screen = torch.stack([(x + 1) * 32, (y + 1) * 24, depth], dim=-1)
    seen = SpanRasterizer()(screen, TOPOLOGY.triangles, height=48, width=64)
    found = seen.scatter(seen.interpolate(vertex_normals(VERTICES, TOPOLOGY)))
    assert_normals(found, expected, assert_covers(seen.mask, expected.abs().amax(1) > 0))


def test_depth_after_its_limits_are_taken_over_the_batch():
    maps = drawn()
    assert maps.depth is not None
    depth = camera(96).project(VERTICES)[..., 2] / 48
    near, far = depth.amin(1)[:, None, None], depth.amax(1)[:, None, None]
    distance = far - maps.depth[:, 0] * (far - near)
    found = (far.max() - distance) / (far.max() - near.min())
    torch.testing.assert_close(found[COVERED], RENDERER["depth_images"][:, 0][COVERED], rtol=0, atol=2e-5)


def test_shading():
    maps = drawn()
    assert maps.shaded is not None
    inside = COVERED[:, None].expand_as(maps.shaded)
    expected = RENDERER["shading_images"].float()
    torch.testing.assert_close(maps.shaded[inside], expected[inside], rtol=0, atol=HALF_FLOAT)
    picture = RENDERER["albedo_images"].float() * maps.shaded
    torch.testing.assert_close(picture, RENDERER["images"].float(), rtol=0, atol=2 * HALF_FLOAT)


def test_which_pixels_face_the_viewer():
    maps = drawn()
    assert maps.normal is not None
    assert torch.equal((maps.normal[:, 2] > 0.05) & COVERED, (RENDERER["pos_mask"][:, 0] > 0.5) & COVERED)
