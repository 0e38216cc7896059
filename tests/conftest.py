"""Fixtures shared by the tests."""

import logging
from collections.abc import Generator

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
    return temporal.inflate(unet).eval()


@pytest.fixture
def diffusers_log(caplog: pytest.LogCaptureFixture) -> Generator[pytest.LogCaptureFixture]:
    """What diffusers logs; its logger does not propagate to the root, where pytest listens."""
    logger = logging.getLogger("diffusers")
    logger.addHandler(caplog.handler)
    yield caplog
    logger.removeHandler(caplog.handler)
