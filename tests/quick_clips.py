"""Clip makers that are quick: they write a few small frames, and can be told to fail, to wait, or to die."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from anifacediff.batch import Row
from anifacediff.errors import NoFaceError
from anifacediff.media import VideoWriter

FRAMES = 3


def shade(row: Row) -> int:
    """The grey level of the row's frames: it follows from inputs and seed."""
    told = int(row.reference.read_text()) + int(row.driving.read_text()) + row.seed
    return 16 * (told % 16)


@dataclass(frozen=True)
class QuickClips:
    """Writes frames of one grey; inputs are text files that hold a number.

    Args:
        seconds: to wait after each frame.
        log: gets a line for every clip that is begun.
    """

    seconds: float = 0.0
    log: Path | None = None

    def __call__(self, row: Row, path: Path) -> None:
        if self.log is not None:
            with self.log.open("a") as file:
                file.write(f"{row.output}\n")
        what = row.reference.stem
        if what == "faceless":
            raise NoFaceError("No face was found.")
        if what == "broken":
            raise ZeroDivisionError("broken")
        if what == "deadly" or (what == "once" and self._first(row)):
            os.kill(os.getpid(), signal.SIGKILL)
        with VideoWriter(path, 10) as video:
            for _ in range(FRAMES):
                video.write(np.full((16, 16, 3), shade(row), np.uint8))
                time.sleep(self.seconds)

    def _first(self, row: Row) -> bool:
        """Whether this is the first time; it is the only one that a mark cannot be made a second time."""
        try:
            row.reference.with_suffix(".mark").touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


def write_rows(folder: Path, count: int, kind: str = "ann") -> tuple[Row, ...]:
    """Write inputs, and give rows of them with outputs ``ann0.mp4``, ``ann1.mp4``, ...

    Args:
        folder: of the inputs.
        count: of rows.
        kind: the stem of the reference, which says what is to happen.
    """
    reference, driving = folder / f"{kind}.txt", folder / "drive.txt"
    for path in (reference, driving):
        path.write_text("1")
    return tuple(Row(reference, driving, f"{kind}{number}.mp4", seed=number) for number in range(count))
