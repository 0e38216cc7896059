"""Motion modules under the keys that AnimateDiff's own files have, written down from its published code."""

from collections.abc import Iterator

import torch
from torch import Tensor


def original_shapes(
    widths: tuple[int, ...], *, layers: int, frames: int, mid_block: bool
) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Key and shape of every tensor of such a file."""
    places = [(f"down_blocks.{n}.motion_modules.{m}", width) for n, width in enumerate(widths) for m in range(layers)]
    rising = enumerate(reversed(widths))
    places += [(f"up_blocks.{n}.motion_modules.{m}", width) for n, width in rising for m in range(layers + 1)]
    places += [("mid_block.motion_modules.0", widths[-1])] if mid_block else []
    for place, width in places:
        for name, shape in _module(width, frames):
            yield f"{place}.temporal_transformer.{name}", shape


def original_motion(widths: tuple[int, ...], *, layers: int, frames: int, mid_block: bool) -> dict[str, Tensor]:
    """Such a file with random weights; the tables of positions are sinusoids."""
    generator = torch.Generator().manual_seed(3)
    shapes = original_shapes(widths, layers=layers, frames=frames, mid_block=mid_block)
    return {
        key: _sinusoids(*shape[1:]) if key.endswith(".pe") else torch.randn(shape, generator=generator) * 0.1
        for key, shape in shapes
    }


def _module(width: int, frames: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    block = "transformer_blocks.0"
    for norm in ("norm", *(f"{block}.{name}" for name in ("norms.0", "norms.1", "ff_norm"))):
        yield f"{norm}.weight", (width,)
        yield f"{norm}.bias", (width,)
    for linear, inputs, outputs in (
        ("proj_in", width, width),
        ("proj_out", width, width),
        (f"{block}.ff.net.0.proj", width, 8 * width),
        (f"{block}.ff.net.2", 4 * width, width),
    ):
        yield f"{linear}.weight", (outputs, inputs)
        yield f"{linear}.bias", (outputs,)
    for attention in (f"{block}.attention_blocks.0", f"{block}.attention_blocks.1"):
        for name in ("to_q", "to_k", "to_v", "to_out.0"):
            yield f"{attention}.{name}.weight", (width, width)
        yield f"{attention}.to_out.0.bias", (width,)
        yield f"{attention}.pos_encoder.pe", (1, frames, width)


def _sinusoids(frames: int, width: int) -> Tensor:
    angles = torch.arange(frames)[:, None] * 10_000 ** (-torch.arange(0, width, 2) / width)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[None]
