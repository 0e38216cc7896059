"""ImageTokens alone: a picture takes the place of the prompt in stock Stable Diffusion."""

import sys

import torch
from tiny import image_encoder, portrait, stable_diffusion

from anifacediff.conditioning import ImageTokens

pipe = stable_diffusion()
tokens = ImageTokens(image_encoder())
with torch.no_grad():
    token = tokens(portrait())
print("one token of width", token.shape[-1])

result = pipe(
    prompt_embeds=token,
    negative_prompt_embeds=torch.zeros_like(token),
    num_inference_steps=5,
)
result.images[0].save(sys.argv[1] if len(sys.argv) > 1 else "image_tokens.png")
