"""Many clips: killed at random moments, and on Ray with two workers against one.

python benchmarks/batch.py kills     40 quick clips on Ray, 20 kills of workers; and 20 kills of a local batch
python benchmarks/batch.py ratio     40 clips of nano on Ray, 2 workers against 1
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from functools import partial
from itertools import islice
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from quick_clips import QuickClips, write_rows

from anifacediff.batch import Batch, OnRay, Report, Row
from anifacediff.cli.batch import build_clips
from anifacediff.media import VideoSource, VideoWriter

CLIPS, KILLS = 40, 20
SAMPLES = Path(__file__).parents[1] / "examples" / "media"
LOCAL = """
import sys
from functools import partial
from pathlib import Path
from quick_clips import QuickClips, write_rows
from anifacediff.batch import Batch
folder = Path(sys.argv[1])
Batch(write_rows(folder, int(sys.argv[2])), folder / "out", partial(QuickClips, 0.25, folder / "log")).run()
"""


def kills_of_a_local_batch(folder: Path, rng: random.Random) -> None:
    """A process that makes the clips is killed, and begun again, until it comes to its end."""
    kept: dict[str, tuple[int, int]] = {}
    runs, changed = 0, 0
    while True:
        process = subprocess.Popen([sys.executable, "-c", LOCAL, str(folder), str(CLIPS)])
        if runs < KILLS:
            time.sleep(rng.uniform(0.5, 3.0))
            process.kill()
        runs += 1
        ended = process.wait() == 0
        now = stamps(folder / "out")
        changed += sum(now.get(name) != stamp for name, stamp in kept.items())
        kept = now
        if ended:
            break
    tell("local batch", folder, runs - 1, changed)


def kills_of_workers(folder: Path, rng: random.Random) -> None:
    """Workers of Ray are killed while a batch is running."""
    stop, killed = threading.Event(), []

    def kill() -> None:
        while not stop.wait(rng.uniform(1.0, 5.0)) and len(killed) < KILLS:
            found = [each for each in psutil.Process().children(recursive=True) if is_worker(each)]
            if found:
                victim = rng.choice(found)
                os.kill(victim.pid, signal.SIGKILL)
                killed.append(victim.pid)

    kept: dict[str, tuple[int, int]] = {}
    changed: list[str] = []

    def watch(_: object) -> None:
        now = stamps(folder / "out")
        changed.extend(name for name, stamp in kept.items() if now.get(name) != stamp)
        kept.update(now)

    thread = threading.Thread(target=kill)
    thread.start()
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[1] / "tests")
    rows = write_rows(folder, CLIPS)
    report = Batch(rows, folder / "out", partial(QuickClips, 0.7, folder / "log")).run(OnRay(2), watch)
    watch(None)
    stop.set()
    thread.join()
    print(report)
    tell("workers of Ray", folder, len(killed), len(changed))


def is_worker(process: psutil.Process) -> bool:
    """Whether a process is an animator of Ray Data."""
    try:
        return "MapWorker" in " ".join(process.cmdline())
    except psutil.Error:
        return False


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """What of each finished clip changes when its file is replaced."""
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in sorted(folder.glob("*.mp4"))}


def tell(what: str, folder: Path, kills: int, changed: int) -> None:
    """Print how many clips can be read, were begun again, and were replaced after they had been finished."""
    clips = list((folder / "out").glob("*.mp4"))
    intact = sum(len(list(VideoSource(path))) == 3 for path in clips)
    begun = Counter((folder / "log").read_text().split())
    left = sorted(each.name for each in (folder / "out/.batch").iterdir())
    print(
        f"{what}: {kills} kills; {intact} of {CLIPS} clips whole; {sum(begun.values()) - CLIPS} beginnings more than "
        f"clips; {changed} finished clips replaced; left in .batch: {left}"
    )


def ratio(folder: Path, clips: int, frames: int) -> None:
    """The same clips with one worker and with two."""
    source = VideoSource(SAMPLES / "driving.mp4")
    driving = folder / "driving.mp4"
    with VideoWriter(driving, source.fps) as writer:
        for frame in islice(source, frames):
            writer.write(frame)
    rows = [Row(SAMPLES / "avatar.png", driving, f"{number}.mp4", seed=number) for number in range(clips)]
    seconds = {}
    for workers in (1, 2):
        first: list[float] = []
        begun = time.monotonic()
        build = partial(build_clips, None, None, None, "cpu", "float32")
        report: Report = Batch(rows, folder / f"out{workers}", build).run(
            OnRay(workers), lambda _, first=first: first.append(time.monotonic())
        )
        seconds[workers] = {
            "whole": time.monotonic() - begun,
            "until the first clip": first[0] - begun,
            "clips a second, after the first": (clips - 1) / (first[-1] - first[0]),
        }
        print(workers, report, json.dumps(seconds[workers]), flush=True)
    print(f"whole: {seconds[1]['whole'] / seconds[2]['whole']:.2f} times as fast; ", end="")
    rates = [seconds[workers]["clips a second, after the first"] for workers in (2, 1)]
    print(f"without the start: {rates[0] / rates[1]:.2f} times as fast")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["kills", "ratio"])
    parser.add_argument("--clips", type=int, default=CLIPS)
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as made:
        if chosen.what == "ratio":
            ratio(Path(made), chosen.clips, chosen.frames)
        else:
            os.environ["PYTHONPATH"] = str(Path(__file__).parents[1] / "tests")
            for kind in (kills_of_a_local_batch, kills_of_workers):
                (Path(made) / kind.__name__).mkdir()
                kind(Path(made) / kind.__name__, random.Random(chosen.seed))
