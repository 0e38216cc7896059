"""The arrays of the published ``.mat`` files, brought into the plugin's own layout."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from anifacediff.errors import AssetError, InputError
from anifacediff_bfm.model import NUM_KEYPOINTS, BfmArrays

Shape = tuple[int | None, ...]

SHAPES: Mapping[str, Shape] = MappingProxyType(
    {
        "mean": (None, 3),
        "shape_basis": (None, 3, 80),
        "expression_basis": (None, 3, 64),
        "texture_mean": (None, 3),
        "texture_basis": (None, 3, 80),
        "triangles": (None, 3),
        "keypoints": (NUM_KEYPOINTS,),
    }
)
"""The fields of :class:`~.model.BfmArrays`, with as many coefficients as the D3DFR networks give."""

_PUBLISHED = {
    "mean": "meanshape",
    "shape_basis": "idBase",
    "expression_basis": "exBase",
    "texture_mean": "meantex",
    "texture_basis": "texBase",
    "triangles": "tri",
    "keypoints": "keypoints",
}
FIELDS = tuple(_PUBLISHED.values())
"""What is read of a published file; it has more (``point_buf``, which triangles meet where, follows from ``tri``)."""

_INDICES = ("triangles", "keypoints")


def from_published(fields: Mapping[str, NDArray[Any]], source: str) -> dict[str, NDArray[Any]]:
    """Bring the arrays of ``BFM_model_front.mat`` or ``BFM09_model_info.mat`` into the layout of ``BfmArrays``.

    Args:
        fields: :data:`FIELDS`; x, y, z of the first vertex, then of the second; indices count from 1.
        source: the file, for the message.

    Returns:
        By the names of ``BfmArrays``: float32, and int64 from 0.

    Raises:
        AssetError: if the arrays do not fit together, hold NaN, or an index names no vertex.
    """
    whole = {name: _converted(name, fields[field], f"{source}: {field}") for name, field in _PUBLISHED.items()}
    try:
        BfmArrays(**{name: torch.from_numpy(array) for name, array in whole.items()}).check()
    except InputError as error:
        raise AssetError(f"{source}: is no Basel Face Model as published: {error} Get the file again.") from error
    return whole


def _converted(name: str, array: NDArray[Any], where: str) -> NDArray[Any]:
    shape = SHAPES[name]
    try:
        numbers = array.astype(np.int64) - 1 if name in _INDICES else array.astype(np.float32)
        return np.ascontiguousarray(numbers.reshape([-1 if side is None else side for side in shape]))
    except (TypeError, ValueError) as error:
        wanted = " x ".join("any" if side is None else str(side) for side in shape)
        raise AssetError(
            f"{where}: expected numbers that make {wanted}, found {array.dtype} of shape {array.shape}. Get the file "
            "again, in the layout of Deep3DFaceRecon or MIMAFace."
        ) from error
