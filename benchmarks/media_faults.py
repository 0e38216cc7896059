"""Damaged media files through ``anifacediff animate``: each has to end in an error in words, or in a good video.

Clips and pictures are made, then cut off, changed bit by bit, spliced, and given impossible numbers in their headers.
Each becomes the driver or the reference of ``animate``, in a process of its own with a limit to its time. Most pass
through the command with landmarks given by hand and a small random pipeline, since what reads and writes media is the
same; some through the real command, which finds the face and draws with nano::

    python benchmarks/media_faults.py [--files 2000] [--real 40] [--seed 0] [--keep media_faults]

Printed are the outcomes by kind of file and damage. Bad are: a crash, an unexpected error (exit code 1), too much time,
a result that cannot be read to its end, and anything left behind by a run that failed; their files are kept, and the
exit code is 1.
"""

import argparse
import multiprocessing
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path
from traceback import format_exception

import torch
from damage import damaged, whole_files
from typer.testing import CliRunner

from anifacediff.assemblies import AniFaceDiffPipeline, AnimationPipeline
from anifacediff.cli import app, faces, generate
from anifacediff.errors import AniFaceDiffError
from anifacediff.media import VideoSource, read_image
from anifacediff.tracking import ManualTracker, default_tracker

SAMPLES = Path(__file__).parents[1] / "examples" / "media"
SECONDS, REAL_SECONDS = 60, 600
TYPED = (3, 4, 5)
SUFFIXES = (".mp4", ".webm", ".gif", "")


@dataclass(frozen=True)
class Case:
    """A damaged file, and what stands beside it on the command line.

    Attributes:
        name: the kind of file and of damage.
        reference: the picture.
        driving: the clip.
        output: in a folder of its own.
    """

    name: str
    reference: Path
    driving: Path
    output: Path

    @classmethod
    def of(cls, folder: Path, name: str, file: Path, clip: Path, suffix: str) -> "Case":
        """A file in the place of the reference or the driver, as its name says, beside what is whole."""
        (folder / "out").mkdir(parents=True)
        is_clip = file.stem == "driving"
        reference, driving = (SAMPLES / "avatar.png", file) if is_clip else (file, clip)
        return cls(name, reference, driving, folder / "out" / f"out{suffix}")

    @classmethod
    def made(cls, folder: Path, whole: list[Path], chance: random.Random) -> "Case":
        """Damage one of the whole files."""
        victim, other = chance.choice(whole), chance.choice(whole)
        how, data = damaged(victim.read_bytes(), other.read_bytes(), chance)
        broken = folder / victim.name
        folder.mkdir()
        broken.write_bytes(data)
        return cls.of(folder, f"{victim.name} {how}", broken, whole[0], chance.choice(SUFFIXES))

    @property
    def arguments(self) -> list[str]:
        return ["animate", *map(str, (self.reference, self.driving, "-o", self.output, "--steps", 1))]

    def judged(self, code: int | None, told: str) -> str:
        """The outcome of a run, from its exit code, None if it took too long, and what it said."""
        left = sorted(path.name for path in self.output.parent.iterdir())
        if code is None:
            return "bad: too slow"
        if code in TYPED and "error:" in told:
            return f"bad: left {left}" if left else f"error {code}"
        if code:
            return f"bad: exit code {code}: {told[-1500:]}"
        if not set(left) <= {self.output.name, f"{self.output.name}.json"}:
            return f"bad: left {left}"
        try:
            frames = sum(1 for _ in VideoSource(self.output))
        except AniFaceDiffError as error:
            return f"bad: cannot be read: {error}"
        return "good video" if frames else "bad: empty"


class Worker:
    """A process that runs one command after another; another takes its place when it crashes or takes too long."""

    def __init__(self) -> None:
        self._begin()

    def __call__(self, case: Case) -> str:
        """Run a case, and say how it ended."""
        self._pipe.send(case.arguments)
        try:
            if not self._pipe.poll(SECONDS):
                self.end()
                self._begin()
                return case.judged(None, "")
            code, told = self._pipe.recv()
        except (EOFError, ConnectionResetError):
            self._process.join()
            crashed = f"bad: crashed with {self._process.exitcode}"
            self._begin()
            return crashed
        return case.judged(code, told)

    def end(self) -> None:
        """Stop the process."""
        self._process.kill()
        self._process.join()

    def _begin(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=work, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        if not self._pipe.poll(REAL_SECONDS) or not self._pipe.recv():
            raise RuntimeError("The worker did not begin.")


def work(pipe: Connection) -> None:
    """What the process of a :class:`Worker` does."""
    torch.set_num_threads(1)
    small = AniFaceDiffPipeline.untrained(image_size=32)
    small.free_reference_parts = lambda: None  # it is used again
    found = default_tracker()(read_image(SAMPLES / "avatar.png"))

    def load_small(*arguments: object, **options: object) -> AnimationPipeline:
        return small

    generate.load_pipeline = load_small
    faces.default_tracker = lambda: ManualTracker(found)
    pipe.send(True)
    while True:
        result = CliRunner().invoke(app, pipe.recv())
        unexpected = result.exit_code == 1 and result.exc_info
        pipe.send((result.exit_code, result.stderr + ("".join(format_exception(*unexpected)) if unexpected else "")))


def in_a_shell(case: Case) -> str:
    """Run the real command."""
    command = [sys.executable, "-m", "anifacediff", *case.arguments]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=REAL_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return case.judged(None, "")
    return case.judged(ended.returncode, ended.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--real", type=int, default=40, help="how many of them go through the real command")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("media_faults"), help="folder of the files that ended badly")
    options = parser.parse_args()
    frames = list(islice(VideoSource(SAMPLES / "driving.mp4"), 6))
    real = set(random.Random(options.seed).sample(range(options.files), options.real))
    outcomes: Counter[tuple[str, str]] = Counter()
    worker = Worker()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "case")
        whole = whole_files(Path(temporary, "whole"), frames, read_image(SAMPLES / "avatar.png"))
        for file in whole:
            if (told := worker(Case.of(folder, file.name, file, whole[0], ".mp4"))) != "good video":
                sys.exit(f"{file.name}: is whole, but: {told}")
            shutil.rmtree(folder)
        for number in range(options.files):
            case = Case.made(folder, whole, random.Random(f"{options.seed} {number}"))
            told = in_a_shell(case) if number in real else worker(case)
            outcomes[case.name, told.split(":")[0]] += 1
            if told.startswith("bad"):
                print(f"{number}: {case.name} -> {case.output.name}: {told}", flush=True)
                shutil.copytree(folder, options.keep / str(number), dirs_exist_ok=True)
            shutil.rmtree(folder)
    for (name, outcome), count in sorted(outcomes.items()):
        print(f"{name:30} {outcome:12} {count:5}")
    worker.end()
    ends = Counter[str]()
    for (_, outcome), count in outcomes.items():
        ends[outcome] += count
    print(f"{options.files} files, {options.real} of them through the real command: {dict(ends)}")
    sys.exit(ends["bad"] > 0)


if __name__ == "__main__":
    main()
