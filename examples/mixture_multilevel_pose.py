"""AniPortrait's multi-level pose beside AniFaceDiff's ExpressionAdapter: stock Stable Diffusion reads both at once.

Weights are random, so that the pictures mean nothing; below the maps, pose alone, expression alone, then both.
"""

import sys

import numpy as np
import torch
from tiny import pretend_trained, stable_diffusion, turning_head

from anifacediff.conditioning import ExpressionAdapter, FacialAlignment, MultiLevelPoseEncoder
from anifacediff.geometry import ParametricHead
from anifacediff.media import side_by_side, to_pictures, write_image

head = ParametricHead()
driving = turning_head(head, 3)
maps = FacialAlignment(head, image_size=128)(driving[:1], driving).normal
assert maps is not None  # normal maps are drawn unless others are asked for

pipe = stable_diffusion()
adapter = pretend_trained(ExpressionAdapter.for_unet(pipe.unet, expression_dim=head.num_expression))
encoder = MultiLevelPoseEncoder.for_unet(pipe.unet, attention_heads=2, attention_head_dim=8).eval()
torch.nn.init.normal_(encoder.conv_out.weight, std=0.2)  # zero until trained
options = {"num_images_per_prompt": 3, "latents": torch.randn(1, 4, 16, 16).expand(3, -1, -1, -1)}
rows = [side_by_side([*to_pictures(maps)])]
with torch.no_grad(), adapter.attach(pipe.unet), encoder.attach(pipe.unet):
    pose, expression = encoder(2 * maps - 1), adapter(driving.expression, guidance=True)
    for condition in (pose, expression, pose | expression):
        images = pipe("a fox", **options, num_inference_steps=4, cross_attention_kwargs=condition).images
        rows.append(side_by_side([*map(np.array, images)]))
write_image(sys.argv[1] if len(sys.argv) > 1 else "mixture_multilevel_pose.png", np.concatenate(rows))
