"""Tensors to pictures, and back."""

import numpy as np
import torch
from einops import rearrange, repeat

from anifacediff.shapes import Float, Tensor, UInt8


def to_pictures(images: Float[Tensor, "f c h w"]) -> UInt8[np.ndarray, "f h w 3"]:
    """Turn images into bytes.

    Args:
        images: f c h w in [0, 1], values outside are clipped; c is 3 for RGB, or 1, which becomes grey.
    """
    levels = (images.float().clamp(0, 1) * 255).round().to(torch.uint8).cpu()
    if levels.shape[1] == 1:
        levels = repeat(levels, "f 1 h w -> f c h w", c=3)
    return np.ascontiguousarray(rearrange(levels, "f c h w -> f h w c").numpy())


def to_images(pictures: UInt8[np.ndarray, "*more h w 3"]) -> Float[Tensor, "*more 3 h w"]:
    """Turn bytes into images in [0, 1]."""
    return torch.from_numpy(pictures).movedim(-1, -3).float() / 255
