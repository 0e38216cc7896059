"""Our Basel Face Model, light and normals against Deep3DFaceRecon's, on a synthetic model of its layout."""

import bfm_synth
import golden
import pytest
import torch
from anifacediff_bfm.coefficients import Coefficients, rotation_of, to_parameters
from anifacediff_bfm.layout import from_published
from anifacediff_bfm.light import lit
from anifacediff_bfm.model import BfmArrays, BfmModel
from anifacediff_bfm.normals import posed_normals
from anifacediff_bfm.render import FaceRenderer
from anifacediff_bfm.setups import DEEP3D

DEEP3D_GOLDEN = golden.read("d3dfr/deep3d")


@pytest.fixture(scope="module")
def model() -> BfmModel:
    arrays = from_published(bfm_synth.build(), "synthetic")
    return BfmModel(BfmArrays(**{name: torch.from_numpy(array) for name, array in arrays.items()}))


@pytest.fixture(scope="module")
def coefficients() -> Coefficients:
    return Coefficients.split(DEEP3D_GOLDEN.arrays["coeff"])


def test_columns_are_those_of_the_published_split(coefficients: Coefficients) -> None:
    c = coefficients
    parts = {"id": c.shape, "exp": c.expression, "tex": c.texture, "angle": c.angles, "gamma": c.light}
    for name, part in (parts | {"trans": c.translation}).items():
        torch.testing.assert_close(part, DEEP3D_GOLDEN.arrays[f"split_{name}"], rtol=0, atol=0)


def test_rotation(coefficients: Coefficients) -> None:
    # Published for rows, ours for columns.
    DEEP3D_GOLDEN.assert_close(rotation_of(coefficients.angles).mT, "rotation", golden.SINGLE_MODULE)


def test_vertices_before_the_camera(model: BfmModel, coefficients: Coefficients) -> None:
    face = to_parameters(coefficients, model, DEEP3D)
    vertices = model(face.shape, face.expression, face.pose) + coefficients.translation[:, None]
    depth = face.camera.project(model(face.shape, face.expression, face.pose))[..., 2:]
    DEEP3D_GOLDEN.assert_close(torch.cat([vertices[..., :2], depth], dim=-1), "vertices_camera", golden.SINGLE_MODULE)


def test_landmarks_lie_on_the_published_pixels(model: BfmModel, coefficients: Coefficients) -> None:
    face = to_parameters(coefficients, model, DEEP3D)
    points = face.camera.project(model.posed_landmarks(face.shape, face.expression, face.pose))[..., :2]
    # Published: the index of a pixel is (u, 223 - v); its centre is half a pixel further in both directions.
    u, v = points[..., 0] - 0.5, 223 - (points[..., 1] - 0.5)
    DEEP3D_GOLDEN.assert_close(torch.stack([u, v], dim=-1), "landmarks", golden.SINGLE_MODULE)


def test_texture(model: BfmModel, coefficients: Coefficients) -> None:
    DEEP3D_GOLDEN.assert_close(model.texture(coefficients.texture) / 255, "texture", golden.SINGLE_MODULE)


def test_normals_are_means_of_unit_normals(model: BfmModel, coefficients: Coefficients) -> None:
    # Stored before the rotation, which comes after them.
    straight = torch.zeros_like(coefficients.pose)
    found = posed_normals(model, coefficients.shape, coefficients.expression, straight, DEEP3D.normals)
    DEEP3D_GOLDEN.assert_close(found, "normals", golden.SINGLE_MODULE)


def test_lit_colours(model: BfmModel, coefficients: Coefficients) -> None:
    found = FaceRenderer.of(model, DEEP3D).colours(coefficients)
    DEEP3D_GOLDEN.assert_close(found / 255, "color", golden.SINGLE_MODULE)


def test_the_other_rule_of_normals_is_another_one(model: BfmModel, coefficients: Coefficients) -> None:
    c = coefficients
    weighted = posed_normals(model, c.shape, c.expression, c.pose, "area")
    colours = lit(model.texture(c.texture), weighted, c.light) / 255
    assert float((colours - DEEP3D_GOLDEN.arrays["color"]).abs().max()) > 0.05
