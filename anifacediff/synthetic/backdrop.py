"""What is behind the figure."""

import numpy as np
import torch

from anifacediff.shapes import Float, Tensor
from anifacediff.synthetic.avatar import Scene
from anifacediff.synthetic.palette import toned
from anifacediff.synthetic.patterns import dots, mix, spot, step


def backdrop(scene: Scene, size: int) -> Float[Tensor, "n 3"]:
    """The colours of a square background, pixel by pixel from the top left."""
    ticks = (torch.arange(size) + 0.5) / size
    x, y = ticks.repeat(size), ticks.repeat_interleave(size)
    chance = np.random.default_rng([scene.seed, 0xBAC])
    a, b, c, d = (float(value) for value in chance.random(4))
    colors = torch.tensor(scene.color).repeat(size * size, 1)
    match scene.backdrop:
        case "plain":
            pass
        case "gradient":
            mix(colors, scene.accent, (0.5 + (x - 0.5) * (a - 0.5) + (y - 0.5) * 1.1).clamp(0, 1))
        case "glow":
            mix(colors, scene.accent, spot(x, y, (0.3 + 0.4 * a, 0.3 + 0.2 * b), (0.42, 0.42)))
        case "rays":
            turn = torch.atan2(x - 0.5, y - 0.5)
            mix(colors, scene.accent, 0.6 * step(torch.sin((8 + int(6 * a)) * turn + 6 * b), 0.15))
        case "dots":
            mix(colors, scene.accent, 0.7 * dots(x, y, 0.12 + 0.1 * a, 0.035 + 0.02 * b, scene.seed % 9973, 0.85))
        case "stripes":
            mix(colors, scene.accent, 0.55 * step(torch.sin((x * (2 * c - 1) + y * (2 * d - 1)) * (40 + 30 * a)), 0.2))
        case "hills":
            mix(colors, scene.accent, step(y - 0.62 - 0.06 * torch.sin(6 * x + 6 * a), 0.006))
            mix(colors, toned(scene.accent, light=0.88), step(y - 0.75 - 0.05 * torch.sin(8 * x + 6 * b), 0.006))
    shade = 1.03 - 0.16 * ((x - 0.5) ** 2 + (y - 0.45) ** 2)
    return colors * shade[:, None]
