"""Ink lines where one thing ends and another begins."""

import torch

from anifacediff.geometry.fragments import Fragments
from anifacediff.shapes import Float, Int, Tensor
from anifacediff.synthetic.pieces import Material

_FAR = 1e4
_PLACES = {Material.LOCK: Material.CAP, Material.BEARD: Material.CAP}  # drawn as one thing


def outlined(
    picture: Float[Tensor, "f 3 h w"],
    seen: Fragments,
    depth: Float[Tensor, "p"],
    material: Int[Tensor, "p"],
    strength: float,
) -> Float[Tensor, "f 3 h w"]:
    """Darken the pixels just outside a nearer thing, and those between two materials.

    Args:
        picture: f 3 h w.
        seen: which pixels are covered.
        depth: p, in pixels of the picture, growing away from the viewer.
        material: p, of the covered pixels.
        strength: 0 to 1.
    """
    side = picture.shape[2]
    thick = max(1, round(side / 320))
    far = seen.scatter(depth[:, None], background=_FAR)[:, 0]
    line = (far - _least(far, thick)) > 0.05 * side
    thing = torch.arange(len(Material))
    for kind, other in _PLACES.items():
        thing[kind] = int(other)
    kinds = seen.scatter((thing[material][:, None] + 1).to(picture.dtype))[:, 0]
    border = _least(kinds, thick) != kinds
    ink = torch.maximum(line.to(picture.dtype), 0.55 * border.to(picture.dtype)) * strength
    return picture * (1 - 0.72 * ink)[:, None]


def _least(values: Float[Tensor, "f h w"], reach: int) -> Float[Tensor, "f h w"]:
    """The smallest value in a square around each pixel."""
    for _ in range(reach):
        values = _least_beside(_least_beside(values, 1), 2)
    return values


def _least_beside(values: Float[Tensor, "f h w"], axis: int) -> Float[Tensor, "f h w"]:
    count = values.shape[axis]
    if count == 1:
        return values
    least = values.clone()
    first, rest = least.narrow(axis, 0, count - 1), least.narrow(axis, 1, count - 1)
    torch.minimum(first, values.narrow(axis, 1, count - 1), out=first)
    torch.minimum(rest, values.narrow(axis, 0, count - 1), out=rest)
    return least
