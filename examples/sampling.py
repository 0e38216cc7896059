"""Sampling alone: a clip leaves from the front while its end is still noise; a toy stands for the denoiser."""

import sys
from collections.abc import Sequence

import torch
from diffusers import DDIMScheduler
from torch import Tensor

from anifacediff.media import to_pictures, write_image
from anifacediff.sampling import FrameNoise, open_windows, stream_latents

ramp = torch.linspace(-1, 1, 4 * 64).view(4, 1, 64).expand(4, 16, 64)
scheduler = DDIMScheduler(clip_sample=False, prediction_type="sample")
evaluated = 0


def denoise(latents: Tensor, timestep: Tensor, frames: Sequence[int]) -> Tensor:
    """Predict the clean clip: a ramp that moves on by one column a frame."""
    global evaluated
    evaluated += 1
    return torch.stack([ramp.roll(frame, dims=-1) for frame in frames])


clip: list[Tensor] = []
stream = stream_latents(
    denoise, scheduler, windows=open_windows(40, size=8, overlap=2), noise=FrameNoise(0, (4, 16, 64)), num_steps=4
)
for segment in stream:
    clip += segment
    print(f"{len(clip)} of 40 frames after {evaluated} evaluations")
rows = (torch.stack(clip)[:, 0, 0] / 2 + 0.5).repeat_interleave(4, dim=0)  # the first row of every frame
write_image(sys.argv[1] if len(sys.argv) > 1 else "sampling.png", to_pictures(rows.expand(1, 3, -1, -1))[0])
