"""Peak memory of ``anifacediff animate`` on a short and a long clip: it should not grow with the clip.

Loops the bundled clip to each length, runs the command on it with nano in a process of its own,
and prints the largest resident memory of each and the ratio to the first. Until a window stands at every step, a longer
clip has more frames in flight: that is reached after about 20 frames a step. ``--size full`` takes AniFaceDiff at
Stable Diffusion 1.5's size with random weights, stored in the precision of ``--dtype`` (5 GB in the folder of temporary
files in bfloat16, 10 in float32); options that are not known here are the command's::

    python benchmarks/memory.py [--frames 50 400] [--steps 20]
    python benchmarks/memory.py --size full --image-size 256 --frames 8 24 --steps 2 --preset fast
"""

import argparse
import os
import subprocess
import sys
import time
from itertools import chain, islice, repeat
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from anifacediff.media import VideoSource, VideoWriter
from anifacediff.profiling import FULL_SIZE

SAMPLES = Path(__file__).parents[1] / "examples" / "media"
RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss in bytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, nargs="+", default=[50, 400])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--size", choices=["nano", "full"], default="nano")
    parser.add_argument("--image-size", type=int, default=256, help="of the full size")
    parser.add_argument("--dtype", choices=["bfloat16", "float32"], default="bfloat16", help="of the full size")
    options, others = parser.parse_known_args()
    with TemporaryDirectory() as folder:
        if options.size == "full":
            model = Path(folder, "model")
            # In another process: what is measured begins with the peak of the one that starts it.
            maker = get_context("spawn").Process(target=make, args=(model, options.image_size, options.dtype))
            maker.start()
            maker.join()
            if maker.exitcode:
                raise SystemExit(maker.exitcode)
            others = [*others, "--model", str(model), "--dtype", options.dtype]
        print("frames  peak MiB  ratio  seconds")
        first = None
        for frames in options.frames:
            start = time.perf_counter()
            peak = peak_mib(frames, ["--steps", str(options.steps), "--device", "cpu", *others])
            first = first or peak
            print(f"{frames:6}  {peak:8.0f}  {peak / first:5.3f}  {time.perf_counter() - start:7.0f}", flush=True)


def make(folder: Path, image_size: int, precision: str) -> None:
    """Save AniFaceDiff at full size, with random weights."""
    dtype = getattr(torch, precision)
    torch.set_default_dtype(dtype)
    FULL_SIZE["anifacediff"](image_size).to(dtype=dtype).save_pretrained(folder)


def peak_mib(frames: int, options: list[str]) -> float:
    with TemporaryDirectory() as folder:
        driving = looped(Path(folder, "driving.mp4"), frames)
        command = [sys.executable, "-m", "anifacediff", "animate", SAMPLES / "avatar.png", driving]
        with subprocess.Popen([*command, "-o", Path(folder, "out.mp4"), *options]) as process:
            _, status, usage = os.wait4(process.pid, 0)  # of this process alone, unlike RUSAGE_CHILDREN
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(process.returncode)
        return usage.ru_maxrss * RSS_UNIT / 2**20


def looped(path: Path, frames: int) -> Path:
    source = VideoSource(SAMPLES / "driving.mp4")
    with VideoWriter(path, source.fps) as writer:
        for frame in islice(chain.from_iterable(repeat(source)), frames):
            writer.write(frame)
    return path


if __name__ == "__main__":
    main()
