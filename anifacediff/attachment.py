"""Put attention processors in place on a stock denoiser; restore the very same objects.

A component that changes attention hands its processors to :func:`attach`, under the name of the
``cross_attention_kwargs`` entry that they read. Conditions travel in that argument of the denoiser's
own call: it survives gradient checkpointing, and stock pipelines pass it on.
"""

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Protocol, runtime_checkable

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from anifacediff.errors import AttachmentError
from anifacediff.shapes import Float, Tensor

STOCK_PROCESSORS = ("AttnProcessor", "AttnProcessor2_0")


@runtime_checkable
class Denoiser(Protocol):
    """A diffusers UNet: ``UNet2DConditionModel``, ``UNetMotionModel``, or one with the same attention layers."""

    @property
    def attn_processors(self) -> Mapping[str, object]: ...

    def get_submodule(self, target: str) -> nn.Module: ...


@runtime_checkable
class Attention(Protocol):
    """What a processor uses of a diffusers attention layer."""

    heads: int
    to_q: nn.Linear
    to_k: nn.Linear
    to_v: nn.Linear
    to_out: nn.ModuleList
    processor: object

    def set_processor(self, processor: object) -> None: ...

    def prepare_attention_mask(self, attention_mask: Tensor, target_length: int, batch_size: int) -> Tensor: ...


@runtime_checkable
class Processor(Protocol):
    """A diffusers attention processor, called by its layer."""

    def __call__(
        self,
        attn: nn.Module,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
    ) -> Tensor: ...


class AttachedProcessor:
    """Base of processors that extend the stock processor of one layer and can give it back.

    Args:
        stock: the processor that was in place.
        place: the layer's path in the denoiser.
    """

    def __init__(self, stock: Processor, place: str) -> None:
        self.stock = stock
        self.place = place


class AttachedModule:
    """Marks a module that stands in for a stock one of a denoiser."""


class Attachment:
    """What is attached to a denoiser; :meth:`detach` it, or use it as a context manager."""

    def __init__(self, undo: Callable[[], None]) -> None:
        self._undo: Callable[[], None] | None = undo

    def detach(self) -> None:
        """Restore the denoiser to the state before attaching; a second call does nothing."""
        undo, self._undo = self._undo, None
        if undo is not None:
            undo()

    def __enter__(self) -> "Attachment":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.detach()


def spatial_attention(denoiser: Denoiser, layer: str) -> dict[str, Attention]:
    """Find the spatial attention layers of a denoiser, those of temporal modules left out.

    Args:
        denoiser: a diffusers UNet.
        layer: ``"attn1"`` for self-attention, ``"attn2"`` for cross-attention.

    Returns:
        The layers by their place, in the denoiser's own order.

    Raises:
        AttachmentError: if it is no UNet, a pipeline for instance.
    """
    if not isinstance(denoiser, Denoiser):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise AttachmentError(
            f"expected a UNet of diffusers, found a {type(denoiser).__name__}; of a pipeline, pass pipe.unet."
        )
    suffix = f".{layer}.processor"
    names = (name for name in denoiser.attn_processors if name.endswith(suffix) and "motion_modules" not in name)
    places = (name.removesuffix(".processor") for name in names)
    return {place: denoiser.get_submodule(place) for place in places}  # pyright: ignore[reportReturnType]


def attach(
    denoiser: Denoiser,
    layers: Mapping[str, Attention],
    build: Callable[[str, Processor], AttachedProcessor],
    *,
    argument: str,
) -> Attachment:
    """Replace the processors of some attention layers until detached.

    Args:
        denoiser: a diffusers UNet.
        layers: the layers to extend, by their place.
        build: makes the new processor from the place and the processor that is there.
        argument: the ``cross_attention_kwargs`` entry that the new processors read; it is kept from
            every other layer, whose processor would complain about it.

    Raises:
        AttachmentError: if a layer carries a processor that cannot be extended, or nothing can be attached;
            and at each call of the denoiser, if a processor of ours has been replaced since.
    """
    if not layers:
        raise AttachmentError(f"{type(denoiser).__name__} has no attention layer that {argument!r} could be read by.")
    for place, layer in layers.items():
        _refuse_foreign(place, layer, argument)
    stock = {place: layer.processor for place, layer in layers.items()}
    ours = {place: build(place, layer.processor) for place, layer in layers.items()}  # pyright: ignore[reportArgumentType]
    for place, layer in layers.items():
        layer.set_processor(ours[place])
    handles = [_check_in_place(denoiser, layers, ours), *_keep_from_others(denoiser, layers, argument)]

    def undo() -> None:
        for handle in handles:
            handle.remove()
        for place, layer in layers.items():
            if layer.processor is ours[place]:
                layer.set_processor(stock[place])

    return Attachment(undo)


def refuse_attached(denoiser: Denoiser, what: str) -> None:
    """Raise :class:`AttachmentError` if anything of ours is in place while ``what`` needs the bare denoiser."""
    modules = _as_module(denoiser).named_modules()
    attached = [
        *(name for name, processor in denoiser.attn_processors.items() if isinstance(processor, AttachedProcessor)),
        *(name for name, module in modules if isinstance(module, AttachedModule)),
    ]
    if attached:
        raise AttachmentError(
            f"{what}: components are attached to this denoiser in {len(attached)} places, the first {attached[0]}; "
            "detach them first and attach them again to the result."
        )


def modules_by_place(modules: Mapping[str, nn.Module]) -> nn.Module:
    """Nest modules so that their state keys equal their dotted places (``nn.ModuleDict`` forbids dots)."""
    root = nn.Module()
    for place, module in modules.items():
        *path, name = place.split(".")
        parent = root
        for step in path:
            if not hasattr(parent, step):
                parent.add_module(step, nn.Module())
            parent = parent.get_submodule(step)
        parent.add_module(name, module)
    return root


def split_heads(states: Float[Tensor, "n l d"], heads: int) -> Float[Tensor, "n heads l d_head"]:
    """Split the last axis among the attention heads."""
    return states.unflatten(-1, (heads, -1)).transpose(1, 2)


def project_out(attn: Attention, states: Float[Tensor, "n heads l d_head"]) -> Float[Tensor, "n l d"]:
    """Join the heads and apply the layer's output projection and dropout."""
    joined = states.transpose(1, 2).flatten(2)
    return attn.to_out[1](attn.to_out[0](joined))


def attention_bias(attn: Attention, mask: Tensor | None, keys: int, rows: int) -> Tensor | None:
    """Bring a diffusers attention mask into the shape that scaled dot product attention takes."""
    if mask is None:
        return None
    mask = attn.prepare_attention_mask(mask, keys, rows)
    return mask.view(rows, attn.heads, -1, mask.shape[-1])


def _refuse_foreign(place: str, layer: Attention, argument: str) -> None:
    processor = layer.processor
    if isinstance(processor, AttachedProcessor):
        raise AttachmentError(
            f"{place} already carries a {type(processor).__name__}; detach what is attached before "
            f"attaching another reader of {argument!r}."
        )
    if type(processor).__name__ not in STOCK_PROCESSORS or type(processor).__module__.split(".")[0] != "diffusers":
        raise AttachmentError(
            f"{place} carries a {type(processor).__module__}.{type(processor).__name__}, which {argument!r} cannot be "
            "added to. Unload what installed it (unload_ip_adapter(), unfuse_qkv_projections(), "
            "disable_xformers_memory_efficient_attention(), ...), or call denoiser.set_default_attn_processor()."
        )


def _check_in_place(
    denoiser: Denoiser, layers: Mapping[str, Attention], ours: Mapping[str, AttachedProcessor]
) -> RemovableHandle:
    def check(module: nn.Module, args: tuple[object, ...]) -> None:
        for place, layer in layers.items():
            if layer.processor is not ours[place]:
                raise AttachmentError(
                    f"The processor attached at {place} was replaced by a {type(layer.processor).__name__}, so its "
                    "condition would be ignored. Detach, change the processors, then attach again."
                )

    return _as_module(denoiser).register_forward_pre_hook(check)


def _keep_from_others(denoiser: Denoiser, layers: Mapping[str, Attention], argument: str) -> list[RemovableHandle]:
    def drop(
        module: nn.Module, args: tuple[object, ...], kwargs: dict[str, object]
    ) -> tuple[tuple[object, ...], dict[str, object]]:
        return args, {name: value for name, value in kwargs.items() if name != argument}

    others = {**spatial_attention(denoiser, "attn1"), **spatial_attention(denoiser, "attn2")}
    return [
        _as_module(layer).register_forward_pre_hook(drop, with_kwargs=True)
        for place, layer in others.items()
        if place not in layers
    ]


def _as_module(layer: object) -> nn.Module:
    if not isinstance(layer, torch.nn.Module):
        raise AttachmentError(f"expected a torch module, found a {type(layer).__name__}.")
    return layer
