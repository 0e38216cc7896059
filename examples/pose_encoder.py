"""PoseEncoder alone: stock Stable Diffusion is told where the head is, frame by frame; writes maps and pictures."""

import sys

import numpy as np
import torch
from tiny import pretend_trained, stable_diffusion, turning_head

from anifacediff.conditioning import FacialAlignment, PoseEncoder
from anifacediff.geometry import ParametricHead
from anifacediff.media import side_by_side, to_pictures, write_image

head = ParametricHead()
driving = turning_head(head, 3)
maps = FacialAlignment(head, image_size=128)(driving[:1], driving).normal
assert maps is not None  # normal maps are drawn unless others are asked for

pipe = stable_diffusion()
encoder = pretend_trained(PoseEncoder.for_unet(pipe.unet))
latents = torch.randn(1, 4, 16, 16).expand(3, -1, -1, -1)
options = {"num_images_per_prompt": 3, "latents": latents, "num_inference_steps": 5}
with torch.no_grad(), encoder.attach(pipe.unet):
    images = pipe("a fox", **options, cross_attention_kwargs=encoder(maps)).images
path = sys.argv[1] if len(sys.argv) > 1 else "pose_encoder.png"
write_image(path, side_by_side([*to_pictures(maps), *map(np.array, images)]))
