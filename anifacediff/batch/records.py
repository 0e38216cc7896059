"""What is finished, told by records that outlive a process that is killed at any moment."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from anifacediff import __version__
from anifacediff.assets.sources import sha256_of
from anifacediff.batch.rows import WORKPLACE
from anifacediff.errors import InputError, OutputError
from anifacediff.media.notes import check_place_of_record, is_record, remove_record, sidecar_of
from anifacediff.writing import appearing

State = Literal["missing", "changed", "damaged", "finished"]


@dataclass(frozen=True)
class Entry:
    """What a record says of a clip that was made.

    Attributes:
        digest: of its inputs and settings, see :func:`~anifacediff.batch.digests.digest_of`.
        sha256: of the clip's file.
        version: of this package that made it.
    """

    digest: str
    sha256: str
    version: str = __version__


@dataclass(frozen=True)
class Ledger:
    """The folder of clips, and what is known of each.

    A clip is made in a folder of its own inside ``.batch``. Its record is written first, with the sha256 of the file;
    then the file takes its place, in one step. So whatever is killed in between, a clip is finished exactly if its
    file is the one of its record.

    Args:
        folder: of all clips; its subfolder ``.batch`` is the ledger's.
    """

    folder: Path

    def state(self, output: str, digest: str) -> State:
        """Tell whether a clip has to be made: it is missing, made from other inputs, damaged since, or finished.

        Args:
            output: of the row.
            digest: of the row, see :func:`~anifacediff.batch.digests.digest_of`.
        """
        path = self.place(output)
        if not path.is_file():
            return "missing"
        record = self._read(output)
        if record is None or record.digest != digest:
            return "changed"
        return "finished" if sha256_of(path) == record.sha256 else "damaged"

    def place(self, output: str) -> Path:
        """Where a clip goes.

        Raises:
            InputError: if a link leads out of the folder of clips.
        """
        path = self.folder / output
        if not path.resolve().is_relative_to(self.folder.resolve()):
            raise InputError(f"column output: {output} leads out of {self.folder}, to {path.resolve()}.")
        return path

    @contextmanager
    def making(self, output: str, digest: str) -> Generator[Path]:
        """Give a path at which to write a clip; it takes its place when the ``with`` block ends without an exception.

        Files written beside it, such as one that tells where it is from, go with it; the record of a clip that was
        there before does not outlive it.

        Raises:
            OutputError: if the clip cannot be put in its place, or a file that is no record of ours has the name of
                its record.
        """
        place = self.place(output)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            work = Path(tempfile.mkdtemp(dir=_made(self._own / "partial")))
            begun = self._begun(output)
            begun.write_bytes(b"." * (self.deaths(output) + 1))
        except OSError as error:
            raise OutputError(f"{place}: nothing can be written there ({error}).") from error
        try:
            yield work / place.name
            try:
                self._finish(work, place, output, digest)
            except OutputError:
                raise
            except OSError as error:
                raise OutputError(f"{place}: the clip cannot be put in its place ({error}).") from error
        finally:
            shutil.rmtree(work, ignore_errors=True)
            begun.unlink(missing_ok=True)

    def forget_deaths(self) -> None:
        """Remove what killed processes have left; for when nobody else is at work in the folder."""
        for name in ("partial", "begun"):
            shutil.rmtree(self._own / name, ignore_errors=True)
        for half in (self._own / "records").glob("*.partial"):
            half.unlink()

    def deaths(self, output: str) -> int:
        """How often in a row a clip was begun by a process that was killed then."""
        try:
            return self._begun(output).stat().st_size
        except FileNotFoundError:
            return 0

    @property
    def lock(self) -> Path:
        """The file that a batch locks while it is at work."""
        return _made(self._own) / "lock"

    @property
    def _own(self) -> Path:
        return self.folder / WORKPLACE

    def _finish(self, work: Path, place: Path, output: str, digest: str) -> None:
        made = work / place.name
        if is_record(sidecar_of(made)):
            check_place_of_record(place)
        write_whole(_made(self._own / "records") / f"{_key(output)}.json", asdict(Entry(digest, sha256_of(made))))
        remove_record(place)
        for beside in work.iterdir():
            if beside != made:
                os.replace(beside, place.parent / beside.name)
        os.replace(made, place)

    def _begun(self, output: str) -> Path:
        return _made(self._own / "begun") / _key(output)

    def _read(self, output: str) -> Entry | None:
        try:
            return Entry(**json.loads((self._own / "records" / f"{_key(output)}.json").read_text()))
        except (OSError, ValueError, TypeError):
            return None


def write_whole(path: Path, told: object) -> None:
    """Write JSON to a file that appears whole, in place of one that is there."""
    with appearing(path) as partial:
        partial.write_text(json.dumps(told, indent=2) + "\n")


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _key(output: str) -> str:
    return hashlib.sha256(output.encode()).hexdigest()[:32]
