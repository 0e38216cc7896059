"""The class that does the work, for a loop of yours and for ``map_batches`` of Ray Data."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from anifacediff.batch.digests import digest_of
from anifacediff.batch.records import Ledger
from anifacediff.batch.rows import Row
from anifacediff.errors import AniFaceDiffError

Status = Literal["finished", "skipped", "failed"]
MOST_DEATHS = 6
"""A clip at which so many workers in a row died is given up, so that the others get done."""


@dataclass(frozen=True)
class Result:
    """What became of a row.

    Attributes:
        output: of the row.
        status: ``"skipped"`` was finished before.
        reason: why it failed, else empty.
    """

    output: str
    status: Status
    reason: str = ""


@runtime_checkable
class ClipMaker(Protocol):
    """Makes one clip after another."""

    def __call__(self, row: Row, path: Path) -> None:
        """Write the clip of a row to a file.

        Args:
            row: what is wanted.
            path: the file; it does not exist, its folder holds nothing else. What is written beside it is kept, too.

        Raises:
            AniFaceDiffError: if the clip cannot be made; the others go on.
        """
        ...


class Animator:
    """Makes clips that appear whole, with their records, and passes over those that are finished.

    Built once, called many times; a clip that fails is told in its result, and the next one goes on.

    Args:
        folder: of all clips.
        build: makes what makes the clips, where the clips are made: in a worker it is called there.
        name: of the model, in any words; clips of another name are made anew.

    Example:
        >>> make = Animator(Path("clips"), lambda: PipelineClips(AniFaceDiffPipeline.nano()))  # doctest: +SKIP
        >>> make({"reference": ["a.png"], "driving": ["talk.mp4"], "output": ["a.mp4"]})       # doctest: +SKIP
        {'output': array(['a.mp4']), 'status': array(['finished']), 'reason': array([''])}
    """

    def __init__(self, folder: Path, build: Callable[[], ClipMaker], name: str = "") -> None:
        self._ledger = Ledger(Path(folder))
        self._make = build()
        self._name = name

    def __call__(self, batch: Mapping[str, object]) -> dict[str, NDArray[np.object_]]:
        """Make the clips of some rows.

        Args:
            batch: the columns of a manifest, each a list or array; relative paths start from the current folder.

        Returns:
            Columns ``output``, ``status`` and ``reason``, see :class:`Result`, in the order of the rows.
        """
        found = [self._read_and_animate(cells, number) for number, cells in enumerate(_rows(batch))]
        return {
            "output": np.array([result.output for result in found], dtype=object),
            "status": np.array([result.status for result in found], dtype=object),
            "reason": np.array([result.reason for result in found], dtype=object),
        }

    def animate(self, row: Row) -> Result:
        """Make one clip, unless it is finished."""
        try:
            if self._ledger.deaths(row.output) >= MOST_DEATHS:
                return Result(row.output, "failed", f"{MOST_DEATHS} workers died of it; is there too little memory?")
            return Result(row.output, self._animated(row))
        except Exception as error:
            return Result(row.output, "failed", reason_of(error))

    def _animated(self, row: Row) -> Status:
        digest = digest_of(row, self._name)
        if self._ledger.state(row.output, digest) == "finished":
            return "skipped"
        with self._ledger.making(row.output, digest) as path:
            self._make(row, path)
        return "finished"

    def _read_and_animate(self, cells: Mapping[str, object], number: int) -> Result:
        try:
            row = Row.read(cells, Path.cwd(), f"row {number} of the batch")
        except AniFaceDiffError as error:
            return Result(str(cells.get("output", "")), "failed", reason_of(error))
        return self.animate(row)


def reason_of(error: Exception) -> str:
    """Tell an error in one line; what the library does not raise on purpose, with its kind."""
    told = " ".join(str(error).split())
    return told if isinstance(error, AniFaceDiffError) else f"{type(error).__name__}: {told}"


def _rows(batch: Mapping[str, object]) -> Iterator[Mapping[str, object]]:
    """The rows of columns."""
    columns = [list(cast(NDArray[np.object_], column)) for column in batch.values()]
    for cells in zip(*columns, strict=True):
        yield dict(zip(batch, cells, strict=True))
