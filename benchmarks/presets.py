"""What each sampling preset, number of steps and cache interval costs in quality, and how long a frame takes, on drawn
avatars under their own motion, with the pipeline that comes with the package.

    OMP_NUM_THREADS=1 python benchmarks/presets.py --identities 4 --frames 8

Scenes and metrics are those of ``anifacediff evaluate``, whose arm ``model`` a row of the same number of steps equals.
Costs are paired differences from the pipeline's own way (``quality``), with a 95 % interval by bootstrap over avatars.
The time is the processor time of ``pipe.stream``, reference and decoding included; the median over the clips.
"""

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import torch
from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler

from anifacediff.assemblies import AniFaceDiffPipeline
from anifacediff.evaluation.bootstrap import interval
from anifacediff.evaluation.pixels import PSNR, SSIM
from anifacediff.evaluation.scenes import Scene, find_suite
from anifacediff.media.pictures import to_images
from anifacediff.sampling import SAMPLING_PRESETS


@dataclass(frozen=True)
class Scores:
    psnr: list[float]
    ssim: list[float]
    seconds: float


def variants(pipe: AniFaceDiffPipeline) -> Mapping[str, dict[str, Any]]:
    named = {name: preset.options(pipe) for name, preset in SAMPLING_PRESETS.items() if name != "lcm"}
    own = {f"{steps} steps": {"num_inference_steps": steps} for steps in (1, 2, 4, 8, 10, 20)}
    cached = {
        f"{steps} steps, cache {every}": {"num_inference_steps": steps, "cache_interval": every}
        for steps, every in ((8, 2), (8, 4), (20, 2), (20, 3), (20, 5))
    }
    unipc = UniPCMultistepScheduler.from_config(pipe.scheduler.config, timestep_spacing="trailing")  # pyright: ignore[reportAttributeAccessIssue]
    others = {"4 steps, UniPC": {"num_inference_steps": 4, "scheduler": unipc}}
    return {**named, **own, **others, **cached}


def score(pipe: AniFaceDiffPipeline, scenes: Sequence[Scene], options: Mapping[str, Any]) -> Scores:
    psnr: list[float] = []
    ssim: list[float] = []
    seconds: list[float] = []
    for scene in scenes:
        began = time.process_time()
        frames = [frame.image for frame in pipe.stream(scene.portrait, scene.driving, **options)]
        seconds.append((time.process_time() - began) / len(frames))
        clip = scene.animation(to_images(np.stack(frames)))
        psnr.append(PSNR()(clip))
        ssim.append(SSIM()(clip))
    return Scores(psnr, ssim, median(seconds))


def line(found: Scores, best: Scores) -> str:
    cost = interval(torch.tensor(found.psnr).double() - torch.tensor(best.psnr).double())
    psnr, ssim = (float(np.mean(column)) for column in (found.psnr, found.ssim))
    return (
        f"{psnr:.2f} | {cost.mean:+.2f} [{cost.low:+.2f}, {cost.high:+.2f}] | {ssim:.3f} | {1000 * found.seconds:.0f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--identities", type=int, default=4)
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--start", choices=("zeros", "noise", "shared"))
    given = parser.parse_args()
    pipe = AniFaceDiffPipeline.nano()
    pipe.set_progress_bar_config(disable=True)
    suite = find_suite("nano", identities=given.identities, drivers=1, frames=given.frames, size=128)
    scenes = [scene for scene in suite.scenes() if scene.task == "same"]
    score(pipe, scenes[:1], {"num_inference_steps": 1})  # the first run is slower
    print("| | PSNR | cost in dB | SSIM | ms a frame |\n|---|---:|---|---:|---:|", flush=True)
    best = None
    for name, options in variants(pipe).items():
        found = score(pipe, scenes, {**options, "start": given.start})
        best = found if best is None else best
        print(f"| {name} | {line(found, best)} |", flush=True)


if __name__ == "__main__":
    main()
