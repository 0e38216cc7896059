"""Fusion by addition: the reference's hidden states are added to the denoiser's before each transformer block."""

from collections.abc import Iterable

import torch
from torch import nn

from anifacediff.attachment import Attachment, Denoiser
from anifacediff.backbone.reference_features import ReferenceFeatures, repeated
from anifacediff.errors import ShapeError
from anifacediff.shapes import Float, Tensor

_CONDITIONS = 5  # their position among the block's arguments, which gradient checkpointing passes by position


def attach_addition(denoiser: Denoiser, blocks: Iterable[str]) -> Attachment:
    """Let transformer blocks take the states of ``reference_features`` that are to be added, until detached.

    Args:
        denoiser: a diffusers UNet.
        blocks: places of its transformer blocks.
    """
    handles = [
        denoiser.get_submodule(place).register_forward_pre_hook(_adding(place), with_kwargs=True) for place in blocks
    ]

    def undo() -> None:
        for handle in handles:
            handle.remove()

    return Attachment(undo)


def _adding(place: str):
    def add(
        block: nn.Module, args: tuple[object, ...], kwargs: dict[str, object]
    ) -> tuple[tuple[object, ...], dict[str, object]]:
        conditions = args[_CONDITIONS] if len(args) > _CONDITIONS else kwargs.get("cross_attention_kwargs")
        features = conditions.get("reference_features") if isinstance(conditions, dict) else None
        if not isinstance(features, ReferenceFeatures) or not features.added:
            return args, kwargs
        hidden = args[0]
        assert isinstance(hidden, Tensor)
        return (_sum(hidden, features.added[place], features.guidance), *args[1:]), kwargs

    return add


def _sum(hidden: Float[Tensor, "n l d"], states: Float[Tensor, "b l2 d"], guidance: bool) -> Float[Tensor, "n l d"]:
    if hidden.shape[1] != states.shape[1]:
        raise ShapeError(
            f"reference_features: {states.shape[1]} hidden states cannot be added to {hidden.shape[1]}; fusion by "
            "addition needs reference latents of the size of the denoiser's."
        )
    alone = len(hidden) // 2 if guidance else 0
    given = hidden[alone:]
    return torch.cat([hidden[:alone], given + repeated(states, len(given)).to(given.dtype)])
