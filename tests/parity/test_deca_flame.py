"""Our skinning and landmarks against DECA's FLAME and FLAME_PyTorch on a synthetic model of FLAME's structure."""

import golden
import pytest
import torch
from anifacediff_flame.camera import crop_camera, to_picture
from anifacediff_flame.landmarks import LandmarkEmbedding, YawConvention, contour_rows
from anifacediff_flame.model import FlameModel
from flame_parts import ARRAYS, SLIDING, STAYING

from anifacediff.geometry.snapshots import Topology, vertex_normals
from anifacediff.media.crop import SquareCrop

FLAME = golden.read("deca/flame")


@pytest.fixture(scope="module")
def flame() -> FlameModel:
    return FlameModel(ARRAYS, SLIDING)


def full_pose(eyes: bool = False) -> torch.Tensor:
    given = FLAME.arrays["pose"].unflatten(1, (2, 3))
    pose = torch.zeros(given.shape[0], 5, 3)
    pose[:, 0], pose[:, 2] = given[:, 0], given[:, 1]
    if eyes:
        pose[:, 3:] = FLAME.arrays["eye_pose"].unflatten(1, (2, 3))
    return pose


def posed(flame: FlameModel, eyes: bool = False) -> torch.Tensor:
    return flame(FLAME.arrays["shape"], FLAME.arrays["exp"], full_pose(eyes))


@pytest.mark.parametrize(
    ("key", "eyes"), [("vertices", False), ("vertices_eye", True), ("flame_pytorch_vertices", False)]
)
def test_vertices(flame: FlameModel, key: str, eyes: bool):
    FLAME.assert_close(posed(flame, eyes), key, golden.SINGLE_MODULE)


def test_joints(flame: FlameModel):
    found = flame.skin.joints(FLAME.arrays["shape"], FLAME.arrays["exp"], full_pose())
    vertex_std = float(FLAME.arrays["vertices"].std())  # a joint sums over all vertices: their rounding
    torch.testing.assert_close(found, FLAME.arrays["joints"], rtol=0, atol=2e-5 * vertex_std)


@pytest.mark.parametrize(("yaw", "key"), [("deca", "dynamic_row"), ("smplx", "flame_pytorch_dynamic_row")])
def test_the_contour_follows_the_yaw_by_either_convention(yaw: YawConvention, key: str):
    assert contour_rows(full_pose(), yaw).tolist() == FLAME.arrays[key].tolist()


@pytest.mark.parametrize(
    ("embedding", "yaw", "key", "eyes"),
    [
        (SLIDING, "deca", "landmarks2d", False),
        (SLIDING, "deca", "landmarks2d_eye", True),
        (SLIDING, "smplx", "flame_pytorch_landmarks", False),
        (STAYING, "deca", "landmarks3d", False),
    ],
    ids=["deca", "deca with eyes", "smplx", "a contour that stays"],
)
def test_landmarks(embedding: LandmarkEmbedding, yaw: YawConvention, key: str, eyes: bool):
    flame = FlameModel(ARRAYS, embedding, yaw=yaw)
    found = flame.landmarks(posed(flame, eyes), full_pose(eyes))
    FLAME.assert_close(found, key, golden.SINGLE_MODULE)


def test_vertex_normals(flame: FlameModel):
    found = vertex_normals(posed(flame), Topology.of(flame.triangles))
    FLAME.assert_close(found, "vertex_normals", golden.SINGLE_MODULE)


def test_the_camera_is_that_of_deca(flame: FlameModel):
    camera = crop_camera(FLAME.arrays["cam"])
    shown = camera.project(posed(flame)) / 112
    expected = FLAME.arrays["trans_verts"]
    torch.testing.assert_close(shown[..., :2] - 1, expected[..., :2], rtol=0, atol=1e-5)
    torch.testing.assert_close(shown[..., 2], expected[..., 2], rtol=0, atol=1e-5)
    marks = camera.project(flame.landmarks(posed(flame), full_pose()))[..., :2] / 112 - 1
    torch.testing.assert_close(marks, FLAME.arrays["landmarks2d_projected"], rtol=0, atol=1e-5)


def test_faces_are_carried_from_the_crop_to_the_picture(flame: FlameModel):
    scale, left, top = 1.7, 30.0, -12.0  # the golden's transform, to the crop, in DECA's pixels
    side = 224 / scale
    # DECA's pixels start half a pixel later than ours, in the picture as in the crop.
    crop = SquareCrop(side / 2 + 0.5 - (left + 0.5) / scale, side / 2 + 0.5 - (top + 0.5) / scale, side)
    camera = crop_camera(FLAME.arrays["cam"]).moved(to_picture(crop))
    found = camera.project(posed(flame))[..., :2] / torch.tensor([128.0, 96.0]) * 2 - 1
    torch.testing.assert_close(found, FLAME.arrays["trans_verts_in_original"][..., :2], rtol=0, atol=1e-5)
