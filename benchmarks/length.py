"""Time and memory against the length of a clip: a frame's pass through the denoiser should cost the same at any length.

Streams clips through a small pipeline with random weights, and prints what a pass of one frame takes: of the denoiser
alone, and of everything (control maps, conditions, scheduler, VAE), in milliseconds, with its ratio to that of the
first length, beside the peak memory while the clip is made. The lengths take turns; figures are medians::

    python benchmarks/length.py [--frames 50 200 800] [--steps 2] [--image-size 64] [--repeats 5]
"""

import argparse
import statistics
import warnings

import numpy as np
import torch
from turning_head import Portrait, faces

from anifacediff.assemblies import AniFaceDiffPipeline
from anifacediff.profiling import Stopwatch, watched
from anifacediff.profiling.stages import DENOISER


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, nargs="+", default=[50, 200, 800])
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    pipe = AniFaceDiffPipeline.untrained(image_size=options.image_size)
    run(pipe, pipe.usual_window, options.steps)
    turns = [[run(pipe, frames, options.steps) for frames in options.frames] for _ in range(options.repeats)]
    print("frames  passes  denoiser ms  ratio  all ms  ratio  peak MiB")
    first = None
    for frames, taken in zip(options.frames, zip(*turns, strict=True), strict=True):
        passes, denoiser, everything, peak = (statistics.median(figures) for figures in zip(*taken, strict=True))
        each, all_of_it = denoiser / passes * 1e3, everything / passes * 1e3
        first = first or (each, all_of_it)
        print(
            f"{frames:6}  {passes:6}  {each:11.3f}  {each / first[0]:5.3f}  {all_of_it:6.3f}  "
            f"{all_of_it / first[1]:5.3f}  {peak / 2**20:8.0f}",
            flush=True,
        )


def run(pipe: AniFaceDiffPipeline, frames: int, steps: int) -> tuple[int, float, float, int]:
    """Passes of a frame, seconds of the denoiser and in all, and the peak in bytes."""
    reference = Portrait(np.zeros((256, 256, 3), np.uint8), faces(pipe, 1))
    watch = Stopwatch(torch.device("cpu"))
    with watched(pipe, watch):
        for _ in pipe.stream(reference, faces(pipe, frames), num_inference_steps=steps):
            pass
    spent = watch.spent
    passes = spent[DENOISER].calls * min(frames, pipe.usual_window)
    everything = sum(each.seconds for each in spent.values())
    return passes, spent[DENOISER].seconds, everything, max(each.peak or 0 for each in spent.values())


if __name__ == "__main__":
    main()
