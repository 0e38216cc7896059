"""MIMAFace's inter-clip affinity inside AniFaceDiff: each clip of four frames continues the clip before.

Weights are random, so that the pictures mean nothing.
"""

import sys
from collections.abc import Sequence

import torch
from tiny import pretend_trained, stable_diffusion, turning_head
from torch import Tensor

from anifacediff.assemblies.parts import widen_input
from anifacediff.backbone import InterClipAffinity
from anifacediff.conditioning import ExpressionAdapter, FacialAlignment, PoseEncoder
from anifacediff.geometry import ParametricHead
from anifacediff.media import side_by_side, to_pictures, write_image
from anifacediff.sampling import ClipChain, Denoiser, FrameNoise, stream_chained

head, pipe, affinity = ParametricHead(), stable_diffusion(), InterClipAffinity()
driving, unet = turning_head(head, 7), pretend_trained(widen_input(pipe.unet, affinity.channels))
adapter = pretend_trained(ExpressionAdapter.for_unet(unet, expression_dim=head.num_expression))
encoder, align = pretend_trained(PoseEncoder.for_unet(unet)), FacialAlignment(head, image_size=128)
maps = align(driving[:1], driving).normal
assert maps is not None  # normal maps are drawn unless others are asked for
pose = encoder(maps)["pose_features"]


def begin(previous: Tensor, frames: Sequence[int]) -> Denoiser:
    rows = list(frames)
    told = {"pose_features": pose[rows], **adapter(driving.expression[rows])}
    told |= affinity(previous, num_frames=len(rows))

    def denoise(latents: Tensor, timestep: Tensor, frames: Sequence[int]) -> Tensor:
        return unet(latents, timestep, torch.zeros(len(rows), 1, 32), cross_attention_kwargs=told).sample

    return denoise


with torch.no_grad(), affinity.attach(unet), encoder.attach(unet), adapter.attach(unet):
    chain, noise = ClipChain(7, size=4, overlap=1), FrameNoise(0, (4, 16, 16))
    latents = torch.cat(list(stream_chained(begin, pipe.scheduler, chain=chain, noise=noise, num_steps=4)))
    pictures = to_pictures(pipe.vae.decode(latents).sample.sigmoid())
write_image(sys.argv[1] if len(sys.argv) > 1 else "mixture_continued.png", side_by_side([*pictures]))
