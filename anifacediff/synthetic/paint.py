"""Colours of the face, from where a pixel lies on the head at rest (centimetres) and what the face expresses."""

from dataclasses import dataclass

import torch

from anifacediff.shapes import Float, Tensor
from anifacediff.synthetic.avatar import Avatar, FacialHair
from anifacediff.synthetic.expression import COMPONENTS
from anifacediff.synthetic.palette import mixed, toned
from anifacediff.synthetic.patterns import Values, bump, curve, dots, mix, spot, step, strands
from anifacediff.synthetic.skull import sculpture

Colors = Float[Tensor, "p 3"]

_LIP_TOP = ((0.0, -4.36), (0.35, -4.24), (0.65, -4.2), (1.1, -4.33), (1.6, -4.55), (2.1, -4.8), (2.5, -5.0))
_LIP_BOTTOM = ((0.0, -6.05), (0.5, -6.02), (1.0, -5.92), (1.6, -5.65), (2.1, -5.32), (2.5, -5.0))
_BROW = ((1.0, 3.62), (1.4, 3.7), (2.4, 3.92), (3.4, 3.97), (4.4, 3.72), (5.3, 3.15))
_CHEEK = ((0.0, -2.9), (2.4, -3.2), (4.2, -3.3), (5.4, -2.2), (6.2, 0.0), (6.8, 3.0))
_INSIDE_MOUTH = (0.34, 0.08, 0.1)


def _lid(upper: bool) -> tuple[tuple[float, float], ...]:
    slit = sculpture().grid.eyes[1]
    points = sculpture().vertices[slit.upper if upper else slit.lower]
    return tuple((float(x), float(y)) for x, y, _ in points)


_UPPER_LID, _LOWER_LID = _lid(True), _lid(False)


@dataclass(frozen=True)
class Mood:
    """What an expression does to the colour of each pixel; from the 50-vector of its frame."""

    values: Float[Tensor, "f 50"]
    frame: Tensor

    def __getitem__(self, name: str) -> Values:
        """The coefficient of a name, or the larger of its two sides, where it is positive."""
        names = (name,) if name in COMPONENTS else (f"{name}_left", f"{name}_right")
        chosen = self.values[:, [COMPONENTS.index(one) for one in names]].amax(1)
        return chosen.clamp(0, 2.5)[self.frame]


def beard_field(points: Float[Tensor, "p 3"], kind: FacialHair) -> Values:
    """Where facial hair grows: 1 there, 0 elsewhere, fading between."""
    x, y, z = points[:, 0].abs(), points[:, 1], points[:, 2]
    front = step(z - 0.6, 0.8)
    moustache = step(-2.95 - 0.1 * x - y, 0.25) * step(y + 4.7 + 0.25 * x, 0.3) * step(2.9 - x, 0.4) * step(z - 6, 0.5)
    if kind == "moustache":
        return moustache
    lips = step(torch.minimum(curve(x, _LIP_TOP) + 0.12 - y, y - curve(x, _LIP_BOTTOM) + 0.12), 0.15) * step(
        2.7 - x, 0.15
    )
    below = (1 - lips) * step(curve(x, _CHEEK) - y, 0.5) * front * step(y + 11.2 - 0.2 * z, 0.8)
    if kind == "goatee":
        chin = below * step(2.3 - x, 0.5) * step(-5.6 - y + 0.6 * (x > 1.7), 0.4)
        return torch.maximum(chin, moustache)
    return below


def paint_skin(marks: Float[Tensor, "p 4"], avatar: Avatar, scalp: Values, mood: Mood) -> Colors:
    """Colours of the skin: complexion, brows, lips, lids, wrinkles, painted hair.

    Args:
        marks: p 4: x, y, z, and whether inside the mouth.
        avatar: whose skin.
        scalp: p, how far a pixel lies above the hairline.
        mood: the expression at each pixel.
    """
    x, y, z, inside = marks.unbind(1)
    wide, front = x.abs(), step(z - 4.0, 0.8)
    colors = torch.tensor(avatar.skin.color).repeat(len(marks), 1)
    _complexion(colors, avatar, x, y, z, front, mood)
    _wrinkles(colors, avatar, x, y, front, mood)
    _facial_hair(colors, avatar, marks[:, :3])
    _lids(colors, avatar, wide, y, front)
    _brow(colors, avatar, wide, y, front)
    _lips(colors, avatar, x, y, z)
    if avatar.hair.cut != "bald":
        _scalp(colors, avatar, marks, scalp)
    mix(colors, mixed(_INSIDE_MOUTH, avatar.lips.color, 0.15), step(inside - 0.5, 0.3))
    return colors


def _complexion(colors: Colors, avatar: Avatar, x: Values, y: Values, z: Values, front: Values, mood: Mood) -> None:
    skin, wide = avatar.skin, x.abs()
    cheeks = spot(wide, y, (4.0, -1.9), (1.9, 1.5)) * front
    nose = spot(x, y, (0.0, -1.8), (1.2, 0.9)) * front
    ears = step(wide - 7.1, 0.4) * step(3.5 - y, 1.0) * step(y + 4, 1.0)
    mix(colors, skin.blush, 0.38 * skin.rosy * (cheeks + 0.6 * nose) + 0.3 * ears)
    flush = spot(wide, y, (3.6, -1.5), (2.2, 1.3)) * front + 0.5 * nose
    mix(colors, skin.blush, (0.42 * mood["blush"] * flush).clamp(0, 0.85))
    if skin.freckles:
        where = (spot(wide, y, (2.6, -1.0), (2.6, 1.3)) + 0.25 * spot(x, y, (0, 6.5), (4, 2))).clamp(0, 1) * front
        mix(
            colors,
            toned(mixed(skin.color, skin.blush, 0.5), light=0.7),
            0.7 * dots(x + 0.35 * y, y - 0.3 * x, 0.62, 0.12, 11, 0.75 * skin.freckles) * step(where - 0.3, 0.2),
        )
    if skin.mole is not None:
        mix(
            colors,
            toned(skin.color, light=0.35),
            0.9 * step(0.2 - torch.hypot(x - skin.mole[0], y - skin.mole[1]), 0.08) * front,
        )


def _wrinkles(colors: Colors, avatar: Avatar, x: Values, y: Values, front: Values, mood: Mood) -> None:
    """Lines that age, raised brows, frowns and smiles draw."""
    wide, age, own = x.abs(), avatar.skin.age, mood["wrinkles"]
    lines = torch.zeros_like(x)
    for height, lift in ((5.4, 0.25), (6.5, 0.3), (7.5, 0.2)):
        drawn = bump(y - lift * torch.cos(0.8 * x), height, 0.13)
        lines += drawn * step(4.2 - wide, 1.2) * (0.25 * age + 0.2 * mood["brow_inner_up"] + 0.55 * own)
    frown = bump(wide + 0.06 * (y - 4), 0.55, 0.12) * step(y - 2.9, 0.4) * step(4.9 - y, 0.5)
    lines += frown * (0.4 * mood["brow_squeeze"] + 0.35 * own + 0.2 * age)
    fold = bump(wide - 2.3 + 0.3 * (y + 3.2), 0.0, 0.16) * step(-1.9 - y, 0.4) * step(y + 5.4, 0.5)
    lines += fold * (0.3 * mood["smile"] + 0.45 * age + 0.25 * own + 0.1)
    feet = (bump((y - 1.7) - 0.5 * (wide - 5), 0.15, 0.1) + bump((y - 1.3) + 0.4 * (wide - 5), 0.0, 0.1)) * bump(
        wide, 5.5, 0.5
    )
    lines += feet * (0.35 * mood["squint"] + 0.25 * mood["smile"] + 0.4 * age + 0.3 * own)
    under = bump(y - 0.12 * (wide - 3.2) ** 2, -0.05, 0.14) * bump(wide, 3.0, 1.1)
    lines += under * (0.35 * age + 0.2 * mood["cheek_raise"] + 0.12)
    mix(colors, toned(mixed(avatar.skin.color, avatar.skin.blush, 0.4), light=0.68), (lines * front).clamp(0, 0.75))


def _facial_hair(colors: Colors, avatar: Avatar, points: Float[Tensor, "p 3"]) -> None:
    kind = avatar.hair.facial
    if kind == "none":
        return
    field = beard_field(points, kind)
    rough = 0.5 + 0.5 * strands(points[:, 0] + 0.15 * points[:, 1], 9.0, 0.7)
    if kind == "stubble":
        mix(
            colors,
            mixed(toned(avatar.skin.color, light=0.6), avatar.hair.color, 0.3),
            0.3 * field * (0.8 + 0.2 * rough),
        )
        return
    mix(colors, toned(avatar.hair.color, light=0.85), (field * (0.75 + 0.25 * rough)).clamp(0, 1))


def _lids(colors: Colors, avatar: Avatar, wide: Values, y: Values, front: Values) -> None:
    """Crease of the upper lid, eye shadow, line of the lower lashes, warmth in the corners."""
    eyes, skin = avatar.eyes, avatar.skin.color
    upper, lower = curve(wide, _UPPER_LID), curve(wide, _LOWER_LID)
    span = step(wide - 1.7, 0.25) * step(4.9 - wide, 0.25) * front
    above, below = y - upper, lower - y
    if eyes.shadow is not None:
        mix(colors, eyes.shadow, 0.55 * span * step(above + 0.1, 0.1) * step(0.95 - above, 0.35))
    mix(colors, toned(skin, light=0.62), 0.6 * span * bump(above, 0.62, 0.1))
    mix(colors, toned(skin, light=0.8), 0.25 * span * step(above, 0.1) * step(0.55 - above, 0.2))
    mix(colors, toned(mixed(skin, avatar.skin.blush, 0.5), light=0.9), 0.5 * span * bump(below, 0.1, 0.18))
    mix(colors, (0.14, 0.09, 0.1), (0.25 + 0.5 * eyes.liner) * span * bump(below, 0.06, 0.07) * step(wide - 2.6, 0.8))


def _brow(colors: Colors, avatar: Avatar, wide: Values, y: Values, front: Values) -> None:
    brows = avatar.brows
    along = ((wide - 1.15) / 4.1).clamp(0, 1)
    middle = curve(wide, _BROW) + brows.arch * torch.sin(3.14 * along) + brows.slant * (wide - 3.2) + brows.height
    half = brows.thickness * (0.75 + 0.6 * along - 1.15 * along**2) + 0.02
    ragged = 0.035 * torch.sin(19 * wide + 6 * y)
    shape = step(half + ragged - (y - middle).abs(), 0.06) * step(wide - 1.1, 0.12) * step(5.3 - wide, 0.12)
    mix(colors, brows.color, 0.92 * shape * front)


def _lips(colors: Colors, avatar: Avatar, x: Values, y: Values, z: Values) -> None:
    wide, lips = x.abs(), avatar.lips
    top, bottom = curve(wide, _LIP_TOP), curve(wide, _LIP_BOTTOM)
    here = step(torch.minimum(top - y, y - bottom), 0.07) * step(2.55 - wide, 0.08) * step(z - 6, 0.5)
    mix(colors, toned(lips.color, light=0.86), here * lips.paint * step(y + 5.0, 0.05))
    mix(colors, lips.color, here * lips.paint * step(-5.0 - y, 0.05))
    mix(colors, (1.0, 0.96, 0.96), 0.4 * lips.gloss * spot(x, y, (0.35, -5.5), (0.8, 0.16)) * step(z - 6, 0.5))
    mix(colors, toned(lips.color, light=0.45), 0.7 * here * bump(y, -5.0, 0.07))


def _scalp(colors: Colors, avatar: Avatar, marks: Float[Tensor, "p 4"], scalp: Values) -> None:
    """Hair painted on the skin, with a ragged line."""
    x, y, z, _ = marks.unbind(1)
    ragged = 0.22 * torch.sin(5.2 * x + 1.0) + 0.16 * torch.sin(11 * x + 3 * z) + 0.14 * torch.sin(8 * y)
    sharp = 0.55 if avatar.hair.cut in ("buzz", "mohawk") else 0.2
    share = step(scalp - avatar.hair.line + ragged, sharp)
    dark = 0.75 if avatar.hair.cut == "buzz" else 0.9
    mix(colors, toned(avatar.hair.color, light=0.8), dark * share)


def paint_eyes(marks: Float[Tensor, "p 4"], avatar: Avatar) -> Colors:
    """Colours of the eyeballs, from the direction of a pixel from their centre; the iris looks along z."""
    x, y, z, _ = marks.unbind(1)
    eyes = avatar.eyes
    colors = torch.tensor(eyes.sclera).repeat(len(marks), 1)
    away = torch.where(z > 0, torch.hypot(x, y), 2.0)
    mix(colors, mixed(eyes.sclera, (0.85, 0.5, 0.5), 0.35), step(away - 0.86, 0.12) * 0.6)
    inside = away / eyes.iris_size
    iris = step(1 - inside, 0.05)
    mix(colors, toned(eyes.iris, light=0.42), iris)
    body = iris * step(0.9 - inside, 0.07)
    mix(colors, eyes.iris, body)
    rays = 0.5 + 0.5 * torch.sin(11 * torch.atan2(x, y)) * torch.sin(5 * torch.atan2(x, y) + 1)
    mix(
        colors,
        toned(eyes.iris, light=1.5, saturation=1.1),
        body * (0.25 * rays + 0.75 * step(-0.12 - y / eyes.iris_size, 0.35)) * 0.7,
    )
    mix(colors, toned(eyes.iris, light=0.45), body * step(y / eyes.iris_size - 0.25, 0.35) * 0.7)
    mix(colors, (0.05, 0.04, 0.06), step(eyes.pupil_size - away, 0.03))
    scale = eyes.iris_size
    mix(colors, (1.0, 1.0, 1.0), step(0.27 - torch.hypot(x / scale + 0.34, y / scale - 0.4), 0.05) * (z > 0))
    mix(colors, (1.0, 1.0, 1.0), 0.75 * step(0.13 - torch.hypot(x / scale - 0.36, y / scale + 0.42), 0.05) * (z > 0))
    return colors
