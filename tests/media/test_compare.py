import numpy as np
import pytest

from anifacediff.errors import InputError
from anifacediff.media.compare import SEPARATOR, side_by_side


def plain(height: int, width: int, value: int) -> np.ndarray:
    return np.full((height, width, 3), value, dtype=np.uint8)


def test_pictures_stand_in_order_with_lines_between() -> None:
    row = side_by_side([plain(10, 6, 10), plain(10, 8, 20), plain(10, 4, 30)])
    gap = [255] * SEPARATOR
    assert row[5, :, 0].tolist() == [10] * 6 + gap + [20] * 8 + gap + [30] * 4


def test_heights_become_the_last_ones_and_proportions_stay() -> None:
    row = side_by_side([plain(40, 20, 10), plain(10, 8, 20)])
    assert row.shape == (10, 5 + SEPARATOR + 8, 3)
    assert side_by_side([plain(40, 20, 10), plain(10, 8, 20)], height=20).shape == (20, 10 + SEPARATOR + 16, 3)


def test_labels_stand_above_their_pictures() -> None:
    bare = side_by_side([plain(30, 50, 0), plain(30, 50, 9)])
    labelled = side_by_side([plain(30, 50, 0), plain(30, 50, 9)], labels=["left", "right"])
    top = labelled.shape[0] - 30
    assert np.array_equal(labelled[top:], bare)
    assert (labelled[:top, :50] < 128).any()
    assert (labelled[:top, 52:] < 128).any()


def test_bad_input_is_named() -> None:
    with pytest.raises(InputError, match="none"):
        side_by_side([])
    with pytest.raises(InputError, match="1 for 2 images"):
        side_by_side([plain(4, 4, 0), plain(4, 4, 0)], labels=["only"])
