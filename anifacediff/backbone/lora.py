"""LoRA on a denoiser that has our parts attached, such as a latent consistency LoRA for few steps."""

from collections.abc import Callable, Mapping
from functools import partial
from os import PathLike, fspath
from typing import Any, Protocol, TypeAlias, runtime_checkable

from diffusers.loaders.lora_pipeline import StableDiffusionLoraLoaderMixin
from diffusers.utils.state_dict_utils import convert_unet_state_dict_to_peft
from torch import nn

from anifacediff.attachment import AttachedModule, Attachment
from anifacediff.errors import AttachmentError, CheckpointError
from anifacediff.shapes import Tensor

LoraSource: TypeAlias = str | PathLike[str] | Mapping[str, Tensor]


@runtime_checkable
class LoraDenoiser(Protocol):
    """A UNet of diffusers, which takes LoRA through peft."""

    @property
    def load_lora_adapter(self) -> Callable[..., None]: ...

    @property
    def delete_adapters(self) -> Callable[..., None]: ...

    @property
    def unload_lora(self) -> Callable[[], None]: ...


def attach_lora(unet: LoraDenoiser, source: LoraSource, *, name: str = "lora", **options: Any) -> Attachment:
    """Put a LoRA onto a denoiser until detached, before or after our parts are attached to it.

    What reads the denoiser's own projections, such as ReferenceNet's keys, goes through the LoRA too; read the
    reference again, as every ``pipe.stream`` does. To make a denoiser faster that keeps its LoRA, call its
    ``fuse_lora()``.

    Args:
        unet: the denoiser.
        source: a folder, file, Hub id, or state dict, with diffusers' or kohya's keys; of it, the UNet's part is used.
        name: of the adapter; each needs another one.
        options: of diffusers' ``lora_state_dict``, such as ``weight_name``, ``revision`` and ``local_files_only``.

    Raises:
        AttachmentError: if it reaches a module of ours that stands in for a stock one, or the name is taken.
        CheckpointError: if nothing in it is for this denoiser, or it does not fit; the denoiser is then as it was.

    Example:
        >>> with attach_lora(pipe.unet, "latent-consistency/lcm-lora-sdv1-5"):            # doctest: +SKIP
        ...     frames = list(pipe.stream(reference, driving, **SAMPLING_PRESETS["lcm"].options(pipe)))
    """
    assert isinstance(unet, nn.Module)
    if name in _names(unet):
        raise AttachmentError(f"A LoRA of the name {name!r} is on this denoiser already; detach it, or name this one.")
    given = fspath(source) if isinstance(source, str | PathLike) else dict(source)
    try:
        weights, alphas, *_ = StableDiffusionLoraLoaderMixin.lora_state_dict(
            given, **{"use_safetensors": True, **options}
        )
    except (OSError, ValueError) as error:
        raise CheckpointError(f"The LoRA cannot be read: {error}") from error
    places = _places(weights)
    _refuse_ours(unet, places)
    _refuse_others(unet, places)
    _load(unet, weights, alphas, name)

    return Attachment(partial(_unload, unet, name))


def _names(unet: nn.Module) -> Mapping[str, Any]:
    return getattr(unet, "peft_config", None) or {}


def _places(weights: Mapping[str, Tensor]) -> set[str]:
    """The places of the layers of a UNet that a LoRA changes."""
    of_unet = {key.removeprefix("unet."): value for key, value in weights.items() if key.startswith("unet.")}
    if not any("lora_A" in key for key in of_unet):
        of_unet = convert_unet_state_dict_to_peft(of_unet)
    return {key.split(".lora")[0] for key in of_unet}


def _refuse_ours(unet: nn.Module, places: set[str]) -> None:
    modules = dict(unet.named_modules())
    ours = [place for place in sorted(places) if isinstance(modules.get(place), AttachedModule)]
    if ours:
        raise AttachmentError(
            f"The LoRA changes {ours[0]}, where a component of ours is attached to this denoiser. Attach and fuse the "
            "LoRA before the pipeline is built: attach_lora(unet, ...), unet.fuse_lora(), unet.unload_lora()."
        )


def _refuse_others(unet: nn.Module, places: set[str]) -> None:
    missing = sorted(places - dict(unet.named_modules()).keys())
    if missing or not places:
        raise CheckpointError(
            f"The LoRA changes {len(places)} layers of a UNet, of which {len(missing)} are not in this denoiser"
            f"{': ' + ', '.join(missing[:3]) if missing else ''}. Take one that was made for it."
        )


def _load(unet: LoraDenoiser, weights: Mapping[str, Tensor], alphas: Mapping[str, float] | None, name: str) -> None:
    try:
        unet.load_lora_adapter(weights, prefix="unet", network_alphas=alphas, adapter_name=name)
    except (RuntimeError, ValueError) as error:
        _unload(unet, name)
        raise CheckpointError(f"The LoRA does not fit this denoiser: {error}") from error


def _unload(unet: LoraDenoiser, name: str) -> None:
    assert isinstance(unet, nn.Module)
    if name in _names(unet):
        unet.delete_adapters(name)
    if not _names(unet):
        unet.unload_lora()
