"""PyTorch3D through its plugin against the normals that DECA's renderer drew with it; runs where it is installed."""

from importlib.util import find_spec

import golden
import pytest
import torch
from flame_parts import ARRAYS
from pictures import assert_covers, assert_normals

from anifacediff.geometry.snapshots import Topology, vertex_normals
from anifacediff.registry import registry

RENDERER = golden.read("deca/renderer").arrays
TOPOLOGY = Topology.of(ARRAYS.triangles)


@pytest.mark.skipif(find_spec("pytorch3d") is None, reason="PyTorch3D is not installed")
@pytest.mark.parametrize(
    ("picture", "height", "width"), [("normal_images", 96, 96), ("normal_images_48x64", 48, 64)], ids=str
)
def test_normals_of_deca(picture: str, height: int, width: int):
    expected = RENDERER[picture]
    x, y, depth = RENDERER["trans_verts"].unbind(-1)
    screen = torch.stack([(x + 1) * width / 2, (y + 1) * height / 2, depth], dim=-1)
    seen = registry.rasterizers["pytorch3d"]()(screen, TOPOLOGY.triangles, height=height, width=width)
    found = seen.scatter(seen.interpolate(vertex_normals(RENDERER["vertices"], TOPOLOGY)))
    assert_normals(found, expected, assert_covers(seen.mask, expected.abs().amax(1) > 0))
