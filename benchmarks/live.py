"""Measure frames in, frames out on this machine: latency from capture to result, and frames per second.

The bundled clip is played at its own speed, again and again, as a camera would; nano animates the bundled avatar::

    python benchmarks/live.py [--steps 1 2] [--seconds 20] [--device cpu] [--threads N]

The latency is from when the source gave a frame to when its result was ready, so it holds the wait for the frame
before. With a busy machine trust the ratios, not the seconds.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8

from anifacediff.assemblies import AniFaceDiffPipeline
from anifacediff.geometry import FaceParameters, LandmarkedModel
from anifacediff.live import FrameAnimator, LiveRun, LiveTracker, at_own_speed
from anifacediff.media import VideoSource, read_image
from anifacediff.tracking import TrackedImage, default_tracker, track_image

SAMPLES = Path(__file__).parents[1] / "examples" / "media"
WARM_UP = 3  # results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    pipe = AniFaceDiffPipeline.nano().to(options.device)
    picture, margin = read_image(SAMPLES / "avatar.png"), pipe.config["crop_margin"]
    avatar = track_image(picture, tracker=default_tracker(), model=head_of(pipe), margin=margin)
    print(f"torch {torch.__version__}, {options.threads} threads, {options.device}; source: 24 frames per second")
    print("steps   latency ms: median   95 %    frames per second   tracking ms a frame")
    for steps in options.steps:
        measure(pipe, avatar, steps, options.seconds)


def measure(pipe: AniFaceDiffPipeline, avatar: TrackedImage, steps: int, seconds: float) -> None:
    follow = LiveTracker(default_tracker(), head_of(pipe), margin=pipe.config["crop_margin"])
    tracking: list[float] = []

    def track(image: UInt8[np.ndarray, "h w 3"]) -> FaceParameters | None:
        began = time.perf_counter()
        found = follow(image)
        tracking.append(time.perf_counter() - began)
        return found

    latencies: list[float] = []
    with LiveRun(camera(), FrameAnimator(pipe, avatar, track, num_inference_steps=steps)) as run:
        results = iter(run)
        for _ in range(WARM_UP):
            next(results)
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            latencies.append(next(results).latency)
        took = time.monotonic() - began
    median, late = 1000 * np.median(latencies), 1000 * np.percentile(latencies, 95)
    rate, tracked = len(latencies) / took, 1000 * np.median(tracking)
    print(f"{steps:5}   {median:18.0f}  {late:5.0f}    {rate:17.1f}   {tracked:19.0f}", flush=True)


def head_of(pipe: AniFaceDiffPipeline) -> LandmarkedModel:
    model = pipe.alignment.morphable_model
    assert isinstance(model, LandmarkedModel)
    return model


def camera() -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    while True:
        yield from at_own_speed(VideoSource(SAMPLES / "driving.mp4"))


if __name__ == "__main__":
    main()
