"""DECA's crop of a face (``TestData``): where it lies, and its bilinear samples."""

import golden
import pytest
import torch

from anifacediff.geometry.faces import Box
from anifacediff.media.crop import SquareCrop

CROP = golden.read("deca/crop")
CASES = {
    "224_1.25": (224, 1.25, False),
    "64_1.25": (64, 1.25, False),
    "64_1.3": (64, 1.3, False),
    "bbox_64_1.25": (64, 1.25, True),
}


def deca_crop(size: int, margin: float, from_detector: bool) -> SquareCrop:
    # DECA counts the centre of the top-left pixel as (0, 0), we as (0.5, 0.5).
    points = CROP.arrays["bbox"].view(2, 2) if from_detector else CROP.arrays["keypoints"]
    left, top, right, bottom = Box.around(points[None] + 0.5).corners[0].tolist()
    return SquareCrop.as_deca((left, top, right, bottom), size=size, margin=margin, from_detector=from_detector)


@pytest.mark.parametrize("case", CASES)
def test_crop_lies_where_deca_puts_it(case: str):
    size, margin, from_detector = CASES[case]
    pixels = torch.tensor([[[0.0, 0.0], [127.0, 0.0], [50.0, 95.0]]])
    tform = CROP.arrays[f"tform_{case}"]
    expected = pixels @ tform[:2, :2].T + tform[:2, 2]
    moved = deca_crop(size, margin, from_detector).to_crop(size)(pixels + 0.5) - 0.5
    torch.testing.assert_close(moved, expected, atol=2e-4, rtol=0)


@pytest.mark.parametrize("case", ["64_1.25", "64_1.3", "bbox_64_1.25"])
def test_bilinear_samples_are_those_of_deca(case: str):
    size, margin, from_detector = CASES[case]
    image = CROP.arrays["image"].permute(2, 0, 1).float() / 255
    warped = deca_crop(size, margin, from_detector).warp(image, size)
    assert float((warped - CROP.arrays[f"crop_{case}"]).abs().max()) < 1e-4
