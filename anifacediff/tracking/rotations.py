"""Rotations: the nearest one, and back from a matrix to an axis and angle."""

import torch

from anifacediff.shapes import Float, Tensor


def nearest_rotation(matrix: Float[Tensor, "*n 3 3"]) -> Float[Tensor, "*n 3 3"]:
    """The rotation nearest to a matrix in the Frobenius norm.

    Source: Umeyama 1991, the singular value decomposition with the sign of the last axis fixed.
    """
    left, _, right = torch.linalg.svd(matrix)
    sign = torch.ones(matrix.shape[:-1], dtype=matrix.dtype, device=matrix.device)
    sign[..., 2] = torch.linalg.det(left @ right).sign()
    return (left * sign[..., None, :]) @ right


def axis_angle(rotation: Float[Tensor, "*n 3 3"]) -> Float[Tensor, "*n 3"]:
    """The axis of a rotation, as long as its angle in radians, at most pi.

    Source: through the unit quaternion, read off its largest component so that no angle is badly conditioned.
    """
    w, v = _quaternion(rotation)
    sine = v.norm(dim=-1, keepdim=True)
    angle = 2 * torch.atan2(sine, w)
    # sin(angle / 2) / angle tends to 1/2, so the ratio below tends to 2 for small angles.
    ratio = torch.where(sine < 1e-6, torch.full_like(sine, 2.0), angle / sine.clamp(min=1e-12))
    return v * ratio


def _quaternion(rotation: Float[Tensor, "*n 3 3"]) -> tuple[Float[Tensor, "*n 1"], Float[Tensor, "*n 3"]]:
    """Unit quaternions with a real part that is not negative: real and imaginary parts."""
    r = rotation
    diagonal = r.diagonal(dim1=-2, dim2=-1)
    trace = diagonal.sum(-1, keepdim=True)
    skew = torch.stack([r[..., 2, 1] - r[..., 1, 2], r[..., 0, 2] - r[..., 2, 0], r[..., 1, 0] - r[..., 0, 1]], dim=-1)
    # The products q q^T, four times: row i divided by its diagonal's root is the quaternion, for every i.
    products = r.new_empty((*r.shape[:-2], 4, 4))
    products[..., 0, :1] = 1 + trace
    products[..., 0, 1:] = products[..., 1:, 0] = skew
    products[..., 1:, 1:] = r + r.transpose(-1, -2)
    products[..., 1:, 1:].diagonal(dim1=-2, dim2=-1).copy_(1 + 2 * diagonal - trace)
    largest = products.diagonal(dim1=-2, dim2=-1).argmax(-1)
    row = products.gather(-2, largest[..., None, None].expand(*largest.shape, 1, 4))[..., 0, :]
    quaternion = row / row.norm(dim=-1, keepdim=True)
    quaternion = torch.where(quaternion[..., :1] < 0, -quaternion, quaternion)
    return quaternion[..., :1], quaternion[..., 1:]
