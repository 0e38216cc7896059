"""Tiny real denoisers of diffusers, and what of them may not change."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import nn

from anifacediff.shapes import Float, Tensor

ModuleT = TypeVar("ModuleT", bound=nn.Module)

ROWS = 4
CONTEXT = 24
CONFIG: Mapping[str, Any] = {
    "sample_size": 8,
    "block_out_channels": (32, 64),
    "layers_per_block": 1,
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    "cross_attention_dim": CONTEXT,
    "attention_head_dim": (2, 4),
    "norm_num_groups": 8,
}


def tiny_unet(**changes: object) -> UNet2DConditionModel:
    """Build a ``UNet2DConditionModel`` of few, random weights, equal at every call.

    Args:
        changes: of its configuration.
    """
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        return UNet2DConditionModel(**{**CONFIG, **changes}).eval()  # pyright: ignore[reportArgumentType]


def stirred(module: ModuleT, *, std: float = 0.1, seed: int = 1) -> ModuleT:
    """Give all parameters random values, as if trained: fresh ones are often zero where they would matter."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(std * torch.randn(parameter.shape, generator=generator))
    return module


def random(*sizes: int, seed: int = 0) -> Float[Tensor, "*n"]:
    """Normal random numbers of a shape, the same for a seed."""
    return torch.randn(sizes, generator=torch.Generator().manual_seed(seed))


def denoise(
    unet: UNet2DConditionModel, condition: Mapping[str, Any] | None = None, *, learns: bool = False
) -> Float[Tensor, "b c h w"]:
    """Run a denoiser on four fixed rows of latents and context.

    Args:
        unet: the denoiser.
        condition: its ``cross_attention_kwargs``.
        learns: whether the output carries gradients.
    """
    latents, context = random(ROWS, 4, 8, 8, seed=3), random(ROWS, 3, CONTEXT, seed=4)
    with torch.set_grad_enabled(learns):
        return unet(latents, 5, context, cross_attention_kwargs=dict(condition or {}), return_dict=False)[0]


@dataclass(frozen=True)
class Snapshot:
    """The objects that make up a denoiser.

    Attributes:
        processors: of attention, by place.
        modules: by place.
        parameters: by name.
        hooks: the number of forward hooks of all kinds.
        own: attributes that instances have beside their class's, such as a replaced ``forward``.
    """

    processors: Mapping[str, int]
    modules: Mapping[str, int]
    parameters: Mapping[str, int]
    hooks: int
    own: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, unet: UNet2DConditionModel) -> "Snapshot":
        """Look at a denoiser."""
        modules = dict(unet.named_modules())
        return cls(
            {place: id(processor) for place, processor in unet.attn_processors.items()},
            {place: id(module) for place, module in modules.items()},
            {name: id(parameter) for name, parameter in unet.named_parameters()},
            sum(len(_hooks(module)) for module in modules.values()),
            frozenset((place, name) for place, module in modules.items() for name in vars(module)),
        )

    def difference(self, after: "Snapshot") -> str:
        """What is not as it was, in words; empty if nothing."""
        found = [
            f"{field} ({self._first(field, after)})" for field in vars(self) if _of(self, field) != _of(after, field)
        ]
        return ", ".join(found)

    def _first(self, field: str, after: "Snapshot") -> str:
        before, now = _of(self, field), _of(after, field)
        if isinstance(before, int):
            return f"{before} before, {now} after"
        return f"first {sorted(map(str, before ^ now))[0]}"


def _of(snapshot: Snapshot, field: str) -> Any:
    value = getattr(snapshot, field)
    return frozenset(value.items()) if isinstance(value, Mapping) else value


def _hooks(module: nn.Module) -> list[object]:
    hooks = (module._forward_hooks, module._forward_pre_hooks)  # pyright: ignore[reportPrivateUsage] -- torch lists none
    return [hook for kind in hooks for hook in kind.values()]
