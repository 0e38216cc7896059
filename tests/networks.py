"""Tiny real diffusers models."""

import torch
from diffusers import UNet2DConditionModel


def make_unet(**changes: object) -> UNet2DConditionModel:
    torch.manual_seed(0)
    config: dict[str, object] = {
        "sample_size": 8,
        "block_out_channels": (32, 64),
        "layers_per_block": 1,
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
        "cross_attention_dim": 24,
        "attention_head_dim": (2, 4),
        "norm_num_groups": 8,
    }
    unet = UNet2DConditionModel(**{**config, **changes})  # pyright: ignore[reportArgumentType]
    return unet.eval()
