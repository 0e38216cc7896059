"""Fixtures shared by the tests."""

import pytest
import torch
from diffusers import UNet2DConditionModel, UNetMotionModel
from networks import make_unet

from anifacediff.backbone.temporal import TemporalModules


@pytest.fixture
def unet() -> UNet2DConditionModel:
    return make_unet()


@pytest.fixture
def video_unet(unet: UNet2DConditionModel) -> UNetMotionModel:
    temporal = TemporalModules.for_unet(unet, heads=4, max_frames=16)
    for parameter in temporal.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    return temporal.attach(unet).eval()
