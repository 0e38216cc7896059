"""Our textured rendering against MIMAFace's, which real PyTorch3D made, on a synthetic Basel Face Model."""

import bfm_synth
import golden
import pytest
import torch
from anifacediff_bfm.coefficients import Coefficients, to_parameters
from anifacediff_bfm.layout import from_published
from anifacediff_bfm.model import BfmArrays, BfmModel
from anifacediff_bfm.render import FacePictures, FaceRenderer
from anifacediff_bfm.setups import MIMAFACE

GOLDEN = golden.read("d3dfr/mimaface_render")


@pytest.fixture(scope="module")
def renderer() -> FaceRenderer:
    arrays = from_published(bfm_synth.build(), "synthetic")
    model = BfmModel(BfmArrays(**{name: torch.from_numpy(array) for name, array in arrays.items()}))
    return FaceRenderer.of(model, MIMAFACE)


@pytest.fixture(scope="module")
def coefficients() -> Coefficients:
    return Coefficients.split(GOLDEN.arrays["coeff"])


@pytest.fixture(scope="module")
def drawn(renderer: FaceRenderer, coefficients: Coefficients) -> FacePictures:
    return renderer(coefficients)


def test_vertices(renderer: FaceRenderer, coefficients: Coefficients) -> None:
    face = to_parameters(coefficients, renderer.model, MIMAFACE)
    vertices = renderer.model(face.shape, face.expression, face.pose) + coefficients.translation[:, None]
    GOLDEN.assert_close(vertices, "vertices", golden.SINGLE_MODULE)


def test_landmarks(renderer: FaceRenderer, coefficients: Coefficients) -> None:
    face = to_parameters(coefficients, renderer.model, MIMAFACE)
    points = face.camera.project(renderer.model.posed_landmarks(face.shape, face.expression, face.pose))[..., :2]
    GOLDEN.assert_close(points, "lms_proj", golden.SINGLE_MODULE)


def test_texture_and_colours(renderer: FaceRenderer, coefficients: Coefficients) -> None:
    GOLDEN.assert_close(renderer.model.texture(coefficients.texture), "texture", golden.SINGLE_MODULE)
    GOLDEN.assert_close(renderer.colours(coefficients), "color", golden.SINGLE_MODULE)


def test_the_same_pixels_are_covered(drawn: FacePictures) -> None:
    published = GOLDEN.arrays["rendered_alpha"]
    both, either = drawn.mask & published, drawn.mask | published
    assert float(both.sum() / either.sum()) >= 0.9999


def test_the_picture_is_the_published_one(drawn: FacePictures) -> None:
    """It is stored rounded to whole levels, so half a level may be lost on either side."""
    both = (drawn.mask & GOLDEN.arrays["rendered_alpha"])[:, None]
    off = (drawn.picture - GOLDEN.arrays["rendered_uint8"].permute(0, 3, 1, 2)).abs()
    covered = off.masked_select(both)
    assert float((covered <= 0.5 + 255e-4).float().mean()) >= 0.999


def test_the_condition_is_the_published_one(drawn: FacePictures) -> None:
    """It is stored in half precision: the spacing of its numbers, and 1e-4 of the range, may be off."""
    both = (drawn.mask & GOLDEN.arrays["rendered_alpha"])[:, None]
    published = GOLDEN.arrays["condition_float16"].float()
    off = (drawn.condition() - published).abs() - published.abs() * 2**-11
    assert float((off.masked_select(both) <= 2e-4).float().mean()) >= 0.999
    nowhere = ~(drawn.mask | GOLDEN.arrays["rendered_alpha"])[:, None]
    assert bool((drawn.condition() == published).masked_select(nowhere).all())
