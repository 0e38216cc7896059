"""Attention adapters and reference nets to check."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

from anifacediff.backbone.contracts import ReferenceNetwork
from anifacediff.conditioning.contracts import AttentionAdapter
from anifacediff.shapes import Float, Tensor
from anifacediff.testing.attached import CHECKS, AttachedCase, fresh_weights_change_nothing
from anifacediff.testing.checks import CheckFunction
from anifacediff.testing.denoisers import CONTEXT, random

EXPRESSION = 6


@dataclass(frozen=True)
class AdapterCase(AttachedCase[AttentionAdapter]):
    """An attention adapter to check.

    Attributes:
        name: of the component, in reports.
        build: its ``for_unet``, called with a denoiser and ``expression_dim``.
    """

    @property
    def checks(self) -> tuple[CheckFunction, ...]:
        return (fresh_weights_change_nothing, *CHECKS)

    def on(self, unet: UNet2DConditionModel) -> AttentionAdapter:
        return self.made(unet, expression_dim=EXPRESSION)

    def signal(self, *, rows: int, seed: int) -> Float[Tensor, "b e"]:
        return random(rows, EXPRESSION, seed=seed)

    def condition(
        self, part: Any, signal: Float[Tensor, "b e"], unet: UNet2DConditionModel, *, guidance: bool = False
    ) -> Mapping[str, Any]:
        return part(signal, guidance=guidance)


@dataclass(frozen=True)
class ReferenceCase(AttachedCase[ReferenceNetwork]):
    """A reference net to check.

    Attributes:
        name: of the component, in reports.
        build: its ``from_unet``, called with a denoiser.
    """

    @property
    def checks(self) -> tuple[CheckFunction, ...]:
        return CHECKS

    def on(self, unet: UNet2DConditionModel) -> ReferenceNetwork:
        return self.made(unet)

    def signal(self, *, rows: int, seed: int) -> Float[Tensor, "b c h w"]:
        return random(rows, 4, 8, 8, seed=seed)

    def condition(
        self, part: Any, signal: Float[Tensor, "b c h w"], unet: UNet2DConditionModel, *, guidance: bool = False
    ) -> Mapping[str, Any]:
        context = random(1, 3, CONTEXT, seed=9).expand(len(signal), -1, -1)
        return part.read(signal, context, unet, guidance=guidance)
