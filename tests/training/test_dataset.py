from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from anifacediff.errors import ConfigurationError, InputError
from anifacediff.media.pictures import to_images
from anifacediff.training.dataset import Casting, DrawnSet, draw_identities

SMALL = Casting(first_seed=3, identities=2, frames=2, size=32, references=1)


def drawn(folder: Path, numbers: list[int]) -> DrawnSet:
    result = DrawnSet.create(folder, SMALL)
    assert list(draw_identities(result, numbers)) == numbers
    return result


def test_what_is_drawn_depends_on_the_seeds_alone(tmp_path: Path):
    whole = drawn(tmp_path / "whole", [0, 1]).complete()
    drawn(tmp_path / "parts", [1])
    assert DrawnSet.open(tmp_path / "parts").missing() == [0]
    parts = drawn(tmp_path / "parts", [0]).complete()
    for name in ("pictures", "maps", "expression", "eyes", "warps", "shown", "motions"):
        assert np.array_equal(getattr(whole, name), getattr(parts, name))
    assert whole.digest == parts.digest
    assert (whole.pictures.reshape(4, -1).std(1) > 10).all()
    identity = np.eye(2, 3, dtype=np.float32)
    assert np.allclose(whole.motions[:, 0, 0], identity, atol=2e-3), "from the reference to itself"
    assert np.abs(whole.motions[:, 0, 1] - identity).max() > 0.5
    assert (whole.maps.reshape(4, -1).max(1) > 200).all()
    assert not np.array_equal(whole.expression[0], whole.expression[1])


def test_what_is_withheld_shows_in_no_map(tmp_path: Path):
    usual = drawn(tmp_path / "usual", [0])
    casting = replace(SMALL, withheld=("jaw", "lips"))
    other = DrawnSet.create(tmp_path / "other", casting)
    assert list(draw_identities(other, [0])) == [0]
    assert DrawnSet.open(tmp_path / "other").casting == casting
    assert np.array_equal(usual.pictures, other.pictures)
    assert not np.array_equal(usual.maps, other.maps)
    assert casting.settings["withheld"] == "jaw, lips"


def test_heads_as_large_and_as_still_as_asked_for(tmp_path: Path):
    usual, *others = (
        DrawnSet.create(tmp_path / str(number), casting)
        for number, casting in enumerate((SMALL, replace(SMALL, closer=1.5), replace(SMALL, turn=0.0)))
    )
    near, still = others
    for made in (usual, near, still):
        assert list(draw_identities(made, [0])) == [0]
    usual_area, near_area = ((each.maps[0].max(-1) > 0).mean() for each in (usual, near))
    assert near_area > 1.3 * usual_area
    assert np.array_equal(still.expression[0], usual.expression[0])
    assert not np.array_equal(still.maps[0], usual.maps[0])


def test_processes_share_what_is_missing(tmp_path: Path):
    begun = DrawnSet.create(tmp_path, Casting(0, 5))
    begun.done[2] = True
    assert begun.missing(0, 2) + begun.missing(1, 2) == [0, 4, 1, 3]


def test_a_set_that_is_not_complete_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="2 identities are not drawn"):
        DrawnSet.create(tmp_path, SMALL).complete()


def test_another_set_in_the_folder_is_refused(tmp_path: Path):
    DrawnSet.create(tmp_path, SMALL)
    with pytest.raises(ConfigurationError, match="choose another folder"):
        DrawnSet.create(tmp_path, Casting(4, 2, 2, 32))


def test_a_folder_without_a_set_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="anifacediff train data"):
        DrawnSet.open(tmp_path)


@pytest.mark.parametrize("casting", [(0, 0, 6), (0, 3, 1)], ids=["nobody", "one frame"])
def test_an_empty_split_is_refused(casting: tuple[int, int, int]):
    with pytest.raises(InputError, match="split is empty"):
        Casting(*casting)


def test_bytes_become_images():
    pictures = np.zeros((1, 2, 3, 3), np.uint8)
    pictures[0, 1, 2] = [0, 51, 255]
    image = to_images(pictures)[0]
    assert image.shape == (3, 2, 3)
    assert image[:, 1, 2].tolist() == pytest.approx([0, 0.2, 1])


def test_the_first_identities_are_a_set_of_their_own(tmp_path: Path):
    whole = drawn(tmp_path, [0, 1])
    first = whole.first(1)
    assert first.casting == replace(SMALL, identities=1)
    assert np.array_equal(first.pictures, whole.pictures[:1])
    assert first.digest != whole.digest
    assert whole.first(5).digest == whole.digest
