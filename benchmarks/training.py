"""The loss on drawn avatars falls, with one process and with two to the same curve.

Draws a few clips, prepares them with the tracker of drawn avatars, and trains the small untrained AniFaceDiff: once
alone, once with two processes that `accelerate launch` starts, with the same number of examples in a step.

    python benchmarks/training.py -o /tmp/training
"""

import argparse
import json
import os
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np

from anifacediff.assemblies import AniFaceDiffPipeline
from anifacediff.media import VideoWriter, to_pictures
from anifacediff.synthetic.artist import AvatarArtist
from anifacediff.synthetic.casting import random_avatar
from anifacediff.synthetic.motion import random_motion

LAUNCH = [
    sys.executable,
    *("-m", "accelerate.commands.launch", "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"),
]
ENVIRONMENT = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}


def draw(folder: Path, videos: int, frames: int, size: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    artist = AvatarArtist()
    for seed in range(videos):
        path = folder / f"avatar-{seed}.mp4"
        if path.is_file():
            continue
        avatar = random_avatar(seed)
        motion = artist.parameters(avatar, random_motion(seed, frames), size=size)
        with VideoWriter(path, Fraction(25)) as writer:
            for frame in to_pictures(artist.draw(avatar, motion)):
                writer.write(frame)


def run(*command: object) -> None:
    subprocess.run([*map(str, command)], env=ENVIRONMENT, check=True)


def losses(folder: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--videos", type=int, default=6)
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--size", type=int, default=64)
    args = parser.parse_args()
    out: Path = args.out
    draw(out / "videos", args.videos, args.frames, 128)
    pipe = AniFaceDiffPipeline.untrained(seed=0, image_size=args.size, morphable_model="expressive")
    pipe.save_pretrained(out / "model")
    limits = ["--face", 20, "--sharpness", 1, "--run", 8]
    started = time.monotonic()
    run(sys.executable, "-m", "anifacediff", "prepare", out / "videos", "-o", out / "data", "--model", out / "model",
        "--tracker", "drawn", *limits)  # fmt: skip
    print(f"prepared in {time.monotonic() - started:.0f} s: {(out / 'data' / 'report.json').read_text()}")
    options = ["--model", out / "model", "--steps", args.steps, "--learning-rate", 1e-3, "--warmup", 10, "--workers", 0,
               "--held-out", 1, "--sheet-every", args.steps, "--average", 0.99]  # fmt: skip
    for processes in (1, 2):
        started = time.monotonic()
        shared = ["--multi_gpu"] if processes > 1 else []
        run(*LAUNCH, *shared, "--num_processes", processes, "-m", "anifacediff", "train", "full", out / "data",
            "-o", out / f"run-{processes}", *options, "--batch", 4 // processes)  # fmt: skip
        print(f"{processes} processes: {time.monotonic() - started:.0f} s")
    one, two = (np.array(losses(out / f"run-{processes}")) for processes in (1, 2))
    tenth = max(1, len(one) // 10)
    for name, curve in (("one process", one), ("two processes", two)):
        print(f"{name}: first tenth {curve[:tenth].mean():.4f}, last tenth {curve[-tenth:].mean():.4f}")
    print(f"largest difference of a step's loss: {np.abs(one - two).max():.2e}")


if __name__ == "__main__":
    main()
