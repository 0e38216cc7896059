"""A drawn face model of the published layout whose landmarks lie where a face has them."""

from functools import cache
from typing import Any

import numpy as np
import torch
from anifacediff_bfm.coefficients import Coefficients
from anifacediff_bfm.layout import from_published
from anifacediff_bfm.model import BfmArrays
from bfm_synth import build
from numpy.typing import NDArray

from anifacediff.geometry.head import ParametricHead


def _keypoints(mean: NDArray[Any]) -> NDArray[Any]:
    """The foremost vertices nearest to the landmarks of the built-in head, whose extent is brought to the model's."""
    head = ParametricHead()
    zeros = [torch.zeros(1, count) for count in (head.num_shape, head.num_expression)]
    pose = torch.zeros(1, len(head.joint_names), 3)
    points = head.landmarks(head(*zeros, pose), pose)[0, :, :2].numpy()
    points = (points - points.mean(0)) / (points.max(0) - points.min(0)).max() * 1.2
    front = np.flatnonzero(mean[:, 2] > 0)
    return front[np.linalg.norm(mean[front, None, :2] - points[None], axis=2).argmin(0)]


@cache
def _fields() -> dict[str, NDArray[Any]]:
    fields = build(level=3)
    return fields | {"keypoints": _keypoints(fields["meanshape"].reshape(-1, 3))[None] + 1}


def published_fields() -> dict[str, NDArray[Any]]:
    """The arrays of a published file."""
    return dict(_fields())


def drawn_arrays() -> BfmArrays:
    arrays = from_published(_fields(), "drawn")
    return BfmArrays(**{name: torch.from_numpy(array) for name, array in arrays.items()})


def drawn_coefficients(frames: int, seed: int = 0) -> Coefficients:
    """Faces with gaze that differ in everything."""
    chance = torch.Generator().manual_seed(seed)
    scale = torch.ones(261) * 0.5
    scale[224:227], scale[227:254], scale[254:257] = 0.2, 0.1, 0.05
    return Coefficients.split(torch.randn(frames, 261, generator=chance) * scale)
