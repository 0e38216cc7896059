"""The list of clips that are to be made: a table in CSV, or one JSON object a line."""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
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


def read_manifest(path: Path) -> tuple[Row, ...]:
    """Read a manifest.

    Args:
        path: ``.csv`` whose first line names the columns, or ``.jsonl`` with one object a line, in UTF-8. The columns
            are ``reference``, ``driving``, ``output``, and if wanted ``seed``, ``steps``, ``preset``. Relative paths
            of inputs start from the manifest's folder.

    Raises:
        InputError: naming line and column, if anything in it cannot be used, or two rows have the same output.
    """
    tables = {".csv": _csv_lines, ".jsonl": _json_lines}
    if path.suffix.lower() not in tables:
        raise InputError(f"{path}: a manifest is a file .csv or .jsonl, this is {path.suffix or 'without a suffix'!r}.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: the manifest cannot be read as text in UTF-8 ({error}).") from error
    rows: list[Row] = []
    lines: dict[str, int] = {}
    for line, cells in tables[path.suffix.lower()](path, text):
        row = Row.read(cells, path.parent.absolute(), f"{path}, line {line}")
        if row.output in lines:
            raise InputError(f"{path}, line {line}, column output: {row.output} is that of line {lines[row.output]}.")
        lines[row.output] = line
        rows.append(row)
    if not rows:
        raise InputError(f"{path}: the manifest lists no clips.")
    return tuple(rows)


def _csv_lines(path: Path, text: str) -> Iterator[tuple[int, Mapping[str, object]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        repeated = {name for name in header if header.count(name) > 1}
        if repeated:
            raise InputError(f"{path}, line 1: the column {', '.join(sorted(repeated))} is there twice.")
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(header):
                raise InputError(
                    f"{path}, line {reader.line_num}: has {len(cells)} cells, the header {len(header)}. Put quotation "
                    "marks around what holds a comma."
                )
            yield reader.line_num, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: is no CSV ({error}).") from error


def _json_lines(path: Path, text: str) -> Iterator[tuple[int, Mapping[str, object]]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            cells = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}, line {number}: is no JSON ({error}).") from error
        if not isinstance(cells, dict):
            raise InputError(f"{path}, line {number}: expected an object in braces, found {line.strip()[:40]!r}.")
        yield number, cells


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
    return str(path)
