"""Places that light does not reach, told from where they are: under the chin, below the fringe, beside the eyes."""

import torch

from anifacediff.shapes import Float, Int, Tensor
from anifacediff.synthetic.avatar import Avatar
from anifacediff.synthetic.patterns import Values, bump, spot, step
from anifacediff.synthetic.pieces import Material


def hidden_from_light(
    material: Int[Tensor, "p"], marks: Float[Tensor, "p 4"], normals: Float[Tensor, "p 3"], avatar: Avatar
) -> Values:
    """How much of the light does not reach each pixel, 0 to 1.

    Args:
        material: p.
        marks: p 4.
        normals: p 3, unit, camera space.
        avatar: whose hair throws shadows.
    """
    hidden = torch.zeros(len(marks))
    skin = (material == Material.SKIN).nonzero()[:, 0]
    hidden[skin] = _on_skin(marks[skin], avatar)
    eye = (material == Material.EYE).nonzero()[:, 0]
    hidden[eye] = 0.75 * step(normals[eye, 1] - 0.16, 0.2)
    cloth = (material == Material.CLOTH).nonzero()[:, 0]
    along, x, y = marks[cloth, :3].unbind(1)
    hidden[cloth] = 0.5 * step(y + 14.5, 2.5) * bump(x, 0, 6.5) * (along < 25)
    return hidden.clamp(0, 1)


def _on_skin(marks: Float[Tensor, "p 4"], avatar: Avatar) -> Values:
    x, y, z, inside = marks.unbind(1)
    wide = x.abs()
    jaw = step(-9.4 - 0.18 * wide - y, 0.8) * step(8.2 - z, 1.0)
    socket = 0.3 * spot(wide, y, (1.75, 1.9), (0.6, 0.8)) * step(z - 5, 1) + 0.12 * spot(
        wide, y, (3.2, 2.95), (1.6, 0.35)
    )
    nostril = 0.9 * spot(wide, y, (0.68, -2.55), (0.34, 0.22)) * step(z - 7, 1)
    below_nose = 0.25 * spot(x, y, (0.0, -3.0), (1.3, 0.35)) * step(z - 6, 1)
    below_lip = 0.3 * spot(x, y, (0.0, -6.55), (1.2, 0.35)) * step(z - 6, 1)
    ear = 0.5 * spot(z, y, (-0.7, -0.2), (0.7, 1.2)) * step(wide - 7.0, 0.3)
    fringe = 0.0
    if avatar.hair.cut not in ("bald", "buzz", "mohawk", "afro", "swept") and avatar.hair.fringe != "none":
        fringe = 0.4 * step(y - 3.6, 1.2) * step(z - 4, 2)
    return (
        0.55 * jaw + socket + nostril + below_nose + below_lip + ear + fringe + 0.6 * step(inside - 0.5, 0.3)
    ).clamp(0, 1)
