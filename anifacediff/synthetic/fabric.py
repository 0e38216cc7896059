"""Colours of hair and cloth."""

import torch

from anifacediff.shapes import Float, Tensor
from anifacediff.synthetic.avatar import Avatar
from anifacediff.synthetic.paint import Colors
from anifacediff.synthetic.palette import mixed, toned
from anifacediff.synthetic.patterns import Values, bump, dots, mix, step, strands

_NECKLINE = {
    "tee": (3.6, 2.2),
    "turtleneck": (-9.0, 0.0),
    "hoodie": (2.5, 2.0),
    "shirt": (1.5, 3.2),
    "dress": (7.2, 2.4),
}


def paint_cap(marks: Float[Tensor, "p 4"], avatar: Avatar) -> Colors:
    """Hair that lies on the scalp: strands run from the whorl."""
    x, y, z, _ = marks.unbind(1)
    around = torch.atan2(x - 1.6 * avatar.hair.part, z + 3.0)
    streaks = strands(around, 38.0, 0.4) + 0.3 * strands(x + z, 6.0, 1.0)
    return _hair(avatar, streaks, step(2 - y, 9.0))


def paint_beard(marks: Float[Tensor, "p 4"], avatar: Avatar) -> Colors:
    """The body of a beard."""
    x, y, _, _ = marks.unbind(1)
    colors = _hair(avatar, strands(x + 0.1 * torch.sin(2 * y), 8.0, 0.9), 0 * x)
    return colors * 0.92


def paint_locks(marks: Float[Tensor, "p 4"], avatar: Avatar) -> Colors:
    """Locks: strands along them, darker at the root and the edges, each a little different."""
    along, across, own, _ = marks.unbind(1)
    streaks = strands(across + 3 * own, 9.0, 0.8)
    colors = _hair(avatar, streaks + 1.4 * (own - 0.5), along**1.5)
    return colors * (0.86 + 0.14 * step(along - 0.15, 0.2))[:, None]


def _hair(avatar: Avatar, streaks: Values, tips: Values) -> Colors:
    hair = avatar.hair
    colors = torch.tensor(hair.color).repeat(len(streaks), 1)
    mix(colors, hair.tips, 0.85 * tips.clamp(0, 1))
    strength = {"flat": 0.05, "cel": 0.07, "painted": 0.15, "clay": 0.06}[avatar.style]
    return colors * (1 + strength * streaks)[:, None]


def paint_cloth(marks: Float[Tensor, "p 4"], avatar: Avatar) -> Colors:
    """The garment with its pattern; skin above the neckline."""
    along, x, y, z = marks.unbind(1)
    clothes = avatar.clothes
    colors = torch.tensor(clothes.color).repeat(len(marks), 1)
    if clothes.pattern == "stripes":
        mix(colors, clothes.accent, step(torch.sin(2.1 * y) - 0.1, 0.12))
    elif clothes.pattern == "dots":
        mix(colors, clothes.accent, dots(x + 40, y + 0.3 * z, 2.6, 0.62, 5, 0.95))
    elif clothes.pattern == "halves":
        mix(colors, clothes.accent, step(x - 1.0, 0.1))
    if clothes.garment == "shirt":
        mix(colors, toned(clothes.color, light=0.7), 0.6 * bump(x, 0.0, 0.12) * (z > 0))
        mix(
            colors,
            mixed(clothes.accent, (1.0, 1.0, 1.0), 0.4),
            step(0.32 - torch.hypot(x - 0.4, (y.abs() % 4.0) - 2.0), 0.08) * (z > 0),
        )
    base, dip = _NECKLINE[clothes.garment]
    bare = base + dip * step(z - 1.5, 4.0) - along
    trim = clothes.accent if clothes.garment in ("tee", "dress") else toned(clothes.color, light=0.75)
    mix(colors, trim, step(bare + 0.75, 0.1) * (along < 29))
    mix(colors, avatar.skin.color, step(bare, 0.1))
    return colors
