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
