"""MagicPortrait's three maps beside AniFaceDiff's ExpressionAdapter: stock Stable Diffusion reads both at once.

Weights are random, so that the pictures mean nothing; below the maps, guidance alone, expression alone, then both.
"""

import sys

import numpy as np
import torch
from tiny import pretend_trained, stable_diffusion, turning_head

from anifacediff.conditioning import ExpressionAdapter, FacialAlignment, GeometricGuidanceEncoder
from anifacediff.geometry import ParametricHead
from anifacediff.media import side_by_side, to_pictures, write_image

head = ParametricHead()
driving = turning_head(head, 3)
align = FacialAlignment(head, image_size=128, anchor="camera", maps=("depth", "normal", "shaded"))
maps = align(driving[:1], driving)

pipe = stable_diffusion()
adapter = pretend_trained(ExpressionAdapter.for_unet(pipe.unet, expression_dim=head.num_expression))
encoder = pretend_trained(GeometricGuidanceEncoder.for_unet(pipe.unet))
options = {"num_images_per_prompt": 3, "latents": torch.randn(1, 4, 16, 16).expand(3, -1, -1, -1)}
rows = [side_by_side([*to_pictures(encoder.stack(maps)[:, 3:6])])]  # of depth, normal and shaded the second
with torch.no_grad(), adapter.attach(pipe.unet), encoder.attach(pipe.unet):
    guidance, expression = encoder(encoder.stack(maps)), adapter(driving.expression, guidance=True)
    for condition in (guidance, expression, guidance | expression):
        images = pipe("a fox", **options, num_inference_steps=4, cross_attention_kwargs=condition).images
        rows.append(side_by_side([*map(np.array, images)]))
write_image(sys.argv[1] if len(sys.argv) > 1 else "mixture_guidance.png", np.concatenate(rows))
