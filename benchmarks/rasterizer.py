"""Time the whole geometry pass on the built-in head: vertex normals, raster, interpolation, normalisation, picture.

Prints milliseconds per frame, and the same in units of a reference operation timed in between (a product of two
1024 x 1024 matrices), which carries over between machines better. One CPU thread unless told otherwise::

    python benchmarks/rasterizer.py [--device cuda] [--threads 1] [--repeats 15]
"""

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from anifacediff.geometry import ParametricHead, SpanRasterizer, WeakPerspective
from anifacediff.geometry.faces import Box
from anifacediff.geometry.snapshots import Topology, render_maps

COVERAGE = 0.58  # of the frame, as the head of the prototype whose figures the target comes from


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    print(f"{machine(device)}; torch {torch.__version__}; {options.threads} CPU threads")
    print("size  frames  covered  fastest ms/frame  median ms/frame  median / reference")
    for size in (256, 512):
        for frames in (1, 24):
            report(size, frames, device, options.repeats if frames == 1 else max(options.repeats // 5, 2))


@torch.inference_mode()
def report(size: int, frames: int, device: torch.device, repeats: int) -> None:
    draw = geometry_pass(size, frames, device)
    matrix = torch.rand(1024, 1024, device=device)
    covered = draw().float().mean().item()
    times = [(seconds(draw, device), seconds(lambda: matrix @ matrix, device)) for _ in range(repeats)]
    draws, references = zip(*times, strict=True)
    best, median = (1000 * statistic(draws) / frames for statistic in (min, statistics.median))
    ratio = median / (1000 * statistics.median(references))
    print(f"{size:4}  {frames:6}  {covered:7.0%}  {best:16.2f}  {median:15.2f}  {ratio:18.2f}")


def geometry_pass(size: int, frames: int, device: torch.device) -> Callable[[], Tensor]:
    """Build a function that draws the head, slightly turned in every frame, and returns the mask."""
    head = ParametricHead().to(device)
    pose = torch.zeros(frames, len(head.joint_names), 3, device=device)
    pose[:, 0, 1] = torch.linspace(-0.4, 0.4, frames, device=device)
    neutral = (torch.zeros(frames, count, device=device) for count in (head.num_shape, head.num_expression))
    vertices = head(*neutral, pose)
    topology = Topology.of(head.triangles)

    def draw(camera: WeakPerspective) -> Tensor:
        return render_maps(vertices, topology, camera, size=(size, size), rasterizer=SpanRasterizer()).mask

    zoom = 1.0
    for _ in range(4):
        camera = filling_camera(vertices, size, zoom)
        zoom *= (COVERAGE / draw(camera).float().mean().item()) ** 0.5
    return lambda: draw(filling_camera(vertices, size, zoom))


def filling_camera(vertices: Tensor, size: int, zoom: float) -> WeakPerspective:
    """See the head in the middle of the picture, as high as the picture times ``zoom``."""
    box = Box.around(vertices[..., :2])
    scale = zoom * size / box.height
    center = box.center * torch.tensor([1.0, -1.0], device=vertices.device) * scale[:, None]
    return WeakPerspective(scale, size / 2 - center)


def seconds(work: Callable[[], object], device: torch.device) -> float:
    start = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def machine(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    described = Path("/proc/cpuinfo")
    lines = described.read_text().splitlines() if described.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
