"""Networks of Stable Diffusion 1.5's size with random weights, and a turning head, for the benchmarks."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from anifacediff.assemblies import AnimationPipeline
from anifacediff.geometry import Box, FaceParameters, WeakPerspective


@dataclass(frozen=True)
class Portrait:
    image: np.ndarray
    parameters: FaceParameters


def full_unet() -> UNet2DConditionModel:
    return UNet2DConditionModel(cross_attention_dim=768).eval()


def full_vae() -> AutoencoderKL:
    config: dict[str, Any] = {
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
        "block_out_channels": (128, 256, 512, 512),
        "layers_per_block": 2,
    }
    return AutoencoderKL(**config).eval()


def full_image_encoder() -> CLIPVisionModelWithProjection:
    config = CLIPVisionConfig(
        hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16, patch_size=14
    )
    config.projection_dim = 768
    return CLIPVisionModelWithProjection(config).eval()


def faces(pipe: AnimationPipeline, frames: int) -> FaceParameters:
    model = pipe.alignment.morphable_model
    turn = torch.zeros(frames, len(model.joint_names), 3)
    turn[:, 0, 1] = torch.linspace(-0.3, 0.3, frames)
    return FaceParameters(
        shape=torch.zeros(frames, model.num_shape),
        expression=torch.zeros(frames, model.num_expression),
        pose=turn,
        camera=WeakPerspective(torch.full((frames,), 900.0), torch.full((frames, 2), 128.0)),
        box=Box(torch.tensor([[60.0, 60.0, 190.0, 190.0]]).expand(frames, 4)),
        canvas=(256, 256),
    )
