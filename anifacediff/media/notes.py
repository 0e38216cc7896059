"""What is noted about a clip, and the file beside the clip that says it."""

import json
from pathlib import Path
from typing import Protocol, runtime_checkable

from anifacediff.errors import OutputError

RECORD = "anifacediff record"
"""How the ``format`` of every version of our records begins."""


@runtime_checkable
class ClipNotes(Protocol):
    """What is noted about a clip; :class:`~anifacediff.provenance.Record` is one."""

    @property
    def comment(self) -> str:
        """Text that is kept inside of the file, or of every image of a folder."""
        ...

    def sidecar(self, file: Path) -> str:
        """Text of a file beside the finished clip.

        Args:
            file: the clip, complete, but still under a temporary name.
        """
        ...


def sidecar_of(path: Path) -> Path:
    """The file beside a clip that says what is noted about it."""
    return path.with_name(f"{path.name}.json")


def is_record(beside: Path) -> bool:
    """Whether a file is a record of ours, of any version, perhaps a damaged one; False if it cannot be read."""
    try:
        text = beside.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return f'"format": "{RECORD}' in text
    return isinstance(told, dict) and str(told.get("format")).startswith(RECORD)


def check_place_of_record(path: Path) -> None:
    """Check that a record can be laid beside a clip, perhaps in place of another record.

    Args:
        path: the clip.

    Raises:
        OutputError: if anything else has the name of its record, or no file can have it.
    """
    beside = sidecar_of(path)
    try:
        taken = beside.exists()
    except OSError as error:
        raise OutputError(f"{beside}: nothing can be noted there ({error}). Choose another name.") from error
    if beside.is_dir():
        raise OutputError(f"{beside}: a folder is in the way of what is noted about the clip. Choose another name.")
    if taken and not is_record(beside):
        raise OutputError(
            f"{beside}: this file is no record of ours, and would be replaced by the one of {path.name}. "
            "Move it away, or choose another name."
        )


def remove_record(path: Path) -> None:
    """Remove the record beside a clip, if there is one; a file that is none stays.

    Args:
        path: the clip.
    """
    beside = sidecar_of(path)
    if is_record(beside):
        beside.unlink()
