"""Where in a UNet its deep layers stand, whatever its blocks are."""

from typing import Protocol, TypeAlias, runtime_checkable

from torch import nn

from anifacediff.errors import AttachmentError

_LAYER = ("resnets", "attentions", "motion_modules")  # in the order in which a block runs one layer of each
_SAMPLERS = ("downsamplers", "upsamplers")

Slot: TypeAlias = tuple[nn.ModuleList, int]
"""The list that holds a module, and its number in it."""


@runtime_checkable
class LayeredDenoiser(Protocol):
    """``UNet2DConditionModel``, ``UNetMotionModel``, or one with the same blocks; compiled or not."""

    down_blocks: nn.ModuleList
    up_blocks: nn.ModuleList

    @property
    def mid_block(self) -> object: ...


def deep_layers(unet: LayeredDenoiser, layers: int) -> list[Slot]:
    """Find all modules but those on the way from the input straight through the last layers.

    Args:
        unet: the denoiser.
        layers: how many of its last layers are left out, and of its first ones those that hand states to them.

    Returns:
        Where they stand; the one that runs last comes last.

    Raises:
        AttachmentError: if the denoiser has one resolution only, or fewer such layers.
    """
    *upper, last = unet.up_blocks
    kept = len(_modules(last, "resnets"))
    if not upper or layers > kept:
        raise AttachmentError(
            f"This denoiser has {len(upper)} up blocks before its last one, of {kept} layers; a feature cache of "
            f"{layers} layers needs one block and as many layers at least."
        )
    first, *lower = unet.down_blocks
    middle = (unet.mid_block,) if isinstance(unet.mid_block, nn.Module) else ()
    slots = [*_layers(first, layers - 1, None), *_samplers(first)]
    for block in (*lower, *middle, *upper):
        slots += [*_layers(block, 0, None), *_samplers(block)]
    return [*slots, *_layers(last, 0, kept - layers)]


def _layers(block: nn.Module, start: int, stop: int | None) -> list[Slot]:
    depth = len(_modules(block, "resnets"))
    numbers = range(depth)[start:stop]
    found = [(_modules(block, name), number) for number in numbers for name in _LAYER]
    return [(modules, number) for modules, number in found if number < len(modules)]


def _samplers(block: nn.Module) -> list[Slot]:
    found = [_modules(block, name) for name in _SAMPLERS]
    return [(modules, number) for modules in found for number in range(len(modules))]


def _modules(block: nn.Module, name: str) -> nn.ModuleList:
    return getattr(block, name, None) or nn.ModuleList()
