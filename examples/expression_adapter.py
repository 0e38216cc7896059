"""ExpressionAdapter alone: four pictures from one noise by stock Stable Diffusion, one for each expression."""

import sys

import numpy as np
import torch
from tiny import pretend_trained, stable_diffusion

from anifacediff.conditioning import ExpressionAdapter
from anifacediff.media import side_by_side, write_image

pipe = stable_diffusion()
adapter = pretend_trained(ExpressionAdapter.for_unet(pipe.unet, expression_dim=50))

expression = torch.zeros(4, 50)
expression[:, 0] = torch.linspace(0, 3, 4)  # the first coefficient, in standard deviations
latents = torch.randn(1, 4, 16, 16).expand(4, -1, -1, -1)
with adapter.attach(pipe.unet):
    result = pipe(
        "a fox",
        num_images_per_prompt=4,
        latents=latents,
        num_inference_steps=5,
        cross_attention_kwargs=adapter(expression, guidance=True),
    )
path = sys.argv[1] if len(sys.argv) > 1 else "expression_adapter.png"
write_image(path, side_by_side([np.array(picture) for picture in result.images]))
