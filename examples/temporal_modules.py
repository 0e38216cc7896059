"""TemporalModules alone: a stock 2D denoiser becomes a video denoiser, and comes back; writes an animation."""

import sys
from typing import Any

import torch
from diffusers import AnimateDiffPipeline
from tiny import pretend_trained, save_clip, stable_diffusion

from anifacediff.backbone import TemporalModules

sd = stable_diffusion()
temporal = pretend_trained(TemporalModules.for_unet(sd.unet, max_frames=16))
video_unet = temporal.inflate(sd.unet)  # shares every weight with sd.unet, which stays as it is

pipe: Any = AnimateDiffPipeline(sd.vae, sd.text_encoder, sd.tokenizer, video_unet, temporal, sd.scheduler)
frames = pipe("a fox", num_frames=8, num_inference_steps=5).frames[0]
save_clip(frames, sys.argv[1] if len(sys.argv) > 1 else "temporal_modules.gif")

restored = TemporalModules.deflate(video_unet)
sample, context = torch.randn(1, 4, 16, 16), torch.randn(1, 1, 32)
assert torch.equal(restored(sample, 5, context).sample, sd.unet(sample, 5, context).sample)
print("detached: the 2D denoiser predicts what it did before, bit for bit")
