"""Time and peak memory of every system at Stable Diffusion 1.5 size, with random weights, side by side.

Each runs a few steps on a few frames, at its usual guidance, in a process of its own::

    python benchmarks/systems.py [--frames 4] [--steps 2] [--image-size 256] [--dtype bfloat16]
"""

import argparse
import resource
import subprocess
import sys
import time
import warnings

import numpy as np
import torch
from turning_head import Portrait, faces

from anifacediff.profiling import FULL_SIZE


def run(name: str, options: argparse.Namespace) -> None:
    """Build one system, run it, and print its line."""
    warnings.simplefilter("ignore")
    pipe = FULL_SIZE[name](options.image_size).to(dtype=getattr(torch, options.dtype))
    pipe.set_progress_bar_config(disable=True)
    weights = sum(part.numel() for model in pipe.components.values() for part in getattr(model, "parameters", list)())
    reference, driving = Portrait(np.zeros((256, 256, 3), np.uint8), faces(pipe, 1)), faces(pipe, options.frames)
    start = time.perf_counter()
    made = sum(1 for _ in pipe.stream(reference, driving, num_inference_steps=options.steps))
    taken = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 2**30
    print(
        f"{name:15}  {weights / 1e6:9.0f}  {pipe.usual_guidance:8.1f}  {made:6d}  {taken:7.1f}  {peak:8.1f}", flush=True
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=4)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--image-size", type=int, default=256)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--system", choices=FULL_SIZE, help="this one alone, in this process")
    options = parser.parse_args()
    if options.system:
        run(options.system, options)
        return
    print(f"torch {torch.__version__}, {options.dtype}, {options.image_size} px, {options.steps} steps")
    print("system           M weights  guidance  frames  seconds  peak GiB", flush=True)
    for name in FULL_SIZE:
        subprocess.run([sys.executable, __file__, *sys.argv[1:], "--system", name], check=True)


if __name__ == "__main__":
    main()
