"""The list of clips that are to be made: a table in CSV, or one JSON object a line."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from anifacediff.batch.rows import Row
from anifacediff.errors import InputError


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
