"""What lies in the folder of an asset: a description in JSON, and tensors or the files themselves."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from anifacediff.assets.contracts import Fact
from anifacediff.assets.places import DESCRIPTION, TENSORS
from anifacediff.assets.sources import sha256_of
from anifacediff.errors import AssetError

_MOST_BYTES = 2**24


@dataclass(frozen=True)
class Description:
    """The contents of ``asset.json``.

    Attributes:
        name: of the asset.
        version: of the package that wrote it.
        licence: its name, whether commercial use is allowed, and where it is.
        sources: the sha256 of the files that were given, by name.
        files: the sha256 of the files beside it, by name.
        facts: that the conversion found.
    """

    name: str
    version: str
    licence: Mapping[str, str]
    sources: Mapping[str, str]
    files: Mapping[str, str]
    facts: Mapping[str, Fact]


def read_description(folder: Path) -> Description:
    """Read what lies in the folder of an asset.

    Raises:
        AssetError: if it cannot be read, or is none.
    """
    path = folder / DESCRIPTION
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError("it is too large")
        description = Description(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise AssetError(f"{path}: cannot be read ({error}). Run `anifacediff assets convert` again.") from error
    if not _is_sound(description):
        raise AssetError(f"{path}: is not as it was written. Run `anifacediff assets convert` again.")
    return description


def _is_sound(description: Description) -> bool:
    texts = (description.licence, description.sources, description.files)
    return (
        isinstance(description.name, str)
        and isinstance(description.version, str)
        and all(isinstance(text, dict) and all(isinstance(value, str) for value in text.values()) for text in texts)
        and isinstance(description.facts, dict)
        and all(isinstance(fact, str | int | float | list) for fact in description.facts.values())
    )


def read_tensors(path: Path) -> dict[str, NDArray[Any]]:
    """Read a safetensors file of finite numbers.

    Raises:
        AssetError: if it is missing, damaged, or holds NaN or infinity.
    """
    try:
        arrays: dict[str, NDArray[Any]] = load_file(path)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise AssetError(
            f"{path}: no readable safetensors file ({error}). Run `anifacediff assets convert` again."
        ) from error
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise AssetError(f"{path}: {name} holds NaN or infinity. Run `anifacediff assets convert` again.")
    return arrays


def check_folder(folder: Path) -> Description:
    """Check that everything in the folder of an asset is as it was written.

    Raises:
        AssetError: naming the first file that is missing, damaged or changed.
    """
    description = read_description(folder)
    for name, expected in description.files.items():
        path = folder / name
        if Path(name).name != name or not path.is_file():
            raise AssetError(f"{path}: is missing. Run `anifacediff assets convert` again.")
        found = sha256_of(path)
        if found != expected:
            raise AssetError(
                f"{path}: has the sha256 {found} instead of {expected}; it was changed or damaged. "
                "Run `anifacediff assets convert` again."
            )
    if TENSORS in description.files:
        read_tensors(folder / TENSORS)
    return description
