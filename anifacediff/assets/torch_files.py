"""Checkpoints of PyTorch, read without running code."""

import io
import zipfile
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from anifacediff.assets.pickle_machine import Machine
from anifacediff.assets.pickle_values import RefusedError
from anifacediff.assets.torch_parts import LEGACY_MAGIC, TorchParts
from anifacediff.errors import AssetError

MOST_BYTES = 2**34
_MOST_PICKLE_BYTES = 2**26


def read_torch(path: str | PathLike[str], *, most_bytes: int = MOST_BYTES) -> Mapping[str, object]:
    """Read a file of ``torch.save`` that holds a dictionary of tensors, dictionaries, numbers and text.

    torch reads it, with ``weights_only`` and, where the file is an archive, without copying it into memory. Before
    that its pickle is gone through once, so that nothing is allocated that the file does not hold.

    Args:
        path: the file, with whatever suffix: ``.pth``, ``.pt``, ``.tar``, ``.ckpt``.
        most_bytes: a larger file is refused.

    Returns:
        What the file holds, on the CPU.

    Raises:
        AssetError: if the file is missing, too large or damaged, or asks for anything else, which is named.
    """
    source = Path(path)
    try:
        is_archive = zipfile.is_zipfile(source)
        if source.stat().st_size > most_bytes:
            raise AssetError(f"{source}: is larger than {most_bytes} bytes, and so not the file that is meant.")
        _check_archive(source) if is_archive else _check_legacy(source)
        found: Any = torch.load(source, map_location="cpu", weights_only=True, mmap=is_archive)
    except AssetError:
        raise
    except RefusedError as error:
        raise AssetError(
            f"{source}: refused, because it asks for {str(error)[:200]}. Files of this kind hold tensors and nothing "
            "else, so this one may be an attack; nothing of it was run. Get it from its authors, or have them save "
            "the state dictionary alone."
        ) from None
    except Exception as error:  # whatever a damaged file leads to
        raise AssetError(
            f"{source}: no readable file of torch.save, or damaged ({type(error).__name__}: {str(error)[:200]}). "
            "Get it again, and compare its size."
        ) from error
    if not (isinstance(found, Mapping) and all(isinstance(key, str) for key in found)):
        raise AssetError(f"{source}: holds a {type(found).__name__}, not a dictionary of tensors by name.")
    return found


def _check_archive(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        sizes = {entry.filename: entry.file_size for entry in entries}
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise ValueError("an archive that is compressed, which torch.save never writes")
        if sum(sizes.values()) > path.stat().st_size:
            raise ValueError("an archive whose parts overlap")
        # torch looks names up whatever their case, and counts from the first byte: it is to see the parts seen here.
        if len({name.lower() for name in sizes}) < len(entries):
            raise ValueError("an archive with two parts of one name")
        if archive.comment or min((entry.header_offset for entry in entries), default=0):
            raise ValueError("an archive with something before or after it")
        (name,) = [name for name in sizes if name.lower().endswith("/data.pkl") and name.count("/") == 1]
        if sizes[name] > _MOST_PICKLE_BYTES:
            raise ValueError(f"a pickle of {sizes[name]} bytes")
        content = archive.read(name)
    folder = name[: -len("data.pkl")]

    def check_storage(key: str, size: int) -> None:
        if sizes.get(f"{folder}data/{key}") != size:
            raise ValueError(f"storage {key[:50]!r} of {size} bytes is not in the archive")

    Machine(TorchParts(check_storage)).run(io.BytesIO(content))


def _check_legacy(path: Path) -> None:
    """Go through the pickles that such a file begins with: a number, versions, the content, the keys of storages."""
    with path.open("rb") as file:
        stream = io.BytesIO(file.read(_MOST_PICKLE_BYTES))
    left = {"": path.stat().st_size}

    def check_storage(key: str, size: int) -> None:
        left[""] -= 0 if key in left else size
        if left.setdefault(key, size) != size or left[""] < 0:
            raise ValueError(f"storage {key[:50]!r} of {size} bytes is not in the file")

    found = [Machine(TorchParts(check_storage)).run(stream) for _ in range(5)]
    if found[0] != LEGACY_MAGIC:
        raise ValueError("neither an archive nor the older format")
