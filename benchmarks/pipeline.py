"""Time AniFaceDiff's denoiser beside the bare one it is attached to, at full or small size, with random weights.

Prints for each precision the seconds of one evaluation of a window, of all processor cores together and by the clock,
their ratio to the stock ``UNetMotionModel`` with nothing told (the two take turns), the difference of the prediction
from that of the first precision, and the peak memory; then the frames per second of a whole run::

    python benchmarks/pipeline.py [--size full] [--device cuda] [--dtypes float32 bfloat16] [--compile]

At full size ReferenceNet shares the denoiser's weights until the precision changes, to fit into small machines.
"""

import argparse
import platform
import resource
import statistics
import time
import warnings
from collections.abc import Callable, Sequence

import numpy as np
import torch
from turning_head import Portrait, faces

from anifacediff.assemblies import AniFaceDiffPipeline
from anifacediff.profiling import FULL_SIZE
from anifacediff.shapes import Tensor


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
    if options.compile:
        pipe.compile_denoiser()
    print("dtype      core s bare   ours  ratio    clock s bare   ours  ratio   difference   peak GiB", flush=True)
    first = None
    for name in options.dtypes:
        pipe.to(dtype=getattr(torch, name))
        predicted = report(pipe, name, options, first)
        first = predicted if first is None else first


def build(size: str, image_size: int, device: str) -> AniFaceDiffPipeline:
    torch.manual_seed(0)
    if size == "small":
        return AniFaceDiffPipeline.untrained(image_size=image_size).to(device)
    pipe = FULL_SIZE["anifacediff"](image_size)
    assert isinstance(pipe, AniFaceDiffPipeline)
    own = pipe.unet.state_dict(keep_vars=True)
    shared = {key: own[key] for key in pipe.reference_net.state_dict()}
    pipe.reference_net.load_state_dict(shared, assign=True)
    return pipe.to(device)


@torch.no_grad()
def report(pipe: AniFaceDiffPipeline, dtype: str, options: argparse.Namespace, first: Tensor | None) -> Tensor:
    reference, driving = Portrait(np.zeros((256, 256, 3), np.uint8), faces(pipe, 1)), faces(pipe, options.frames)
    clip = pipe.prepare(reference, driving, 1.0)
    side = options.image_size // 8
    noise = torch.randn(options.frames, 4, side, side, generator=torch.Generator().manual_seed(0))
    latents = noise.to(options.device, pipe.unet.dtype)
    frames, timestep = range(options.frames), torch.tensor(500, device=options.device)
    video, context = latents.transpose(0, 1)[None], clip.token.expand(options.frames, -1, -1)
    if options.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    predicted = clip(latents, timestep, frames).float()
    core, clock = seconds(
        (lambda: pipe.unet(video, timestep, context), lambda: clip(latents, timestep, frames)), options
    )
    off = 0.0 if first is None else ((predicted - first).norm() / first.norm()).item()
    print(
        f"{dtype:9}     {core[0]:8.3f} {core[1]:6.3f}  {core[1] / core[0]:5.3f}       {clock[0]:8.3f} {clock[1]:6.3f}  "
        f"{clock[1] / clock[0]:5.3f}   {off:10.1e}   {peak_gib(options.device):8.2f}",
        flush=True,
    )
    if options.clip:
        start = time.perf_counter()
        made = sum(1 for _ in pipe.stream(reference, faces(pipe, options.clip), num_inference_steps=options.steps))
        print(f"  {made} frames of {options.image_size} px, {options.steps} steps: {time.perf_counter() - start:.1f} s")
    return predicted


def seconds(calls: Sequence[Callable[[], object]], options: argparse.Namespace) -> tuple[list[float], list[float]]:
    """The median times of some calls that take turns: of all cores together, and by the clock."""
    times: list[list[tuple[float, float]]] = [[] for _ in calls]
    for _ in range(options.repeats):
        for call, taken in zip(calls, times, strict=True):
            core, clock = time.process_time(), time.perf_counter()
            call()
            if options.device == "cuda":
                torch.cuda.synchronize()
            taken.append((time.process_time() - core, time.perf_counter() - clock))
    core, clock = zip(*(map(statistics.median, zip(*taken, strict=True)) for taken in times), strict=True)
    return list(core), list(clock)


def peak_gib(device: str) -> float:
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def device_name(device: str) -> str:
    return torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()} threads"


if __name__ == "__main__":
    main()
