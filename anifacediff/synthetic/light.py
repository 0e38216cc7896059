"""How colours are lit, in each style of drawing."""

from dataclasses import dataclass

import torch
from torch.nn import functional as F

from anifacediff.shapes import Float, Tensor
from anifacediff.synthetic.avatar import Scene, Style
from anifacediff.synthetic.paint import Colors
from anifacediff.synthetic.patterns import Values, step

Normals = Float[Tensor, "p 3"]


@dataclass(frozen=True)
class Manner:
    """How a style draws light.

    Attributes:
        edge: half the width of the step from light to shadow, in cosines.
        turn: the cosine at which that step lies.
        depth: how dark the shadow is.
        sheen: strength of highlights.
        focus: their sharpness, as an exponent.
        outline: darkness of the lines around forms.
        tooth: strength of a painter's uneven strokes.
    """

    edge: float
    turn: float
    depth: float
    sheen: float
    focus: int
    outline: float = 0.0
    tooth: float = 0.0


MANNERS: dict[Style, Manner] = {
    "flat": Manner(edge=0.06, turn=0.0, depth=0.27, sheen=0.0, focus=8, outline=0.0),
    "cel": Manner(edge=0.045, turn=0.12, depth=0.42, sheen=0.35, focus=30, outline=0.8),
    "painted": Manner(edge=0.75, turn=0.1, depth=0.52, sheen=0.3, focus=14, tooth=0.028),
    "clay": Manner(edge=1.0, turn=0.1, depth=0.56, sheen=0.4, focus=9),
}


@dataclass(frozen=True)
class Surface:
    """What is seen at every covered pixel.

    Attributes:
        colors: p 3.
        normals: p 3, unit, in camera space.
        gloss: p, how strongly it shines, 0 to 1.
        hidden: p, how much of the light does not reach it, 0 to 1.
        warmth: p, how far light travels within it, so that its shadows are red: 1 for skin.
        places: p 2, x and y in the picture from 0 to 1; only for the strokes of a brush.
    """

    colors: Colors
    normals: Normals
    gloss: Values
    hidden: Values
    warmth: Values
    places: Float[Tensor, "p 2"]


def lit(surface: Surface, scene: Scene, style: Style) -> Colors:
    """Light a surface.

    Args:
        surface: what is seen.
        scene: where the light comes from.
        style: how it is drawn.
    """
    colors, normals, hidden, places = surface.colors, surface.normals, surface.hidden, surface.places
    manner = MANNERS[style]
    direction = torch.tensor(scene.light)
    facing = normals @ direction - 0.9 * hidden
    if manner.tooth:
        facing = facing + 1.5 * manner.tooth * _strokes(places)
    light = step(facing - manner.turn, manner.edge)
    warm = 0.06 * scene.warmth
    cool, red = torch.tensor([0.9 - warm, 0.86, 1.02 + warm]), torch.tensor([1.12, 0.9, 0.86])
    # Dark surfaces lose less in the shadow, or faces would vanish in it.
    shadow = (cool + (red - cool) * surface.warmth[:, None]) * (
        1 - manner.depth * scene.contrast * (0.7 + 0.3 * colors.mean(1, keepdim=True))
    )
    bright = torch.tensor([1.03 + warm, 1.01, 0.99 - warm])
    sky = 0.07 * (normals[:, 1:2] - 0.2) * (style != "flat")
    result = colors * (shadow + (bright - shadow) * light[:, None] + sky)
    if manner.tooth:
        result = result * (1 + manner.tooth * _strokes(places * 1.7 + 0.3)[:, None])
    half = F.normalize(direction + torch.tensor([0.0, 0.0, 1.0]), dim=0)
    shine = (normals @ half).clamp(min=0) ** manner.focus * surface.gloss
    shine = step(shine - 0.4, 0.06) * surface.gloss if style == "cel" else shine
    result = result + manner.sheen * shine[:, None] * (1 - hidden)[:, None]
    if scene.rim and style != "flat":
        back = torch.tensor([-direction[0].item(), 0.35, -0.4])
        rim = ((1 - normals[:, 2].clamp(0, 1)) ** 3) * (normals @ F.normalize(back, dim=0)).clamp(min=0)
        result = result + (0.55 * scene.rim) * rim[:, None] * (0.4 + 0.6 * colors)
    return result


def _strokes(places: Float[Tensor, "p 2"]) -> Values:
    x, y = places.unbind(1)
    bend = torch.sin(9 * x + 7 * y)
    return 0.5 * torch.sin(46 * x + 31 * y + 2 * bend) + 0.5 * torch.sin(21 * y - 57 * x + 3 * bend)
