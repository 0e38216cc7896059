"""Maps of several resolutions are added to a denoiser's states on the way down, by hooks that can be removed."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Protocol, runtime_checkable

from torch import nn

from anifacediff.attachment import AttachedModule, Attachment
from anifacediff.errors import AttachmentError, ShapeError
from anifacediff.shapes import Float, Tensor

_ENTRY = "pose_levels"


@runtime_checkable
class DescendingDenoiser(Protocol):
    """A denoiser of diffusers: a first convolution, then blocks that go down."""

    conv_in: nn.Conv2d
    down_blocks: nn.ModuleList

    @property
    def config(self) -> Mapping[str, Any]: ...


def attach_levels(unet: DescendingDenoiser) -> Attachment:
    """Let a denoiser add ``pose_levels`` out of ``cross_attention_kwargs`` to its states until detached.

    The first map is added to what ``conv_in`` gives, the next ones to what each down block hands to the next; what a
    block keeps for the way up stays as it was.

    Raises:
        AttachmentError: if maps of several levels are added to this denoiser already; and at each call with maps, if
            one of the modules that they are added after has been replaced since.
    """
    assert isinstance(unet, nn.Module)
    if any(isinstance(module, _AddedLevels) for module in unet.children()):
        raise AttachmentError("A multi-level pose encoder is attached to this denoiser already; detach it first.")
    ours = _AddedLevels()
    places = (unet.conv_in, *unet.down_blocks)
    handles = [
        unet.register_forward_pre_hook(partial(ours.take, places), with_kwargs=True),
        unet.register_forward_hook(ours.drop, always_call=True),
        *(place.register_forward_hook(partial(ours.add, level)) for level, place in enumerate(places)),
    ]
    unet.add_module(_ENTRY, ours)

    def undo() -> None:
        for handle in handles:
            handle.remove()
        delattr(unet, _ENTRY)

    return Attachment(undo)


class _AddedLevels(AttachedModule, nn.Module):
    """Marks the denoiser, and holds the maps of one call of it while that call lasts.

    diffusers gives no conditions to blocks without attention, so that a hook before the denoiser's forward takes the
    maps for them, and one after it lets them go. Gradient checkpointing reruns what is inside a block, not the block.
    """

    def __init__(self) -> None:
        super().__init__()
        self.levels: tuple[Tensor, ...] = ()

    def take(
        self,
        places: tuple[nn.Module, ...],
        unet: nn.Module,
        args: tuple[object, ...],
        kwargs: dict[str, object],
    ) -> tuple[tuple[object, ...], dict[str, object]]:
        conditions = kwargs.get("cross_attention_kwargs")
        if not isinstance(conditions, Mapping) or _ENTRY not in conditions:
            return args, kwargs
        levels = tuple(conditions[_ENTRY])
        _check_places(unet, places)
        if len(levels) != len(places):
            raise ShapeError(
                f"{_ENTRY}: expected {len(places)} maps, one after each of conv_in and the down blocks, "
                f"found {len(levels)}."
            )
        self.levels = levels
        others = {name: value for name, value in conditions.items() if name != _ENTRY}
        return args, {**kwargs, "cross_attention_kwargs": others}

    def drop(self, unet: nn.Module, args: tuple[object, ...], output: object) -> None:
        self.levels = ()

    def add(self, level: int, place: nn.Module, args: tuple[object, ...], output: Any) -> Any:
        if not self.levels:
            return output
        if isinstance(output, tuple):  # a block's states, and what it keeps for the way up
            return (_sum(output[0], self.levels[level], level), *output[1:])
        return _sum(output, self.levels[level], level)


def _check_places(unet: nn.Module, places: tuple[nn.Module, ...]) -> None:
    assert isinstance(unet, DescendingDenoiser)
    found = (unet.conv_in, *unet.down_blocks)
    if any(now is not then for now, then in zip(found, places, strict=False)) or len(found) != len(places):
        raise AttachmentError(
            f"A conv_in or down block of this denoiser was replaced after a multi-level pose encoder was attached, so "
            f"{_ENTRY} would be ignored there. Detach, change the denoiser, then attach again; of several pose "
            "encoders, the multi-level one is attached last and detached first."
        )


def _sum(states: Float[Tensor, "n d h w"], level: Tensor, number: int) -> Float[Tensor, "n d h w"]:
    if not states.shape[1]:  # of a block that a feature cache skips
        return states
    frames = level.shape[0] if level.ndim == 4 else 0
    if not frames or states.shape[0] % frames or level.shape[1:] != states.shape[1:]:
        raise ShapeError(
            f"{_ENTRY}[{number}]: {tuple(level.shape)} do not fit states of {tuple(states.shape)}. Give one picture "
            "per frame, of the size of the image."
        )
    return (states.unflatten(0, (-1, frames)) + level.to(states.dtype)).flatten(0, 1)
