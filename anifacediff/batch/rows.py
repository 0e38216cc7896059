"""One clip that is to be made, and the cells of a table that say so."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from anifacediff.errors import InputError
from anifacediff.media.writer import SUFFIXES

REQUIRED = ("reference", "driving", "output")
COLUMNS = (*REQUIRED, "seed", "steps", "preset")
MOST_STEPS = 500
WORKPLACE = ".batch"
"""Where a batch keeps its own files, inside the folder of its clips."""
LONGEST_NAME = 250
"""Bytes of a file's or folder's name: file systems take 255, and ``.json`` is added to a clip's."""


@dataclass(frozen=True)
class Row:
    """One clip that is to be made.

    Attributes:
        reference: the avatar, an image.
        driving: whose face moves: a video, GIF, folder of images, or a still.
        output: where the clip goes, relative to the folder of all clips, with slashes.
        seed: the same seed gives the same clip.
        steps: denoising steps; what suits the model, or the preset, if None.
        preset: name of one of :data:`~anifacediff.sampling.SAMPLING_PRESETS`.
    """

    reference: Path
    driving: Path
    output: str
    seed: int = 0
    steps: int | None = None
    preset: str | None = None

    @classmethod
    def read(cls, cells: Mapping[str, object], base: Path, where: str) -> "Row":
        """Make a row of the cells of a table; an empty cell is one that is not given.

        Args:
            cells: by name of the column, text or numbers.
            base: what relative paths of inputs start from.
            where: named in messages.

        Raises:
            InputError: naming the column, if one is unknown or missing, or its cell cannot be used.
        """
        given = {name: cell for name, cell in cells.items() if not _is_empty(cell)}
        _check_columns(cells, given, where)
        try:
            return cls(
                base / _text(given, "reference"),
                base / _text(given, "driving"),
                _output(_text(given, "output")),
                _number(given, "seed", least=0, most=2**63 - 1) or 0,
                _number(given, "steps", least=1, most=MOST_STEPS),
                _preset(given),
            )
        except InputError as error:
            raise InputError(f"{where}, {error}") from error


def _check_columns(cells: Mapping[str, object], given: Mapping[str, object], where: str) -> None:
    unknown = [name for name in cells if name not in COLUMNS]
    if unknown:
        raise InputError(f"{where}, column {unknown[0]!r}: there is no such column; use {', '.join(COLUMNS)}.")
    missing = [name for name in REQUIRED if name not in given]
    if missing:
        raise InputError(f"{where}, column {missing[0]}: is empty or missing.")


def _is_empty(cell: object) -> bool:
    return cell is None or cell == "" or (isinstance(cell, float | np.floating) and bool(np.isnan(cell)))


def _text(cells: Mapping[str, object], name: str) -> str:
    cell = cells[name]
    if not isinstance(cell, str) or "\0" in cell:
        raise InputError(f"column {name}: expected text, found {cell!r}.")
    try:
        cell.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"column {name}: {cell!r} holds half of a character, which no file can be named.") from error
    return str(cell)


def _number(cells: Mapping[str, object], name: str, *, least: int, most: int) -> int | None:
    if name not in cells:
        return None
    cell = cells[name]
    text = str(cell).removesuffix(".0")  # NumPy and Arrow make floats of whole numbers beside empty cells
    number = int(text) if re.fullmatch(r"[0-9]{1,19}", text) else -1
    if not least <= number <= most:
        raise InputError(f"column {name}: expected a whole number from {least} to {most}, found {cell!r}.")
    return number


def _preset(cells: Mapping[str, object]) -> str | None:
    if "preset" not in cells:
        return None
    from anifacediff.sampling.presets import SAMPLING_PRESETS  # here, for it imports diffusers

    name = _text(cells, "preset")
    if name not in SAMPLING_PRESETS:
        raise InputError(f"column preset: expected one of {', '.join(SAMPLING_PRESETS)}, found {name!r}.")
    return name


def _output(text: str) -> str:
    """A path that stays inside the folder of clips, in one spelling."""
    path = PurePosixPath(text)
    parts: Sequence[str] = path.parts
    if path.is_absolute() or ".." in parts or "\\" in text or ":" in text or WORKPLACE in parts[:1]:
        raise InputError(
            f"column output: {text!r} may not leave the folder of clips; give a name such as clip.mp4 or ann/clip.mp4."
        )
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"column output: {text!r} has to end in one of {', '.join(sorted(SUFFIXES))}.")
    long = [part for part in parts if len(part.encode()) > LONGEST_NAME]
    if long:
        raise InputError(
            f"column output: a name of {len(long[0].encode())} bytes is too long ({long[0]:.40}...); use at most "
            f"{LONGEST_NAME}."
        )
    return str(path)
