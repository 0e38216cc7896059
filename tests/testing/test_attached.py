"""Every check of adapters and reference nets catches one that is broken in its way."""

import re
from typing import Any

import pytest
import torch
from broken import complaint, conforms, names
from diffusers.models.attention_processor import AttnProcessor2_0
from torch import nn

from anifacediff.attachment import Attachment, Denoiser
from anifacediff.backbone import ReferenceNet
from anifacediff.conditioning import ExpressionAdapter
from anifacediff.shapes import Tensor
from anifacediff.testing import AdapterCase, Case, ReferenceCase
from anifacediff.testing.attached import CHECKS, fresh_weights_change_nothing


class Changed(ExpressionAdapter):
    """The Expression Adapter with something changed; its widths are always those of the tiny denoiser."""

    @classmethod
    def for_unet(cls, unet: Denoiser, **options: Any) -> Any:
        made = ExpressionAdapter.for_unet(unet, **options)
        made.__class__ = cls
        made.prepared()
        return made

    def prepared(self) -> None: ...


class LoudAtFirst(Changed):
    def prepared(self) -> None:
        for weight in self.parameters():
            nn.init.normal_(weight)


def _louder(module: nn.Module, args: Any, output: tuple[Tensor]) -> tuple[Tensor]:
    return (output[0] * 1.01,)


def _watching(module: nn.Module, args: Any, output: Any) -> None: ...


class ScalingAlways(Changed):
    def attach(self, unet: Any) -> Attachment:
        attachment = super().attach(unet)
        handle = unet.register_forward_hook(_louder)
        return Attachment(lambda: (handle.remove(), attachment.detach())[1])


class LeavingAHook(Changed):
    def attach(self, unet: Any) -> Attachment:
        unet.conv_in.register_forward_hook(_watching)
        return super().attach(unet)


class ReplacingForward(Changed):
    def attach(self, unet: Any) -> Attachment:
        unet.conv_in.forward = unet.conv_in.forward
        return super().attach(unet)


class NewProcessors(Changed):
    def attach(self, unet: Any) -> Attachment:
        attachment = super().attach(unet)
        return Attachment(lambda: (attachment.detach(), unet.set_default_attn_processor())[1])


class SwallowingErrors(Changed):
    def attach(self, unet: Any) -> Any:
        return Swallowing(super().attach(unet).detach)


class Swallowing(Attachment):
    def __exit__(self, *about: Any) -> Any:
        self.detach()
        return True


class Restarting(Changed):
    """Attaches again by throwing out what is attached."""

    def attach(self, unet: Any) -> Attachment:
        unet.set_attn_processor(AttnProcessor2_0())
        unet._forward_pre_hooks.clear()
        return super().attach(unet)


class Deaf(Changed):
    def tokens(self, expression: Tensor) -> Tensor:
        return super().tokens(expression * 0)


class Averaging(Changed):
    def tokens(self, expression: Tensor) -> Tensor:
        return super().tokens(expression.mean(0, keepdim=True).expand_as(expression))


class UnaskedGuidance(Changed):
    def forward(self, expression: Tensor, *, guidance: bool = False) -> dict[str, Tensor]:
        tokens = self.tokens(expression)
        return {"expression_tokens": torch.cat([tokens, tokens]) if guidance else tokens}


class WithoutGradient(Changed):
    def tokens(self, expression: Tensor) -> Tensor:
        return super().tokens(expression.detach())


class Frozen(Changed):
    def prepared(self) -> None:
        self.requires_grad_(False)


class Forgetful(Changed):
    """Keeps a weight outside of its state."""

    def prepared(self) -> None:
        self.gain = [torch.rand(()) + 0.5]

    def tokens(self, expression: Tensor) -> Tensor:
        return super().tokens(expression) * self.gain[0]


def adapter(build: type[Changed]) -> AdapterCase:
    return AdapterCase("adapter", build.for_unet)


class ForgetfulReference(ReferenceNet):
    def read(self, latents: Tensor, *parts: Any, **options: Any) -> Any:
        return super().read(latents * 0, *parts, **options)


BROKEN: list[tuple[str, Case[Any], str]] = [
    ("fresh_weights_change_nothing", adapter(LoudAtFirst), "begin the last projection at zero"),
    ("without_a_condition_nothing_changes", adapter(ScalingAlways), "attached without its condition"),
    ("detaching_restores_the_same_objects", adapter(LeavingAHook), r"hooks \(0 before, 1 after\)"),
    ("detaching_restores_the_same_objects", adapter(ReplacingForward), r"own \(first \('conv_in', 'forward'\)\)"),
    ("detaching_restores_the_same_objects", adapter(NewProcessors), "not as before: processors"),
    (
        "detaching_restores_the_same_objects",
        adapter(SwallowingErrors),
        "inside the with block became None",
    ),
    ("attaching_twice_is_refused", adapter(Restarting), "attaching twice raised nothing"),
    ("the_condition_is_heard", adapter(Deaf), "two conditions give the same output"),
    (
        "the_condition_is_heard",
        ReferenceCase("reference", ForgetfulReference.from_unet),
        "two conditions give",
    ),
    ("each_row_hears_its_own", adapter(Averaging), "rows of the condition belong to rows"),
    ("guidance_leaves_the_unconditional_half", adapter(UnaskedGuidance), "unconditional half, the first, changes"),
    ("gradients_reach_weights_and_condition", adapter(WithoutGradient), "the condition has no gradient"),
    ("gradients_reach_weights_and_condition", adapter(Frozen), "fresh: "),
    ("weights_survive_a_file", adapter(Forgetful), "gives another output"),
]


OURS = (
    AdapterCase("expression", ExpressionAdapter.for_unet),
    adapter(Changed),
    ReferenceCase("reference", ReferenceNet.from_unet),
)


@pytest.mark.parametrize("case", OURS)
def test_our_own_conform(case: Case[Any]):
    assert conforms(case) == []


def test_every_check_is_seen_to_fail():
    assert {name for name, _, _ in BROKEN} == names((*CHECKS, fresh_weights_change_nothing))


@pytest.mark.parametrize(("name", "case", "message"), BROKEN, ids=[f"{b[0]}-{i}" for i, b in enumerate(BROKEN)])
def test_a_broken_component_is_caught(name: str, case: Case[Any], message: str):
    found = complaint(case, name)
    assert re.search(message, found), found
