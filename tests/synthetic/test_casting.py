from collections import Counter
from typing import cast, get_args

import pytest

from anifacediff.errors import InputError
from anifacediff.synthetic import STYLES, Avatar, ExpressiveHead, random_avatar
from anifacediff.synthetic import avatar as parts
from anifacediff.synthetic.avatar import Style

NAMES = ExpressiveHead().shape_names
MANY = [random_avatar(seed) for seed in range(600)]


def test_the_same_seed_is_the_same_person():
    assert random_avatar(11) == random_avatar(11)
    assert random_avatar(11) != random_avatar(12)


@pytest.mark.parametrize("style", STYLES)
def test_a_style_can_be_asked_for_and_changes_nothing_else(style: Style):
    asked, drawn = random_avatar(5, style=style), random_avatar(5)
    assert asked.style == style
    assert (asked.shape, asked.hair, asked.scene) == (drawn.shape, drawn.hair, drawn.scene)


@pytest.mark.parametrize(
    ("choices", "path"),
    [
        (parts.HairCut, "hair.cut"),
        (parts.Fringe, "hair.fringe"),
        (parts.FacialHair, "hair.facial"),
        (parts.Garment, "clothes.garment"),
        (parts.Pattern, "clothes.pattern"),
        (parts.Glasses, "accessories.glasses"),
        (parts.Hat, "accessories.hat"),
        (parts.Backdrop, "scene.backdrop"),
        (parts.Style, "style"),
    ],
)
def test_everything_there_is_comes_up(choices: object, path: str):
    def value(avatar: Avatar) -> str:
        found: object = avatar
        for name in path.split("."):
            found = getattr(found, name)
        return cast("str", found)

    found = Counter(value(avatar) for avatar in MANY)
    assert set(found) == set(get_args(choices))
    assert min(found.values()) >= 5


def test_people_differ_in_shape_and_stay_in_bounds():
    widths = [avatar.coefficients(NAMES) for avatar in MANY[:100]]
    assert all(float(one.abs().max()) < 7 for one in widths)
    assert len({float(one[0]) for one in widths}) == 100


def test_bad_arguments_are_refused():
    with pytest.raises(InputError, match="seed >= 0"):
        random_avatar(-1)
    with pytest.raises(InputError, match="'nose_lenth'"):
        Avatar(shape={"nose_lenth": 1.0}).coefficients(NAMES)
