"""ReferenceNet alone: stock Stable Diffusion without and with a look at a reference picture."""

import sys

import numpy as np
import torch
from tiny import portrait, stable_diffusion

from anifacediff.backbone import ReferenceNet
from anifacediff.media import side_by_side, write_image

pipe = stable_diffusion()
reference_net = ReferenceNet.from_unet(pipe.unet)
call = {"prompt": "a fox", "num_inference_steps": 5, "latents": torch.randn(1, 4, 16, 16)}

without = pipe(**call).images[0]
with torch.no_grad(), reference_net.attach(pipe.unet):
    context, _ = pipe.encode_prompt("a fox", "cpu", 1, False)
    latents = pipe.vae.encode(portrait() * 2 - 1).latent_dist.mode() * pipe.vae.config.scaling_factor
    condition = reference_net.read(latents, context, pipe.unet, guidance=True)
    given = pipe(**call, cross_attention_kwargs=condition).images[0]
path = sys.argv[1] if len(sys.argv) > 1 else "reference_net.png"
write_image(path, side_by_side([np.array(without), np.array(given)], labels=["without", "with"]))
