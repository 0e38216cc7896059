"""The model's geometry against formulas in float64, and what it refuses."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from anifacediff_bfm.coefficients import Coefficients, rotation_of, to_parameters
from anifacediff_bfm.layout import FIELDS, from_published
from anifacediff_bfm.light import harmonics, lit
from anifacediff_bfm.model import BfmModel
from anifacediff_bfm.normals import NORMALS, NormalRule, posed_normals
from anifacediff_bfm.setups import DEEP3D, MIMAFACE, Setup
from bfm_faces import drawn_arrays, drawn_coefficients, published_fields

from anifacediff.errors import AssetError, InputError, ShapeError
from anifacediff.geometry.contracts import LandmarkedModel
from anifacediff.geometry.snapshots import Topology

SETUPS = (DEEP3D, MIMAFACE)


@pytest.fixture(scope="module")
def model() -> BfmModel:
    return BfmModel(drawn_arrays())


def test_it_is_a_landmarked_model(model: BfmModel) -> None:
    assert isinstance(model, LandmarkedModel)
    assert (model.num_shape, model.num_expression, model.num_texture) == (80, 64, 80)


def test_vertices_are_mean_and_bases_turned_about_the_middle(model: BfmModel) -> None:
    arrays, c = drawn_arrays(), drawn_coefficients(2)
    found = model(c.shape, c.expression, c.pose)
    mean = arrays.mean.double() - arrays.mean.double().mean(0)
    for frame in range(2):
        moved = mean + arrays.shape_basis.double() @ c.shape[frame].double()
        moved = moved + arrays.expression_basis.double() @ c.expression[frame].double()
        expected = moved @ rotation_of(c.angles[frame].double()).T
        torch.testing.assert_close(found[frame].double(), expected, rtol=0, atol=1e-6)


def test_landmarks_alone_are_those_of_the_mesh(model: BfmModel) -> None:
    c = drawn_coefficients(2)
    whole = model.landmarks(model(c.shape, c.expression, c.pose), c.pose)
    torch.testing.assert_close(model.posed_landmarks(c.shape, c.expression, c.pose), whole, rtol=0, atol=1e-6)


def test_angles_turn_about_x_then_y_then_z() -> None:
    quarter = torch.pi / 2
    turned = rotation_of(torch.tensor([quarter, quarter, 0.0])) @ torch.tensor([0.0, 1.0, 0.0])
    # About x: y becomes z; about y: z becomes x.
    torch.testing.assert_close(turned, torch.tensor([1.0, 0.0, 0.0]), rtol=0, atol=1e-6)


def test_arrays_that_do_not_fit_are_named() -> None:
    arrays = drawn_arrays()
    with pytest.raises(ShapeError, match="texture_mean"):
        BfmModel(replace(arrays, texture_mean=arrays.texture_mean[1:]))
    with pytest.raises(InputError, match=r"triangles.*count from 1"):
        BfmModel(replace(arrays, triangles=arrays.triangles + 1))
    with pytest.raises(InputError, match="mean"):
        BfmModel(replace(arrays, mean=arrays.mean.index_fill(0, torch.tensor(3), torch.nan)))


def test_wrong_numbers_of_coefficients_are_named(model: BfmModel) -> None:
    c = drawn_coefficients(1)
    with pytest.raises(ShapeError, match="coefficients"):
        model.texture(c.texture[:, 1:])
    with pytest.raises(ShapeError, match=r"257.*261.*\(1, 256\)"):
        Coefficients.split(c.joined()[:, :256])


def test_columns_come_back_together() -> None:
    values = torch.randn(2, 261, generator=torch.Generator().manual_seed(0))
    assert torch.equal(Coefficients.split(values).joined(), values)
    assert Coefficients.split(values)[1:].gaze is not None
    assert Coefficients.split(values[:, :257]).gaze is None


def test_a_driven_face_keeps_who_it_is() -> None:
    face, driver = drawn_coefficients(1, seed=1), drawn_coefficients(3, seed=2)
    driven = face.driven_by(driver)
    for name in ("shape", "texture", "light"):
        assert torch.equal(getattr(driven, name), getattr(face, name).expand(3, -1))
    for name in ("expression", "angles", "translation", "gaze"):
        assert torch.equal(getattr(driven, name), getattr(driver, name))


@pytest.mark.parametrize("setup", SETUPS, ids=lambda setup: setup.name)
def test_parameters_say_where_the_formula_puts_the_face(model: BfmModel, setup: Setup) -> None:
    c = drawn_coefficients(2)
    face = to_parameters(c, model, setup)
    points = model.posed_landmarks(face.shape, face.expression, face.pose).double() + c.translation[:, None].double()
    focal, centre = {"deep3d": (1015, 112), "mimaface": (1160, 128)}[setup.name]
    depth = 10 - points[..., 2]
    u, v = focal * points[..., 0] / depth + centre, focal * points[..., 1] / depth + centre
    # Deep3D: an index of a pixel, whose centre is half a pixel further; MIMAFace: a place in the plane of the picture.
    expected = {"deep3d": (u + 0.5, 223 - v + 0.5), "mimaface": (u, 256 - v)}[setup.name]
    corners = [expected[0].amin(1), expected[1].amin(1), expected[0].amax(1), expected[1].amax(1)]
    torch.testing.assert_close(face.box.corners.double(), torch.stack(corners, dim=1), rtol=0, atol=1e-3)
    assert face.canvas == (setup.size, setup.size)


def test_flat_light_gives_back_the_texture_scaled() -> None:
    texture = torch.rand(1, 5, 3)
    normals = torch.nn.functional.normalize(torch.randn(1, 5, 3), dim=-1)
    # pi times the constant harmonic, 1 / sqrt(4 pi), times 0.8.
    expected = texture * 0.8 * (torch.pi / 4) ** 0.5
    torch.testing.assert_close(lit(texture, normals, torch.zeros(1, 27)), expected)


def test_harmonics_are_orthogonal_on_the_sphere() -> None:
    """Over evenly spread directions the functions of one order are as strong as each other, and do not overlap."""
    count = 20_000
    height = 1 - (torch.arange(count, dtype=torch.float64) + 0.5) * 2 / count
    turn = torch.arange(count, dtype=torch.float64) * torch.pi * (3 - 5**0.5)
    ring = (1 - height.square()).sqrt()
    basis = harmonics(torch.stack([ring * turn.cos(), ring * turn.sin(), height], dim=-1)[None])[0]
    gram = basis.T @ basis / count
    torch.testing.assert_close(gram, torch.diag(gram.diagonal()), rtol=0, atol=2e-3)
    for order in (slice(1, 4), slice(4, 9)):
        strengths = gram.diagonal()[order]
        torch.testing.assert_close(strengths, strengths[:1].expand_as(strengths), rtol=1e-3, atol=0)


@pytest.mark.parametrize("rule", NORMALS)
def test_normals_turn_with_the_head(model: BfmModel, rule: NormalRule) -> None:
    c = drawn_coefficients(1)
    found = posed_normals(model, c.shape, c.expression, c.pose, rule)
    again = NORMALS[rule](model(c.shape, c.expression, c.pose), Topology.of(model.triangles))
    torch.testing.assert_close(found, again, rtol=0, atol=1e-4)
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(found.shape[:2]))


def test_normals_of_unit_faces_by_hand(model: BfmModel) -> None:
    c = drawn_coefficients(1)
    vertices = model.unposed(c.shape, c.expression)
    found = NORMALS["unit-faces"](vertices, Topology.of(model.triangles))[0].double().numpy()
    points, triangles = vertices[0].double().numpy(), model.triangles.numpy()
    for vertex in (0, 5, 77):
        around = [points[corners] for corners in triangles if vertex in corners]
        crosses = [np.cross(b - a, c - a) for a, b, c in around]
        total = sum(cross / np.linalg.norm(cross) for cross in crosses)
        np.testing.assert_allclose(found[vertex], total / np.linalg.norm(total), atol=1e-5)


def test_an_unknown_rule_is_refused(model: BfmModel) -> None:
    c = drawn_coefficients(1)
    with pytest.raises(InputError, match="unit-faces, area"):
        posed_normals(model, c.shape, c.expression, c.pose, "smooth")  # pyright: ignore[reportArgumentType]


def test_published_arrays_count_from_one() -> None:
    fields = published_fields()
    arrays = from_published(fields, "drawn.mat")
    assert arrays["triangles"].min() == 0
    np.testing.assert_array_equal(arrays["keypoints"], fields["keypoints"][0] - 1)


@pytest.mark.parametrize("field", FIELDS)
def test_published_arrays_of_other_sizes_are_refused(field: str) -> None:
    fields = published_fields()
    fields[field] = fields[field].reshape(-1)[:-1]
    with pytest.raises(AssetError, match=r"drawn\.mat"):
        from_published(fields, "drawn.mat")


def test_published_indices_of_no_vertex_are_refused() -> None:
    fields = published_fields()
    fields["tri"] = fields["tri"] + 1
    with pytest.raises(AssetError, match=r"drawn\.mat.*triangles"):
        from_published(fields, "drawn.mat")
