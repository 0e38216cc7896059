"""The light of the published systems: nine spherical harmonics for each channel."""

import math

import torch

from anifacediff.shapes import Float, Tensor, check_shape

AMBIENT = 0.8
"""What the first coefficient of each channel is raised by."""

_FIRST = math.sqrt(math.pi) / 2
_SECOND = math.sqrt(math.pi)
_THIRD = 3 * math.pi * math.sqrt(5 / (24 * math.pi))


def harmonics(normals: Float[Tensor, "f v 3"]) -> Float[Tensor, "f v 9"]:
    """Evaluate the nine basis functions: 1, -y, z, -x, xy, -yz, (3 z^2 - 1) / sqrt(12), -xz, (x^2 - y^2) / 2, scaled.

    Args:
        normals: f v 3, unit length, x right, y up, z to the viewer.

    Source: Ramamoorthi and Hanrahan 2001; the factors ``a_l c_l`` of ``compute_color`` in Deep3DFaceRecon_pytorch:
        pi / sqrt(4 pi), then 2 pi / sqrt(3) * sqrt(3 / (4 pi)), then 2 pi / sqrt(8) * 3 sqrt(5 / (12 pi)).
    """
    x, y, z = normals.unbind(-1)
    third = (x * y, -y * z, (3 * z.square() - 1) / math.sqrt(12), -x * z, (x.square() - y.square()) / 2)
    return torch.stack(
        [torch.full_like(x, _FIRST), *(_SECOND * each for each in (-y, z, -x)), *(_THIRD * each for each in third)],
        dim=-1,
    )


def lit(
    texture: Float[Tensor, "f v 3"], normals: Float[Tensor, "f v 3"], light: Float[Tensor, "f 27"]
) -> Float[Tensor, "f v 3"]:
    """Light every vertex.

    Args:
        texture: f v 3, unlit RGB in any range.
        normals: f v 3, turned with the head.
        light: f 27, nine coefficients for R, then for G, then for B; :data:`AMBIENT` is added to the first of each.

    Returns:
        RGB in the range of ``texture``, not clipped.
    """
    check_shape("light", light, "f 27", len(texture), 27)
    channels = light.unflatten(1, (3, 9))
    lifted = torch.cat([channels[..., :1] + AMBIENT, channels[..., 1:]], dim=-1)
    return texture * (harmonics(normals) @ lifted.mT)
