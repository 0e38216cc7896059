"""Conditions that travel in the denoiser's own input, as channels after those of the noisy latents."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import torch

from anifacediff.errors import ShapeError
from anifacediff.shapes import Tensor, check_shape

Call: TypeAlias = tuple[tuple[Any, ...], dict[str, Any]]


def carries(kwargs: Mapping[str, Any], argument: str) -> bool:
    """Whether a call of a denoiser has an entry of this name in its ``cross_attention_kwargs``."""
    conditions = kwargs.get("cross_attention_kwargs")
    return isinstance(conditions, dict) and argument in conditions


def move_to_input(args: tuple[Any, ...], kwargs: dict[str, Any], argument: str, channels: int) -> Call:
    """Take an entry out of ``cross_attention_kwargs`` and append it to the sample; for a forward pre-hook.

    Args:
        args: of the denoiser's call.
        kwargs: of the denoiser's call; it must carry the entry.
        argument: name of the entry.
        channels: how many it has.

    Returns:
        The arguments to call with instead.

    Raises:
        ShapeError: if the entry does not fit the sample.
    """
    conditions: dict[str, Any] = kwargs["cross_attention_kwargs"]
    others = {name: value for name, value in conditions.items() if name != argument}
    joined = append_channels(args[0] if args else kwargs["sample"], conditions[argument], argument, channels)
    kwargs = {**kwargs, "cross_attention_kwargs": others}
    return ((joined, *args[1:]), kwargs) if args else ((), {**kwargs, "sample": joined})


def append_channels(sample: Tensor, features: Tensor, name: str, channels: int) -> Tensor:
    """Append features to the channels of latents ``n c h w`` or ``b c f h w``.

    Args:
        sample: the latents.
        features: f d h w; the rows of the sample may be a multiple of f.
        name: of the features, for the message.
        channels: the d that is expected.

    Raises:
        ShapeError: if they do not fit.
    """
    video = sample.ndim == 5
    rows = sample.shape[0] * (sample.shape[2] if video else 1)
    check_shape(name, features, "f d h w", None, channels, None, None)
    if rows % features.shape[0] or features.shape[-2:] != sample.shape[-2:]:
        raise ShapeError(
            f"{name}: {tuple(features.shape)} do not fit latents of {rows} rows at {tuple(sample.shape[-2:])}. Give "
            "one map per frame, of the size of the image."
        )
    features = features.repeat(rows // features.shape[0], 1, 1, 1).to(sample.dtype)
    if video:
        features = features.unflatten(0, (sample.shape[0], sample.shape[2])).transpose(1, 2)
    return torch.cat([sample, features], dim=1)
