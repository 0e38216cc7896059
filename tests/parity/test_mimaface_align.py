"""Our five-point alignment against MIMAFace's; its pixels have the centre of the first one at 0, ours at 0.5."""

import golden
import pytest
import torch
from anifacediff_bfm.alignment import Alignment
from anifacediff_bfm.crops import SQUARE, TEMPLATE, TemplateCrop, square_crop

GOLDEN = golden.read("mimaface/align")
PIXELS = torch.tensor([[[0.0, 0.0], [299.0, 0.0], [0.0, 319.0], [299.0, 319.0]]], dtype=torch.float64)


def published(name: str) -> torch.Tensor:
    """Where a published 2 x 3 matrix brings the corners of the picture."""
    matrix = GOLDEN.arrays[name]
    return PIXELS @ matrix[:, :2].T + matrix[:, 2]


def ours(alignment: Alignment) -> torch.Tensor:
    return alignment(PIXELS + 0.5) - 0.5


@pytest.fixture(scope="module")
def aligned() -> Alignment:
    return TemplateCrop().align(GOLDEN.arrays["landmarks5"].double()[None] + 0.5, canvas=(320, 300))


def test_templates_are_the_published_numbers() -> None:
    torch.testing.assert_close(torch.tensor(TEMPLATE), GOLDEN.arrays["mean_face_lm5p_256"], rtol=0, atol=1e-5)
    torch.testing.assert_close(torch.tensor(SQUARE), GOLDEN.arrays["mean_box_lm4p_512"], rtol=0, atol=0)


def test_crop_of_256_lies_where_published(aligned: Alignment) -> None:
    torch.testing.assert_close(ours(aligned), published("affine_256"), rtol=0, atol=1e-4)


def test_way_back_is_the_published_one(aligned: Alignment) -> None:
    torch.testing.assert_close(ours(aligned.inverse()), published("affine_256_inverse"), rtol=0, atol=1e-4)


def test_square_of_512_lies_where_published() -> None:
    crop = square_crop(GOLDEN.arrays["box"].double()[None] + 0.5)
    torch.testing.assert_close(ours(crop), published("crop_512"), rtol=0, atol=1e-4)


def test_samples_are_those_of_opencv(aligned: Alignment) -> None:
    """OpenCV rounds positions to 1/32 of a pixel, and samples to whole levels."""
    image = GOLDEN.arrays["image"].permute(2, 0, 1)[None].double() / 255
    matrix = GOLDEN.arrays["affine_256"] / 4
    quarter = Alignment(matrix[None, :, :2], matrix[None, :, 2] + 0.5 - matrix[:, :2].sum(1) * 0.5)
    found = TemplateCrop().sample(image, quarter, size=64)[0].permute(1, 2, 0) * 255
    off = (found - GOLDEN.arrays["warped_64"]).abs()
    steepest = 255.0  # levels from one pixel to the next
    assert float(off.max()) <= 0.5 + 2 * steepest / 64
    assert float(off.mean()) < 0.3
