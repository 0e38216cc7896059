"""Tracked motion as a file: a driver that can be replayed without its video."""

import json
import os
from collections.abc import Iterable
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from anifacediff.errors import MediaError, OutputError
from anifacediff.media.writer import check_writable
from anifacediff.tracking.motion import Motion, facts_of, motion_of, tensors_of
from anifacediff.writing import appearing

SUFFIX = ".safetensors"
"""Of the files."""

_HEADER = "anifacediff.motion"


def check_motion_path(path: str | os.PathLike[str], *, inputs: Iterable[str | os.PathLike[str]] = ()) -> None:
    """Check, before long work, that a motion can be written.

    Args:
        path: the file.
        inputs: files and folders that must not be overwritten.

    Raises:
        OutputError: if its name does not end in ``.safetensors``, or as
            :func:`~anifacediff.media.check_writable` does.
    """
    if Path(path).suffix.lower() != SUFFIX:
        raise OutputError(f"{path}: a motion is written to a file whose name ends in {SUFFIX}.")
    check_writable(path, inputs=inputs, suffixes=(SUFFIX,))


def write_motion(path: str | os.PathLike[str], motion: Motion) -> None:
    """Write a motion; the file appears whole or not at all, and an existing one is replaced.

    It is a safetensors file: one tensor for each field of the parameters, and facts as JSON in its header.

    Raises:
        InputError: if the camera is none of ours.
        OutputError: if it cannot be written, or its name does not end in ``.safetensors``.
    """
    check_motion_path(path)
    path = Path(path)
    header = {_HEADER: json.dumps(facts_of(motion))}
    tensors = {name: values.cpu().contiguous() for name, values in tensors_of(motion.clip).items()}
    try:
        with appearing(path) as partial:
            save_file(tensors, partial, header)
    except (OSError, SafetensorError) as error:
        raise OutputError(f"{path}: the motion cannot be written ({error}).") from error


def read_motion(path: str | os.PathLike[str]) -> Motion:
    """Read what :func:`write_motion` wrote, bit for bit.

    Raises:
        MediaError: if the file is missing, truncated, of another kind, or says something impossible.
    """
    if not os.path.isfile(path):
        raise MediaError(f"{path}: there is no such file.")
    try:
        with safe_open(path, "pt") as file:
            header = (file.metadata() or {}).get(_HEADER)
            tensors = {name: file.get_tensor(name) for name in file.keys()} if header else {}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise MediaError(f"{path}: no readable motion ({error}). Is the file complete?") from error
    if header is None:
        raise MediaError(f"{path}: this is a safetensors file, but no motion; `anifacediff track` writes those.")
    try:
        return motion_of(json.loads(header), tensors)
    except (ArithmeticError, KeyError, TypeError, ValueError, RecursionError) as error:
        told = f"{error!r}" if isinstance(error, KeyError) else str(error)
        raise MediaError(f"{path}: the motion is damaged, or from another version: {told}") from error
