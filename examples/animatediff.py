"""All components, from the registry, in a stock AnimateDiffPipeline through its own call; writes an animation."""

# The registry promises what the contracts do: not that a component is a torch module, or a MotionAdapter.
# pyright: reportArgumentType=false

import sys
from typing import Any

import torch
from diffusers import AnimateDiffPipeline
from tiny import portrait, pretend_trained, save_clip, stable_diffusion, turning_head

from anifacediff import registry
from anifacediff.conditioning import PoseEncoder

sd = stable_diffusion()
head = registry.morphable_models["parametric"]()
align = registry.control_renderers["facial_alignment"](head, image_size=128)
adapter = registry.attention_adapters["expression"].for_unet(sd.unet, expression_dim=head.num_expression)
reference_net = registry.reference_nets["reference_net"].from_unet(sd.unet)
temporal = registry.temporal_modules["animatediff"].for_unet(sd.unet)
pose_encoder = PoseEncoder.for_unet(sd.unet)
for part in (adapter, temporal, pose_encoder):
    pretend_trained(part)
unet = temporal.inflate(sd.unet)
pipe: Any = AnimateDiffPipeline(sd.vae, sd.text_encoder, sd.tokenizer, unet, temporal, sd.scheduler)

driving = turning_head(head, 8)
maps = align(driving[:1], driving)
with torch.no_grad(), adapter.attach(unet), reference_net.attach(unet), pose_encoder.attach(unet):
    tokens, _ = pipe.encode_prompt("a fox", "cpu", 1, False)
    latents = pipe.vae.encode(portrait() * 2 - 1).latent_dist.mode() * pipe.vae.config.scaling_factor
    conditions = adapter(driving.expression, guidance=True) | pose_encoder(maps.normal)
    conditions |= reference_net.read(latents, tokens, unet, guidance=True)
    result = pipe("a fox", num_frames=8, num_inference_steps=5, guidance_scale=3.5, cross_attention_kwargs=conditions)
save_clip(result.frames[0], sys.argv[1] if len(sys.argv) > 1 else "animatediff.gif")
