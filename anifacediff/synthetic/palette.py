"""Colours: red, green, blue in [0, 1], as shown on a screen."""

import colorsys
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Color = tuple[float, float, float]
Choice = TypeVar("Choice")


def shades(codes: str) -> tuple[Color, ...]:
    """Colours from six hexadecimal digits each."""
    return tuple(_shown(code) for code in codes.split())


def _shown(code: str) -> Color:
    red, green, blue = (int(code[i : i + 2], 16) / 255 for i in (0, 2, 4))
    return red, green, blue


SKINS = shades("ffe3d0 ffd8bd f8cba8 f2bf97 e6ac80 d69a6c c58657 a96c43 8a5436 76472e 633c29 fbdcc8")
FANTASY_SKINS = shades("a9d6b0 9fc4ea c8b4ec f4b6cc 9fe0d8 e8dfa0 b9c2cf e89a8c")
HAIRS = shades("1d1a20 2e2320 43302a 5d4030 7a4f32 9c6a3c c9954e e6c27a f3e0b0 a5482c c8602f d9d5d2 8f8a90")
FANTASY_HAIRS = shades("3f6fc4 5bb8d8 46b08c 8a5fd0 d873b0 f29ab4 e0524f f2a64a 7fd0a0 b7a4f0 2f4f8f")
IRISES = shades("3f86c8 58a8dc 3f9a68 79a84a 7a4f2c 5a3a26 a8702f 7c66c4 c2487a 5f7d92 2fa39a d08a2a")
CLOTHES = shades("e8505b f9d56e 14b1ab 3a5ba0 f3f0e8 2d3142 ef8354 84a98c b56576 6d597a 355070 e0b1cb fefae0 bc6c25")
BACKDROPS = shades("fbe6c2 cfe8f3 d8f0d2 f6d0d8 e3dcf5 fdf4e3 b8d8d8 f7c59f a8c5e8 efe9e1 c9e4ca f4b6a6 8fb8c9 5d6d8e")
METALS = shades("e8c35a d9dde3 d8977c 2a2a30")


def pick(chance: np.random.Generator, options: Sequence[Choice]) -> Choice:
    """One of some options, all equally likely."""
    return options[int(chance.integers(len(options)))]


def near(chance: np.random.Generator, color: Color, spread: float = 0.03) -> Color:
    """A colour like another one."""
    hue, light, saturation = colorsys.rgb_to_hls(*color)
    turn, lift, fill = (float(value) * spread for value in chance.normal(0, 1, 3))
    return colorsys.hls_to_rgb(
        (hue + 0.4 * turn) % 1, min(max(light + 0.8 * lift, 0.04), 0.97), min(max(saturation + 2 * fill, 0.0), 1.0)
    )


def toned(color: Color, *, light: float = 1.0, saturation: float = 1.0) -> Color:
    """A colour made lighter or darker, fuller or paler."""
    own_hue, own_light, own_saturation = colorsys.rgb_to_hls(*color)
    return colorsys.hls_to_rgb(own_hue, min(0.97, own_light * light), min(1.0, own_saturation * saturation))


def mixed(first: Color, second: Color, share: float) -> Color:
    """A colour between two."""
    red, green, blue = (a + (b - a) * share for a, b in zip(first, second, strict=True))
    return red, green, blue
