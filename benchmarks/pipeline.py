"""Time AniFaceDiff's denoiser beside the bare one it is attached to, at full or small size, with random weights.

Prints for each precision the seconds of one evaluation of a window, its ratio to the stock ``UNetMotionModel``
with nothing attached, and the peak memory of the device; then the frames per second of a whole run::

    python benchmarks/pipeline.py [--size full] [--device cuda] [--dtypes float32 bfloat16] [--compile]
"""

import argparse
import platform
import resource
import statistics
import time
import warnings
from collections.abc import Callable

import numpy as np
import torch
from full_size import Portrait, faces, full_image_encoder, full_unet, full_vae

from anifacediff.assemblies.anifacediff import AniFaceDiffPipeline
from anifacediff.assemblies.parts import PRESETS, assemble, small_parts
from anifacediff.backbone.temporal import TemporalModules


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=("small", "full"), default="small")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtypes", nargs="+", default=["float32"])
    parser.add_argument("--image-size", type=int, default=256)
    parser.add_argument("--frames", type=int, default=24, help="of a window")
    parser.add_argument("--clip", type=int, default=0, help="frames of the whole run; 0 for none")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--compile", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    print(f"{platform.processor() or platform.machine()}, {device_name(options.device)}; torch {torch.__version__}")
    pipe = build(options.size, options.image_size, options.device)
    print("dtype      bare s   ours s   ratio   peak GiB")
    for name in options.dtypes:
        pipe.to(dtype=getattr(torch, name))
        report(pipe, name, options)


def build(size: str, image_size: int, device: str) -> AniFaceDiffPipeline:
    with torch.device(device):
        if size == "small":
            parts = small_parts(seed=0, preset="final", image_size=image_size, morphable_model="parametric")
            return AniFaceDiffPipeline(**vars(parts)).to(device)
        unet = full_unet()
        parts = assemble(
            full_vae(),
            full_image_encoder(),
            unet,
            TemporalModules.for_unet(unet),
            PRESETS["final"],
            image_size,
            "parametric",
            everything=True,
        )
    return AniFaceDiffPipeline(**vars(parts)).to(device)


@torch.no_grad()
def report(pipe: AniFaceDiffPipeline, dtype: str, options: argparse.Namespace) -> None:
    reference, driving = Portrait(np.zeros((256, 256, 3), np.uint8), faces(pipe, 1)), faces(pipe, options.frames)
    clip = pipe.prepare(reference, driving, 1.0)
    side = options.image_size // 8
    latents = torch.randn(options.frames, 4, side, side, device=options.device, dtype=pipe.unet.dtype)
    frames, timestep = range(options.frames), torch.tensor(500, device=options.device)
    video, context = latents.transpose(0, 1)[None], clip.token.expand(options.frames, -1, -1)
    if options.compile:
        pipe.unet.compile(fullgraph=True)
    if options.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    ours = seconds(lambda: clip(latents, timestep, frames), options)
    bare = seconds(lambda: pipe.unet(video, timestep, context), options)
    print(f"{dtype:9}  {bare:6.3f}   {ours:6.3f}   {ours / bare:5.2f}   {peak_gib(options.device):8.2f}")
    if options.clip:
        start = time.perf_counter()
        made = sum(1 for _ in pipe.stream(reference, faces(pipe, options.clip), num_inference_steps=options.steps))
        print(f"  {made} frames of {options.image_size} px, {options.steps} steps: {time.perf_counter() - start:.1f} s")


def seconds(call: Callable[[], object], options: argparse.Namespace) -> float:
    """The median time of a call, after one to warm up."""
    times: list[float] = []
    for _ in range(options.repeats + 1):
        start = time.perf_counter()
        call()
        if options.device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def peak_gib(device: str) -> float:
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def device_name(device: str) -> str:
    return torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()} threads"


if __name__ == "__main__":
    main()
