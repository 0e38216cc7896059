"""Avatars made by chance."""

from collections.abc import Mapping
from typing import TypeVar

import numpy as np

from anifacediff.errors import InputError
from anifacediff.geometry.head import build_head
from anifacediff.synthetic import palette
from anifacediff.synthetic.avatar import (
    Accessories,
    Avatar,
    Brows,
    Clothes,
    Eyes,
    FacialHair,
    Fringe,
    Glasses,
    Hair,
    HairCut,
    Hat,
    Lips,
    Scene,
    Skin,
    Style,
)
from anifacediff.synthetic.palette import Color, mixed, near, pick, toned

Option = TypeVar("Option", bound=str)

_CUTS: Mapping[HairCut, float] = {
    **{"short": 1.5, "spiky": 1.2, "bob": 1.6, "long": 1.6, "wavy": 1.4, "curly": 1.2, "afro": 0.7, "swept": 1.0},
    **{"bun": 0.8, "twintails": 0.9, "ponytail": 0.9, "mohawk": 0.4, "buzz": 0.6, "bald": 0.3},
}
_FRINGES: Mapping[Fringe, float] = {"none": 1.0, "straight": 1.2, "side": 1.4, "parted": 1.2, "wispy": 0.8}
_FACIAL: Mapping[FacialHair, float] = {"none": 6.5, "stubble": 1.0, "moustache": 0.6, "goatee": 0.6, "beard": 1.2}
_GLASSES: Mapping[Glasses, float] = {"none": 5.0, "round": 1.0, "square": 0.8, "cat": 0.4}
_HATS: Mapping[Hat, float] = {"none": 7.0, "beanie": 0.8, "headband": 0.6, "ears": 0.6, "horns": 0.3, "flower": 0.6}
_STYLES: Mapping[Style, float] = {"flat": 1.0, "cel": 1.6, "painted": 1.6, "clay": 1.0}
_CHARM: Mapping[str, float] = {
    **{"cartoon_eyes": 3.2, "cartoon_taper": 1.7, "eye_size": 1.3, "eye_opening": 2.2, "brow_ridge": -1.2},
    **{"brow_height": 0.9, "nose_length": -1.2, "nose_width": -0.9, "nose_projection": -0.7, "nose_tip_size": -0.5},
    **{"nose_tip_lift": 0.8, "jaw_width": -1.2, "jaw_corner": -1.0, "chin_width": -0.8, "cheek_fullness": 0.9},
    **{"neck_width": -2.2, "eye_height": -0.5, "upper_lip_fullness": 0.4, "lower_lip_fullness": 0.4},
    **{
        "ear_size": -0.8,
        "philtrum_length": -0.5,
        "face_length": -0.4,
        "temple_fullness": 0.4,
        "under_eye_fullness": -0.4,
    },
}
"""What makes a face look drawn: large eyes, a small nose, a narrow jaw."""

_MILD = ("nose_sideways", "chin_sideways", "double_chin", "head_depth", "face_flatness", "nose_hump")


def random_avatar(seed: int, *, style: Style | None = None) -> Avatar:
    """Make someone up; the same for the same seed.

    Args:
        seed: of everything about the avatar.
        style: how it is drawn; chosen by the seed if not given.

    Raises:
        InputError: if ``seed`` is negative.
    """
    if seed < 0:
        raise InputError(f"random_avatar: expected seed >= 0, found {seed}.")
    chance = np.random.default_rng([seed, 0xFACE])
    drawn = likely(chance, _STYLES)
    fantasy = chance.random() < 0.13
    skin_color = near(chance, pick(chance, palette.FANTASY_SKINS if fantasy else palette.SKINS), 0.02)
    hair_options = palette.FANTASY_HAIRS if chance.random() < (0.6 if fantasy else 0.25) else palette.HAIRS
    hair = _hair(chance, near(chance, pick(chance, hair_options)))
    return Avatar(
        shape=_shape(chance),
        skin=_skin(chance, skin_color),
        eyes=_eyes(chance, skin_color),
        brows=_brows(chance, hair),
        lips=_lips(chance, skin_color),
        hair=hair,
        clothes=_clothes(chance),
        accessories=_accessories(chance),
        scene=_scene(chance),
        style=drawn if style is None else style,
    )


def likely(chance: np.random.Generator, weights: Mapping[Option, float]) -> Option:
    """One of several options, each as likely as its weight says."""
    total = np.cumsum(list(weights.values()))
    return tuple(weights)[int(np.searchsorted(total, chance.random() * total[-1], side="right"))]


def _some(chance: np.random.Generator, share: float, low: float, high: float) -> float:
    """A number between two, or zero except in some cases."""
    value = float(chance.uniform(low, high))
    return value if chance.random() < share else 0.0


def _shape(chance: np.random.Generator) -> dict[str, float]:
    """Coefficients of chance, moved by more or less towards the faces of drawn people."""
    names = build_head().shape_names
    values = np.clip(chance.normal(0, 0.7, len(names)), -1.7, 1.7)
    charm = float(chance.uniform(0.25, 1.15))
    shape = {name: float(value) + charm * _CHARM.get(name, 0.0) for name, value in zip(names, values, strict=True)}
    return shape | {name: 0.4 * shape[name] for name in _MILD}


def _skin(chance: np.random.Generator, color: Color) -> Skin:
    mole = (float(chance.uniform(-4, 4)), float(chance.uniform(-7.5, -1.5)))
    return Skin(
        color=color,
        blush=mixed(color, near(chance, (0.9, 0.32, 0.34)), 0.62),
        rosy=float(chance.uniform(0.1, 0.9)),
        freckles=_some(chance, 0.25, 0.35, 1.0),
        age=_some(chance, 0.22, 0.2, 0.8),
        mole=mole if chance.random() < 0.15 else None,
    )


def _eyes(chance: np.random.Generator, skin: Color) -> Eyes:
    size = float(chance.uniform(0.54, 0.7))
    shadow = near(chance, pick(chance, palette.CLOTHES))
    return Eyes(
        iris=near(chance, pick(chance, palette.IRISES), 0.05),
        iris_size=size,
        pupil_size=size * float(chance.uniform(0.36, 0.52)),
        sclera=mixed((0.985, 0.98, 0.975), skin, float(chance.uniform(0, 0.08))),
        lashes=float(chance.uniform(0.15, 1.0)),
        liner=float(chance.uniform(0.2, 1.0)),
        shadow=shadow if chance.random() < 0.2 else None,
    )


def _brows(chance: np.random.Generator, hair: Hair) -> Brows:
    return Brows(
        color=toned(mixed(hair.color, (0.25, 0.17, 0.14), 0.35), light=float(chance.uniform(0.6, 0.95))),
        thickness=float(chance.uniform(0.2, 0.5)),
        arch=float(chance.uniform(-0.1, 0.35)),
        slant=float(chance.normal(-0.04, 0.05)),
        height=float(chance.uniform(0.15, 0.55)),
    )


def _lips(chance: np.random.Generator, skin: Color) -> Lips:
    natural = mixed(skin, (0.78, 0.28, 0.32), 0.45)
    painted = near(chance, pick(chance, ((0.82, 0.2, 0.28), (0.72, 0.28, 0.42), (0.9, 0.45, 0.45), (0.5, 0.16, 0.26))))
    paint = _some(chance, 0.3, 0.5, 0.9)
    return Lips(
        color=mixed(natural, painted, paint), paint=float(chance.uniform(0.6, 1.0)), gloss=float(chance.random())
    )


def _hair(chance: np.random.Generator, color: Color) -> Hair:
    tips = pick(chance, (color, color, toned(color, light=1.25), near(chance, pick(chance, palette.FANTASY_HAIRS))))
    return Hair(
        cut=likely(chance, _CUTS),
        fringe=likely(chance, _FRINGES),
        color=color,
        tips=tips,
        length=float(chance.uniform(0.75, 1.3)),
        volume=float(chance.uniform(0.7, 1.3)),
        part=float(chance.uniform(-0.75, 0.75)),
        line=float(chance.uniform(-0.3, 0.7)),
        seed=int(chance.integers(2**31)),
        facial=likely(chance, _FACIAL),
    )


def _clothes(chance: np.random.Generator) -> Clothes:
    return Clothes(
        garment=pick(chance, ("tee", "tee", "turtleneck", "hoodie", "shirt", "dress")),
        pattern=pick(chance, ("plain", "plain", "plain", "stripes", "dots", "halves")),
        color=near(chance, pick(chance, palette.CLOTHES)),
        accent=near(chance, pick(chance, palette.CLOTHES)),
        width=float(chance.uniform(0.82, 1.1)),
    )


def _accessories(chance: np.random.Generator) -> Accessories:
    return Accessories(
        glasses=likely(chance, _GLASSES),
        frame=pick(chance, ((0.14, 0.13, 0.16), (0.35, 0.2, 0.13), *palette.METALS, (0.75, 0.2, 0.25))),
        earrings=bool(chance.random() < 0.25),
        metal=pick(chance, palette.METALS[:3]),
        hat=likely(chance, _HATS),
        hat_color=near(chance, pick(chance, palette.CLOTHES)),
    )


def _scene(chance: np.random.Generator) -> Scene:
    azimuth, height = chance.uniform(-1.1, 1.1), chance.uniform(0.25, 0.95)
    light = np.array([np.sin(azimuth), height, np.cos(azimuth)])
    x, y, z = (float(value) for value in light / np.linalg.norm(light))
    return Scene(
        backdrop=pick(chance, ("plain", "gradient", "gradient", "glow", "rays", "dots", "stripes", "hills")),
        color=near(chance, pick(chance, palette.BACKDROPS)),
        accent=near(chance, pick(chance, palette.BACKDROPS)),
        seed=int(chance.integers(2**31)),
        light=(x, y, z),
        warmth=float(chance.uniform(-0.6, 0.9)),
        contrast=float(chance.uniform(0.35, 0.9)),
        rim=_some(chance, 0.6, 0.2, 0.8),
    )
