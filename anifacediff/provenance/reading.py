"""Records are found in files and beside them."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import av
from av.error import FFmpegError
from PIL import Image, UnidentifiedImageError

from anifacediff.errors import ProvenanceError
from anifacediff.media.notes import is_record, sidecar_of
from anifacediff.provenance.files import fingerprint
from anifacediff.provenance.record import FORMAT, Record, parse_object


@dataclass(frozen=True)
class FoundRecord:
    """A record, and where it was.

    Attributes:
        record: what it says.
        place: ``"inside"`` of the file, or ``"beside"`` it.
    """

    record: Record
    place: Literal["inside", "beside"]


def read_record(path: str | os.PathLike[str]) -> FoundRecord | None:
    """Find the record of a clip: beside it, else inside of it; None if there is none.

    A file beside it that is no record of ours is passed over.

    Args:
        path: a video, an image, or a folder of images.

    Raises:
        ProvenanceError: if a record of ours is damaged, or the one beside the clip is of another clip.
    """
    path = Path(path)
    beside = sidecar_of(path)
    if is_record(beside):
        return FoundRecord(_read_sidecar(beside, path), "beside")
    comment = _comment(_first_file(path))
    if comment is None or FORMAT not in comment:
        return None
    return FoundRecord(Record.parse(comment, str(path)), "inside")


def _read_sidecar(beside: Path, path: Path) -> Record:
    try:
        text = beside.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ProvenanceError(f"{beside}: the record cannot be read ({error}).") from error
    told = dict(parse_object(text, str(beside)))
    belongs_to = told.pop("sha256", None)
    record = Record.parse_fields(told, str(beside))
    if fingerprint(path) != belongs_to:
        raise ProvenanceError(
            f"{beside}: the record is of another version of {path.name}: the clip has changed since. Remove the "
            "record, or get the clip that it belongs to."
        )
    return record


def _first_file(path: Path) -> Path:
    """The clip itself, or the first picture of a folder."""
    return min(path.glob("*.png"), default=path) if path.is_dir() else path


def _comment(path: Path) -> str | None:
    """What is noted inside of an image or video."""
    try:
        with Image.open(path) as image:
            said = image.info.get("comment")
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        return _video_comment(path)
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else said


def _video_comment(path: Path) -> str | None:
    try:
        with av.open(path, metadata_errors="replace") as container:
            tags = {name.lower(): value for name, value in container.metadata.items()}
    except (FFmpegError, OSError):
        return None
    return tags.get("comment")
