"""A profile as a picture: a bar for each stage, and its floor in it."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from anifacediff.profiling.profile import Profile
from anifacediff.shapes import UInt8

_ROW, _LABELS, _BAR, _FIGURES = 28, 150, 500, 210
_SPENT, _FLOOR, _INK = (150, 180, 220), (30, 80, 150), (20, 20, 20)


def profile_picture(profile: Profile, title: str) -> UInt8[np.ndarray, "h w 3"]:
    """Draw the seconds of each stage, and darker in them the floor where it is known.

    Args:
        profile: what is drawn.
        title: a line above it.
    """
    height = _ROW * (len(profile.stages) + 2)
    picture = Image.new("RGB", (_LABELS + _BAR + _FIGURES, height), (255, 255, 255))
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(14)
    draw.text((8, 6), title, _INK, font)
    longest = max(stage.seconds for stage in profile.stages) or 1.0
    for row, stage in enumerate(profile.stages, start=1):
        top, floor = row * _ROW, stage.floor_seconds or 0.0
        draw.text((8, top + 5), stage.name, _INK, font)
        _bar(draw, top, stage.seconds / longest, _SPENT)
        _bar(draw, top, min(floor / longest, 1.0), _FLOOR)
        known = f", floor {floor:.3g} s" if stage.floor_seconds is not None else ""
        draw.text((_LABELS + _BAR + 8, top + 5), f"{stage.seconds:.3g} s{known}", _INK, font)
    draw.text((_LABELS, height - _ROW + 5), "light: seconds; dark: floor by counted multiplications", _INK, font)
    return np.asarray(picture)


def _bar(draw: ImageDraw.ImageDraw, top: int, share: float, color: tuple[int, int, int]) -> None:
    if share > 0:
        draw.rectangle((_LABELS, top + 3, _LABELS + max(share * _BAR, 1), top + _ROW - 4), fill=color)
