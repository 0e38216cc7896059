"""Alignments and crops, against least squares written out, and the published recipe step by step."""

import numpy as np
import pytest
import torch
from anifacediff_bfm.alignment import Alignment, in_picture
from anifacediff_bfm.coefficients import to_parameters
from anifacediff_bfm.crops import STANDARD_FACE, TEMPLATE, FaceCrop, PoseCrop, TemplateCrop, five_points
from anifacediff_bfm.model import BfmModel
from anifacediff_bfm.setups import DEEP3D, MIMAFACE
from bfm_faces import drawn_arrays, drawn_coefficients
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from anifacediff.errors import InputError
from anifacediff.geometry.faces import WeakPerspective

POINTS = torch.tensor(
    [[[150.0, 120.0], [230.0, 131.0], [187.0, 170.0], [148.0, 215.0], [214.0, 224.0]]], dtype=torch.float64
)


def test_the_nearest_similarity_is_that_of_the_normal_equations() -> None:
    target = torch.tensor([TEMPLATE], dtype=torch.float64)
    rows = []
    for x, y in POINTS[0].tolist():
        rows += [[x, -y, 1, 0], [y, x, 0, 1]]
    (a, b, s, t), *_ = np.linalg.lstsq(np.array(rows), target[0].flatten().numpy(), rcond=None)
    found = Alignment.between(POINTS, target)
    torch.testing.assert_close(found.linear[0], torch.tensor([[a, -b], [b, a]], dtype=torch.float64))
    torch.testing.assert_close(found.shift[0], torch.tensor([s, t], dtype=torch.float64))


def test_points_without_size_are_refused() -> None:
    for crop in (TemplateCrop(), PoseCrop()):
        with pytest.raises(InputError, match="points"):
            crop.align(torch.full((1, 5, 2), 7.0), canvas=(64, 64))


@settings(max_examples=20, deadline=None)
@given(st.floats(0.2, 3), st.floats(-3, 3), st.floats(-400, 400), st.floats(-400, 400))
def test_faces_come_back_to_the_picture_exactly(scale: float, angle: float, x: float, y: float) -> None:
    model, c = BfmModel(drawn_arrays()).double(), drawn_coefficients(2).to(dtype=torch.float64)
    turn = torch.tensor([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * scale
    crops = Alignment(turn.expand(2, 2, 2), torch.tensor([[x, y], [y, -x]], dtype=torch.float64))
    face = to_parameters(c, model, MIMAFACE)
    back = in_picture(face, crops, model, canvas=(600, 800))
    seen = face.camera.project(model(face.shape, face.expression, face.pose))
    found = back.camera.project(model(back.shape, back.expression, back.pose))
    torch.testing.assert_close(crops(found[..., :2]), seen[..., :2], rtol=0, atol=1e-6)
    torch.testing.assert_close(found[..., 2], seen[..., 2], rtol=0, atol=1e-9)
    assert back.canvas == (600, 800)
    torch.testing.assert_close(back.gaze, face.gaze)


def test_only_pinhole_cameras_are_turned() -> None:
    model, c = BfmModel(drawn_arrays()), drawn_coefficients(1)
    face = to_parameters(c, model, MIMAFACE)
    flat = WeakPerspective(torch.ones(1), torch.zeros(1, 2))
    crops = Alignment(torch.eye(2)[None], torch.zeros(1, 2))
    with pytest.raises(InputError, match="WeakPerspective"):
        in_picture(type(face)(face.shape, face.expression, face.pose, flat, face.box, (256, 256)), crops, model,
                   canvas=(9, 9))  # fmt: skip


def published_pose_crop(points: np.ndarray, width: int, height: int) -> tuple[float, int, int]:
    """Deep3DFaceRecon's scale, left and top, from points that are indices of pixels with y down."""
    upwards = np.stack([points[:, 0], height - 1 - points[:, 1]], axis=1)
    rows, values = [], []
    for (x, y, z), (u, v) in zip(STANDARD_FACE, upwards, strict=True):
        rows += [[x, y, z, 1, 0, 0, 0, 0], [0, 0, 0, 0, x, y, z, 1]]
        values += [u, v]
    k, *_ = np.linalg.lstsq(np.array(rows), np.array(values), rcond=None)
    s = 102 / float((np.linalg.norm(k[:3]) + np.linalg.norm(k[4:7])) / 2)
    w, h = int(width * s), int(height * s)
    left = int(w / 2 - 112 + (k[3] - width / 2) * s)
    up = int(h / 2 - 112 + (height / 2 - k[7]) * s)
    return s, left, up


@pytest.mark.parametrize(("width", "height"), [(300, 320), (1280, 721)])
def test_deep3ds_crop_lies_where_the_recipe_puts_it(width: int, height: int) -> None:
    scale, left, top = published_pose_crop(POINTS[0].numpy() - 0.5, width, height)
    found = PoseCrop().align(POINTS, canvas=(height, width))
    torch.testing.assert_close(found.linear[0], scale * torch.eye(2, dtype=torch.float64))
    assert found.shift[0].tolist() == [-left, -top]


def test_deep3ds_crop_shows_what_pillow_would() -> None:
    """Published: resized by Pillow to whole pixels, then cut. Ours keeps the scale, hence a picture that fits both."""
    height, width = 400, 600
    smooth = torch.rand(1, 3, 10, 15, generator=torch.Generator().manual_seed(0))
    image = torch.nn.functional.interpolate(smooth, (height, width), mode="bicubic").clamp(0, 1)
    linear, shift = 0.5 * torch.eye(2)[None], torch.tensor([[-90.0, 30.0]])
    found = PoseCrop().sample(image, Alignment(linear, shift), size=224)[0]
    pixels = (image[0].permute(1, 2, 0) * 255).round().byte().numpy()
    resized = Image.fromarray(pixels).resize((width // 2, height // 2), Image.Resampling.BICUBIC)
    expected = torch.from_numpy(np.array(resized.crop((90, -30, 90 + 224, -30 + 224)))).permute(2, 0, 1)
    assert float((found * 255 - expected).abs().max()) < 2
    assert bool((found[:, :30] == 0).all())


@pytest.mark.parametrize(("crop", "ripple"), [(DEEP3D.crop, 0.05), (MIMAFACE.crop, 1e-3)], ids=["deep3d", "mimaface"])
def test_what_is_under_a_point_is_under_it_in_the_crop(crop: FaceCrop, ripple: float) -> None:
    """A picture whose colours say where its pixels are; a bicubic filter that shrinks ripples on it a little."""
    assert isinstance(crop, FaceCrop)
    height, width, size = 320, 300, 200
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    image = torch.stack([x / width, y / height, torch.zeros_like(x)])[None].double()
    crops = crop.align(POINTS, canvas=(height, width))
    shown = crop.sample(image, crops, size=size)[0]
    spot = torch.tensor([[[60.5, 80.5], [100.5, 120.5]]], dtype=torch.float64)
    there = crops.inverse()(spot)[0]
    for (column, row), place in zip(spot[0].long().tolist(), there, strict=True):
        found = shown[:2, row, column] * torch.tensor([width, height])
        torch.testing.assert_close(found, place, rtol=0, atol=ripple)


def test_five_points_of_68() -> None:
    landmarks = np.arange(136, dtype=np.float64).reshape(1, 68, 2)
    expected = [[75, 76], [87, 88], [60, 61], [96, 97], [108, 109]]
    np.testing.assert_array_equal(five_points(landmarks)[0], expected)


def test_a_face_of_a_few_pixels_is_not_cut_out_of_a_gigantic_picture() -> None:
    height, width = 1080, 1920
    down, across = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    ramp = torch.stack([across / width, down / height, torch.zeros_like(down)])[None]
    points = 0.05 * (POINTS - POINTS.mean(1, keepdim=True)) + torch.tensor([900.0, 500.0], dtype=torch.float64)
    crop = PoseCrop()
    found = crop.align(points, canvas=(height, width))
    assert float(found.scale) > 14  # the picture enlarged as a whole would take 5 GB
    cut = crop.sample(ramp, found, size=224)
    corners = torch.tensor([[[0.5, 0.5], [223.5, 0.5], [100.5, 200.5]]], dtype=torch.float64)
    for (x, y), (left, top) in zip(found.inverse()(corners)[0].tolist(), corners[0].tolist(), strict=True):
        assert cut[0, 0, int(top), int(left)] == pytest.approx(x / width, abs=1e-4)
        assert cut[0, 1, int(top), int(left)] == pytest.approx(y / height, abs=1e-4)
