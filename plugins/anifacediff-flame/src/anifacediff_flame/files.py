"""The published files of FLAME and DECA become arrays of our own names; nothing that they hold is run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from anifacediff.assets.contracts import Converted
from anifacediff.assets.npy_files import read_npy
from anifacediff.assets.pickles import read_pickle
from anifacediff.assets.sparse import SparseMatrix
from anifacediff.assets.torch_files import read_torch
from anifacediff.errors import AssetError, InputError
from anifacediff.shapes import Tensor
from anifacediff_flame.encoder import DecaEncoder
from anifacediff_flame.landmarks import LandmarkEmbedding
from anifacediff_flame.model import JOINTS, MOST_EXPRESSION, MOST_SHAPE, FlameArrays

_FLAME = {
    "template": "v_template",
    "basis": "shapedirs",
    "pose_basis": "posedirs",
    "joint_regressor": "J_regressor",
    "skinning_weights": "weights",
}
FLAME_SHAPES = {
    "template": (None, 3),
    "basis": (None, 3, MOST_SHAPE + MOST_EXPRESSION),
    "pose_basis": (None, 3, 9 * (len(JOINTS) - 1)),
    "joint_regressor": (len(JOINTS), None),
    "skinning_weights": (None, len(JOINTS)),
    "triangles": (None, 3),
    "parents": (len(JOINTS),),
}
LANDMARK_SHAPES = {
    "contour_triangles": (None, 17),
    "contour_barycentric": (None, 17, 3),
    "inner_triangles": (51,),
    "inner_barycentric": (51, 3),
}
_TRIANGLES = 9976  # of FLAME, in every edition
_MOST_DENSE = 2**24  # bytes, of a sparse matrix written out; that of FLAME has 5 x 5023 numbers


def read_flame(path: Path) -> Converted:
    """Read ``generic_model.pkl``, ``flame2023.pkl`` or ``flame2023_Open.pkl``.

    Raises:
        AssetError: if it is damaged, holds something else than arrays, or its arrays do not fit together.
    """
    found = _mapping(read_pickle(path), path)
    tensors: dict[str, NDArray[Any]] = {
        name: _numbers(found, published, path).astype(np.float32) for name, published in _FLAME.items()
    }
    tensors["triangles"] = _numbers(found, "f", path).astype(np.int64)
    tree = _numbers(found, "kintree_table", path).astype(np.int64)
    if tree.shape != (2, len(JOINTS)):
        raise AssetError(f"{path}: 'kintree_table' has shape {tree.shape} instead of (2, {len(JOINTS)}).")
    parents = tree[0]
    tensors["parents"] = np.where(parents == 2**32 - 1, -1, parents)  # stored without a sign
    try:
        flame_arrays(tensors).mesh(MOST_SHAPE, MOST_EXPRESSION).check()
    except InputError as error:
        raise AssetError(f"{path}: no FLAME model ({error}) Get it again from FLAME's site.") from error
    return Converted(tensors)


def read_landmarks(static: Path, dynamic: Path) -> Converted:
    """Read ``flame_static_embedding.pkl`` and ``flame_dynamic_embedding.npy``.

    Raises:
        AssetError: if one is damaged, holds something else than arrays, or they do not fit FLAME.
    """
    inner, contour = _mapping(read_pickle(static), static), _mapping(_item(read_npy(dynamic)), dynamic)
    return _landmarks(
        f"{static} and {dynamic}",
        _numbers(contour, "lmk_face_idx", dynamic),
        _numbers(contour, "lmk_b_coords", dynamic),
        _numbers(inner, "lmk_face_idx", static),
        _numbers(inner, "lmk_b_coords", static),
    )


def read_deca_landmarks(path: Path) -> Converted:
    """Read ``landmark_embedding.npy``, which holds the same points, partly as tensors of torch.

    Raises:
        AssetError: if it is damaged, holds something else than arrays, or does not fit FLAME.
    """
    found = _mapping(_item(read_npy(path)), path)
    names = [f"{part}_lmk_{what}" for part in ("dynamic", "static") for what in ("faces_idx", "bary_coords")]
    return _landmarks(str(path), *(_numbers(found, name, path) for name in names))


def _landmarks(source: str, *arrays: NDArray[Any]) -> Converted:
    """Arrays in the order of :data:`LANDMARK_SHAPES`."""
    kinds = (np.int64, np.float32, np.int64, np.float32)
    tensors = {name: array.astype(kind) for name, array, kind in zip(LANDMARK_SHAPES, arrays, kinds, strict=True)}
    try:
        LandmarkEmbedding(**{name: torch.from_numpy(array) for name, array in tensors.items()}).check(_TRIANGLES)
    except InputError as error:
        raise AssetError(f"{source}: no landmarks of FLAME ({error}) Get them again.") from error
    return Converted(tensors)


def read_deca(path: Path) -> Converted:
    """Read the coarse encoder in ``deca_model.tar``.

    Raises:
        AssetError: if it is damaged or holds no coarse encoder.
        CheckpointError: if the encoder's keys or shapes differ.
    """
    found = read_torch(path).get("E_flame")
    weights = dict(found) if isinstance(found, Mapping) else {}
    if not weights or not all(isinstance(value, Tensor) for value in weights.values()):
        raise AssetError(f"{path}: holds no weights under 'E_flame'; DECA's own file is meant. Get it again.")
    encoder = DecaEncoder.published(weights, str(path))
    return Converted({key: value.numpy() for key, value in encoder.state_dict().items()})


def flame_arrays(tensors: Mapping[str, NDArray[Any] | Tensor]) -> FlameArrays:
    """Build the arrays of a model from tensors by the names of :data:`FLAME_SHAPES`."""
    parts = {name: torch.as_tensor(array) for name, array in tensors.items()}
    parents = tuple(parts.pop("parents").tolist())
    return FlameArrays(**parts, parents=parents)


def _mapping(found: object, path: Path) -> Mapping[str, Any]:
    if not isinstance(found, Mapping):
        raise AssetError(f"{path}: holds a {type(found).__name__}, not arrays by name; another file is meant.")
    return found


def _item(array: NDArray[Any]) -> object:
    return array.item() if array.shape == () else array


def _numbers(found: Mapping[str, Any], name: str, path: Path) -> NDArray[Any]:
    """The array of that name; lists and sparse matrices written out."""
    value = found.get(name)
    if value is None:
        raise AssetError(f"{path}: has no {name!r} (it has {', '.join(map(str, found)):.200}); another file is meant.")
    try:
        array = value.dense(most_bytes=_MOST_DENSE) if isinstance(value, SparseMatrix) else np.asarray(value)
    except (AssetError, ValueError) as error:
        raise AssetError(f"{path}: {name!r} is no array of FLAME's: {error} Another file is meant.") from error
    if array.dtype.kind not in "iuf":
        raise AssetError(f"{path}: {name!r} holds {array.dtype}, not numbers; another file is meant.")
    return array
