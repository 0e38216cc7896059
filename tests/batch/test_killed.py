"""A batch that is killed at any moment and begun again: nothing is lost, half written, or made twice."""

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from quick_clips import write_rows

from anifacediff.batch import Batch
from anifacediff.media import VideoSource

KILLS = 5
CLIPS = 14
PROGRAM = """
import sys
from functools import partial
from pathlib import Path
from quick_clips import QuickClips, write_rows
from anifacediff.batch import Batch
folder = Path(sys.argv[1])
Batch(write_rows(folder, int(sys.argv[2])), folder / "out", partial(QuickClips, 0.04)).run()
"""


@pytest.mark.parametrize("seed", [0])
def test_killed_at_random_moments(tmp_path: Path, seed: int) -> None:
    rng, kills, finished = random.Random(seed), 0, {}
    rows = write_rows(tmp_path, CLIPS)
    while True:
        with started(tmp_path) as process:
            killed = wait_and_kill(process, 0.0 if kills >= KILLS else rng.uniform(0.4, 1.3), tmp_path)
        now = clips(tmp_path)
        assert {name: now.get(name) for name in finished} == finished, "what was finished is as it was"
        finished = now
        if not killed:
            break
        kills += 1
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert len(finished) == CLIPS == len(report["finished"]) + len(report["skipped"])
    assert report["skipped"], "some clips were finished before the last kill"
    assert (report["failed"], report["anew"]) == ({}, {})
    assert sorted(path.name for path in (tmp_path / "out/.batch").iterdir()) == ["lock", "records"]
    assert Batch(rows, tmp_path / "out", lambda: pytest.fail("everything is finished")).run().skipped


def started(folder: Path) -> "subprocess.Popen[bytes]":
    environment = {"PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-c", PROGRAM, str(folder), str(CLIPS)], env=environment)


def wait_and_kill(process: "subprocess.Popen[bytes]", seconds: float, folder: Path) -> bool:
    """Kill a process after some seconds of its work; with 0, wait for its end. Tells whether it was killed."""
    if not seconds:
        assert process.wait(timeout=60) == 0
        return False
    begun = folder / "out/.batch/begun"
    deadline = time.monotonic() + 30
    while not (begun.is_dir() and any(begun.iterdir())) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(seconds / 4)
    process.kill()
    return process.wait(timeout=60) != 0


def clips(folder: Path) -> dict[str, tuple[int, int]]:
    """The clips in the folder, each of which can be read to its end; with what changes when a file is replaced."""
    found = sorted((folder / "out").glob("*.mp4"))
    assert all(len(list(VideoSource(path))) == 3 for path in found)
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in found}
