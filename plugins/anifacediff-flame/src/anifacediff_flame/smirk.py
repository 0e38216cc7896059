"""SMIRK's expression, jaw and eyelids, read off the same frames elsewhere and kept in a file of arrays."""

from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file

from anifacediff.assets.npy_files import read_npz
from anifacediff.errors import AssetError, InputError
from anifacediff.geometry.faces import FaceParameters
from anifacediff.shapes import Float, Tensor, check_finite, check_shape
from anifacediff_flame.model import JOINTS

_NAMES = ("expression_params", "jaw_params", "eyelid_params")
_SIZES = (50, 3, 2)
_JAW = JOINTS.index("jaw")


@dataclass(frozen=True)
class SmirkExpression:
    """What SMIRK reads off the frames of a clip.

    Attributes:
        expression: f 50, of FLAME, in standard deviations.
        jaw: f 3, rotation of the jaw, axis-angle in radians.
        eyelids: f 2, how far the left and the right lids are closed, 0 to 1.

    Raises:
        ShapeError: if a field has another size, or another number of frames.
        InputError: if a value is NaN or infinite.

    Source: Retsinas et al., "3D facial expressions through analysis-by-neural-synthesis", 2024.
    """

    expression: Float[Tensor, "f 50"]
    jaw: Float[Tensor, "f 3"]
    eyelids: Float[Tensor, "f 2"]

    def __post_init__(self) -> None:
        check_shape("SmirkExpression.expression", self.expression, "f n", None, _SIZES[0])
        frames = len(self.expression)
        for (name, values), size in zip(vars(self).items(), _SIZES, strict=True):
            check_shape(f"SmirkExpression.{name}", values, "f n", frames, size)
            check_finite(f"SmirkExpression.{name}", values)

    def put_into(self, face: FaceParameters) -> FaceParameters:
        """Replace the expression, the jaw and the eyelids of a clip's parameters, as MagicPortrait does.

        Args:
            face: parameters of FLAME of the same frames, with 50 expression coefficients.

        Raises:
            InputError: if it has another number of frames, or is not of FLAME's size.
        """
        frames = len(self.expression)
        if len(face) != frames:
            raise InputError(f"face: has {len(face)} frames, but SMIRK's expression has {frames}. Track the same clip.")
        check_shape("face.expression", face.expression, "f e", frames, self.expression.shape[1])
        check_shape("face.pose", face.pose, "f j 3", frames, len(JOINTS), 3)
        pose = face.pose.clone()
        pose[:, _JAW] = self.jaw.to(pose)
        return replace(face, expression=self.expression.to(pose), pose=pose, eyelids=self.eyelids.to(pose))


def read_smirk(path: str | PathLike[str]) -> SmirkExpression:
    """Read a file with SMIRK's outputs by their names: ``expression_params``, ``jaw_params`` and ``eyelid_params``.

    Args:
        path: ``.safetensors`` or numpy's ``.npz``; other arrays in it are left alone.

    Raises:
        AssetError: if it cannot be read, or an array is missing.
        ShapeError: if an array has another size, or another number of frames.
        InputError: if a value is NaN or infinite.
    """
    path = Path(path)
    arrays = _arrays(path)
    missing = [name for name in _NAMES if name not in arrays]
    if missing:
        raise AssetError(
            f"{path}: has no array {', '.join(missing)} (it has {', '.join(sorted(arrays)) or 'none'}). "
            "Save what SMIRK's encoder returns under its own names, one row for each frame."
        )
    try:
        return SmirkExpression(*(arrays[name].float() for name in _NAMES))
    except InputError as error:
        raise type(error)(f"{path}: {error}") from error


def _arrays(path: Path) -> dict[str, Tensor]:
    if path.suffix != ".safetensors":
        return {name: _floats(array, f"{path}: {name}") for name, array in read_npz(path, _NAMES).items()}
    try:
        return load_file(path)
    except (OSError, SafetensorError, ValueError) as error:
        raise AssetError(
            f"{path}: no readable .safetensors file ({type(error).__name__}: {error}). Save the arrays again."
        ) from error


def _floats(array: NDArray[Any], where: str) -> Tensor:
    if array.dtype.kind not in "iuf":
        raise AssetError(f"{where}: holds {array.dtype}, not numbers. Save what SMIRK's encoder returns.")
    return torch.from_numpy(array.astype(np.float32))
