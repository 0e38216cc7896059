"""Ink lines where one thing ends and another begins."""

import torch
from torch.nn import functional as F

from anifacediff.geometry.fragments import Fragments
from anifacediff.shapes import Float, Int, Tensor

_FAR = 1e4


def outlined(
    picture: Float[Tensor, "f 3 h w"],
    seen: Fragments,
    depth: Float[Tensor, "p"],
    material: Int[Tensor, "p"],
    strength: float,
    size: int,
) -> Float[Tensor, "f 3 h w"]:
    """Darken the pixels just outside a nearer thing, and those between two materials.

    Args:
        picture: f 3 h w, before it is reduced.
        seen: which pixels are covered.
        depth: p, in pixels of the picture, growing away from the viewer.
        material: p, of the covered pixels.
        strength: 0 to 1.
        size: height of the picture once it is reduced, pixels.
    """
    far = seen.scatter(depth[:, None], background=_FAR)
    near = -F.max_pool2d(-far, 3, stride=1, padding=1)
    jump = 0.035 * size * (picture.shape[2] / size)
    line = ((far - near) > jump).to(picture.dtype)
    kind = seen.scatter(material[:, None].to(picture.dtype) + 1)
    other = (F.max_pool2d(kind, 3, stride=1, padding=1) != kind).to(picture.dtype)
    ink = torch.maximum(line, 0.55 * other) * strength
    dark = picture * 0.28
    return picture + ink * (dark - picture)
