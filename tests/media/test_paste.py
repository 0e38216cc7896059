import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anifacediff.errors import InputError, ShapeError
from anifacediff.media import PasteBack, SquareCrop


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def flat(color: int, size: int = 8) -> np.ndarray:
    return np.full((size, size, 3), color, np.uint8)


def smooth(height: int, width: int) -> np.ndarray:
    rows, columns = np.mgrid[0:height, 0:width]
    waves = [np.sin(columns / 20), np.cos(rows / 25), np.sin((rows + columns) / 30)]
    return (127 + 100 * np.stack(waves, -1)).astype(np.uint8)


@settings(max_examples=30, deadline=None)
@given(
    x=st.floats(-10, 90),
    y=st.floats(-10, 70),
    side=st.floats(25, 120),
    feather=st.floats(0.05, 0.5),
    size=st.integers(2, 50),
)
def test_outside_of_the_square_every_bit_is_the_pictures(x: float, y: float, side: float, feather: float, size: int):
    picture = noise(60, 80)
    frame = PasteBack(picture, [SquareCrop(x, y, side)], feather=feather)([noise(size, size, 1)])
    rows, columns = (np.arange(length) + 0.5 for length in picture.shape[:2])
    outside = (abs(rows - y) >= side / 2)[:, None] | (abs(columns - x) >= side / 2)[None]
    assert (frame[outside] == picture[outside]).all()
    whole = (abs(rows - y) <= side * (0.5 - feather))[:, None] & (abs(columns - x) <= side * (0.5 - feather))[None]
    white = PasteBack(picture, [SquareCrop(x, y, side)], feather=feather)([flat(255)])
    assert (white[whole] == 255).all()


def test_a_square_cut_out_and_pasted_back_changes_next_to_nothing():
    picture, crop = smooth(300, 400), SquareCrop(210.3, 140.8, 180.5)
    frame = PasteBack(picture, [crop])([crop.apply(picture, 180)])
    assert abs(frame.astype(int) - picture).max() <= 2


def test_the_square_lands_where_the_crop_says():
    picture, crop = np.zeros((200, 200, 3), np.uint8), SquareCrop(90.0, 110.0, 100.0)
    square = flat(0, 50)
    square[20:24, 30:34] = 255  # x 30 to 34 of 50: 60 to 68 % of the side
    rows, columns = np.nonzero(PasteBack(picture, [crop])([square])[..., 0] > 127)
    assert (columns.min(), columns.max() + 1) == (100, 108)
    assert (rows.min(), rows.max() + 1) == (100, 108)


def test_the_edge_is_smoothstep():
    picture, crop = np.zeros((100, 100, 3), np.uint8), SquareCrop(50.0, 50.0, 80.0)
    row = PasteBack(picture, [crop], feather=0.25)([flat(200)])[50, :, 0]
    share = ((np.arange(100) + 0.5 - 10) / 20).clip(0, 1)
    np.testing.assert_allclose(row[:50], (200 * (3 * share**2 - 2 * share**3))[:50], atol=0.51)
    np.testing.assert_array_equal(row, row[::-1])


def test_overlapping_squares_share_at_the_line_between_them_whatever_their_order():
    picture = np.zeros((120, 200, 3), np.uint8)
    one, other = SquareCrop(70.0, 60.0, 100.0), SquareCrop(130.0, 60.0, 100.0)
    frame = PasteBack(picture, [one, other])([flat(200), flat(100)])
    swapped = PasteBack(picture, [other, one])([flat(100), flat(200)])
    assert abs(frame.astype(int) - swapped).max() <= 1
    row = frame[60, :, 0].astype(int)
    assert (row[40:90] == 200).all()
    assert (row[110:160] == 100).all()
    assert (np.diff(row[90:110]) <= 0).all()
    assert row[99:101].mean() == pytest.approx(150, abs=1)


def test_squares_apart_do_not_touch_each_other():
    picture, left, right = noise(80, 200), SquareCrop(40.0, 40.0, 60.0), SquareCrop(150.0, 40.0, 60.0)
    both = PasteBack(picture, [left, right])([flat(9), flat(99)])
    alone = PasteBack(picture, [left])([flat(9)])
    assert (both[:, :100] == alone[:, :100]).all()


def test_the_picture_stays_as_it_is():
    picture = noise(40, 40)
    before = picture.copy()
    paste = PasteBack(picture, [SquareCrop(20.0, 20.0, 30.0)])
    first = paste([flat(3)])
    assert (paste([flat(3)]) == first).all()
    assert (picture == before).all()


def test_what_cannot_be_pasted_is_refused():
    picture, crop = noise(40, 40), SquareCrop(20.0, 20.0, 30.0)
    for crops, feather, message in (
        ([], 0.1, "there are none"),
        ([crop], 0.0, "feather"),
        ([crop], float("nan"), "feather"),
        ([SquareCrop(-50.0, 20.0, 30.0)], 0.1, "shows no whole pixel"),
        ([crop, SquareCrop(20.0, 20.0, 10.0)], 0.1, "same centre"),
        ([crop, crop], 0.1, "same centre"),
    ):
        with pytest.raises(InputError, match=message):
            PasteBack(picture, crops, feather=feather)
    with pytest.raises(InputError, match="found 2 for 1 crops"):
        PasteBack(picture, [crop])([flat(1), flat(2)])
    with pytest.raises(ShapeError):
        PasteBack(picture, [crop])([np.zeros((0, 0, 3), np.uint8)])
