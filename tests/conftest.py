"""Tiny real diffusers models, shared by the tests."""

import pytest
import torch
from diffusers import UNet2DConditionModel, UNetMotionModel

from anifacediff.backbone.temporal import TemporalModules


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


@pytest.fixture
def unet() -> UNet2DConditionModel:
    return make_unet()


@pytest.fixture
def video_unet(unet: UNet2DConditionModel) -> UNetMotionModel:
    temporal = TemporalModules.for_unet(unet, heads=4, max_frames=16)
    for parameter in temporal.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    return temporal.attach(unet).eval()
