"""Every check of temporal modules catches modules that are broken in their way."""

import copy
import re
from typing import Any

import pytest
import torch
from broken import complaint, conforms, names
from diffusers import UNet2DConditionModel, UNetMotionModel
from torch import nn

from anifacediff.backbone import TemporalModules
from anifacediff.testing import TemporalCase
from anifacediff.testing.temporal import CHECKS


class Changed(TemporalModules):
    """AnimateDiff's modules with something changed."""

    @classmethod
    def for_unet(cls, unet: UNet2DConditionModel, **options: Any) -> Any:
        made = TemporalModules.for_unet(unet, **options)
        made.__class__ = cls
        made.prepared()
        return made

    def prepared(self) -> None: ...


class LoudAtFirst(Changed):
    def prepared(self) -> None:
        for weight in self.parameters():
            nn.init.normal_(weight)


class Copying(Changed):
    def inflate(self, unet: Any, **options: Any) -> UNetMotionModel:
        return super().inflate(copy.deepcopy(unet), **options)


class Freezing(Changed):
    def inflate(self, unet: Any, **options: Any) -> UNetMotionModel:
        unet.conv_in = copy.deepcopy(unet.conv_in)
        return super().inflate(unet, **options)


class OneByOne(Changed):
    """Shows the modules one frame at a time."""

    def inflate(self, unet: Any, **options: Any) -> UNetMotionModel:
        video: Any = super().inflate(unet, **options)
        whole = video.forward

        def forward(sample: torch.Tensor, step: int, context: torch.Tensor, **more: Any) -> Any:
            frames = range(sample.shape[2])
            parts = [whole(sample[:, :, i : i + 1], step, context[i : i + 1], **more)[0] for i in frames]
            return (torch.cat(parts, dim=2),)

        video.forward = forward
        return video


class Frozen(Changed):
    def inflate(self, unet: Any, **options: Any) -> UNetMotionModel:
        video = super().inflate(unet, **options)
        self.requires_grad_(False)
        return video


class Forgetful(Changed):
    """Adds a gain that is not in its state."""

    def prepared(self) -> None:
        self.gain = [float(torch.rand(())) + 0.5]

    def inflate(self, unet: Any, **options: Any) -> UNetMotionModel:
        video = super().inflate(unet, **options)
        video.register_forward_hook(lambda module, args, output: (output[0] * self.gain[0],))
        return video


BROKEN: list[tuple[str, type[Changed], str]] = [
    ("fresh_modules_change_nothing", LoudAtFirst, "begin their last projections at zero"),
    ("weights_are_shared", Copying, "are copies, the first"),
    ("the_2d_denoiser_stays_as_it_is", Freezing, r"modules \(first .*conv_in"),
    ("frames_see_each_other", OneByOne, "let the frames attend"),
    ("gradients_reach_the_weights", Frozen, "no weight of fresh modules"),
    ("weights_survive_a_file", Forgetful, "gives another output"),
]


def test_our_own_conform():
    assert conforms(TemporalCase("animatediff", Changed.for_unet)) == []


def test_every_check_is_seen_to_fail():
    assert {name for name, _, _ in BROKEN} == names(CHECKS)


@pytest.mark.parametrize(("name", "build", "message"), BROKEN, ids=[b[1].__name__ for b in BROKEN])
def test_broken_modules_are_caught(name: str, build: type[Changed], message: str):
    found = complaint(TemporalCase("modules", build.for_unet), name)
    assert re.search(message, found), found
