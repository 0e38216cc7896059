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
from collections.abc import Callable, Mapping

import numpy as np
import torch
from full_size import Portrait, faces, full_image_encoder, full_unet, full_vae

from anifacediff.assemblies import AniFaceDiffPipeline, AnimationPipeline, MagicPortraitPipeline, MIMAFacePipeline
from anifacediff.assemblies.magicportrait import magicportrait_scheduler
from anifacediff.assemblies.mimaface import mimaface_scheduler
from anifacediff.assemblies.parts import PRESETS, PresetName, assemble, widen_input
from anifacediff.backbone import InterClipAffinity, ReferenceNet, TemporalModules
from anifacediff.conditioning import FixedPrompt, GeometricGuidanceEncoder, MotionIdentityModulation

MOTION = {"expression": 52, "angles": 3, "translation": 3}  # what the built-in head and the tracker tell


def anifacediff(preset: PresetName, image_size: int) -> AnimationPipeline:
    still = full_unet()
    temporal = TemporalModules.for_unet(still)
    parts = assemble(full_vae(), full_image_encoder(), still, temporal, PRESETS[preset], image_size, "parametric")
    return AniFaceDiffPipeline(**vars(parts))


def magicportrait(image_size: int) -> AnimationPipeline:
    still = full_unet()
    return MagicPortraitPipeline(
        vae=full_vae(),
        prompt=FixedPrompt().eval(),
        reference_net=ReferenceNet.from_unet(still).eval(),
        unet=TemporalModules.for_unet(still).inflate(still).eval(),
        guidance_encoder=GeometricGuidanceEncoder.for_unet(still).eval(),
        scheduler=magicportrait_scheduler(),
        image_size=image_size,
        frame_norm_groups=32,
    )


def mimaface(image_size: int) -> AnimationPipeline:
    still = widen_input(full_unet(), InterClipAffinity(map_channels=4).channels)
    return MIMAFacePipeline(
        vae=full_vae(),
        image_encoder=full_image_encoder(),
        modulation=MotionIdentityModulation(sizes=MOTION).eval(),
        unet=TemporalModules.for_unet(still).inflate(still).eval(),
        scheduler=mimaface_scheduler(),
        image_size=image_size,
        frame_norm_groups=32,
    )


SYSTEMS: Mapping[str, Callable[[int], AnimationPipeline]] = {
    "AniFaceDiff": lambda size: anifacediff("final", size),
    "AniFaceDiff v1": lambda size: anifacediff("v1", size),
    "MagicPortrait": magicportrait,
    "MIMAFace": mimaface,
}


def run(name: str, options: argparse.Namespace) -> None:
    """Build one system, run it, and print its line."""
    warnings.simplefilter("ignore")
    pipe = SYSTEMS[name](options.image_size).to(dtype=getattr(torch, options.dtype))
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
    parser.add_argument("--system", choices=SYSTEMS, help="this one alone, in this process")
    options = parser.parse_args()
    if options.system:
        run(options.system, options)
        return
    print(f"torch {torch.__version__}, {options.dtype}, {options.image_size} px, {options.steps} steps")
    print("system           M weights  guidance  frames  seconds  peak GiB", flush=True)
    for name in SYSTEMS:
        subprocess.run([sys.executable, __file__, *sys.argv[1:], "--system", name], check=True)


if __name__ == "__main__":
    main()
