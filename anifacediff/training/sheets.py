"""Looking at results while they come."""

from collections.abc import Sequence

import numpy as np
import torch

from anifacediff.media.pictures import to_pictures
from anifacediff.shapes import Float, Tensor, UInt8


def sheet(columns: Sequence[Float[Tensor, "f 3 h w"]]) -> UInt8[np.ndarray, "height width 3"]:
    """Lay out pictures: a row for each frame, its pictures side by side."""
    rows = torch.cat(list(columns), dim=3)
    return np.concatenate(list(to_pictures(rows)))


def psnr(
    found: Float[Tensor, "f 3 h w"], truth: Float[Tensor, "f 3 h w"], where: Float[Tensor, "f 1 h w"] | None = None
) -> float:
    """Peak signal-to-noise ratio in decibels, the mean over pictures in [0, 1].

    Args:
        found: pictures.
        truth: what they should be.
        where: one for the pixels that count, else zero; all count if None. Pictures without any are left out.
    """
    error = (found.clamp(0, 1) - truth).square().mean(1, keepdim=True)
    weight = torch.ones_like(error) if where is None else where
    pixels = weight.sum((1, 2, 3))
    mean = (error * weight).sum((1, 2, 3))[pixels > 0] / pixels[pixels > 0]
    return float((-10 * mean.clamp(min=1e-10).log10()).mean())


def inside(boxes: Float[Tensor, "f 4"], height: int, width: int) -> Float[Tensor, "f 1 h w"]:
    """One for pixels whose middle is within a frame's box (left, top, right, bottom), else zero."""
    down, right = torch.arange(height)[:, None] + 0.5, torch.arange(width) + 0.5
    left, top, end, bottom = boxes[:, :, None, None].unbind(1)
    return ((left < right) & (right < end) & (top < down) & (down < bottom)).float()[:, None]
