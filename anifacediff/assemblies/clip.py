"""A clip on its way through a denoiser: what the assemblies' clips have in common."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from einops import rearrange

from anifacediff.geometry.faces import FaceParameters
from anifacediff.sampling.denoise import Denoiser, Timestep
from anifacediff.shapes import Float, Int, Tensor, UInt8


@runtime_checkable
class Conditions(Protocol):
    """What a denoiser is told about the frames of a clip, made as it is needed."""

    def control(self, frame: int) -> UInt8[np.ndarray, "h w 3"]:
        """Draw what the denoiser is told about a frame, as a picture."""
        ...

    def forget(self, frames: range) -> None:
        """Drop what is held for frames that are finished."""
        ...


@runtime_checkable
class Clip(Conditions, Denoiser, Protocol):
    """Predicts for any window of a clip."""


@runtime_checkable
class Chain(Conditions, Protocol):
    """Predicts part after part, each of which continues the one before; see :mod:`anifacediff.sampling.chained`."""

    def begin(self, previous: Float[Tensor, "k c h w"], frames: Sequence[int]) -> Denoiser:
        """Make the denoiser of one part; the parts before it are finished.

        Args:
            previous: the clean latents that it begins with; k is 0 for the first.
            frames: the numbers of its frames.
        """
        ...


@runtime_checkable
class LiveClip(Clip, Protocol):
    """A clip whose frames can be replaced by others, as they come."""

    def driven_by(self, driving: FaceParameters) -> "LiveClip":
        """The same clip with other frames; what was read off the reference, and how it is aligned, stay.

        Args:
            driving: parameters of the frames.
        """
        ...


@runtime_checkable
class StockDenoiser(Protocol):
    """``UNet2DConditionModel`` or ``UNetMotionModel``, compiled or not."""

    @property
    def config(self) -> Mapping[str, Any]: ...

    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...


class HeldFrames:
    """Tensors made once for each frame, when it is first asked for, and held until it is forgotten.

    Streamed, those are a window's hop for each denoising step and a window, however long the clip.
    """

    def __init__(self) -> None:
        self._held: dict[int, tuple[Tensor, ...]] = {}

    def __call__(self, frames: Sequence[int], make: Callable[[range], tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        """The rows of some frames, of each of one or more tensors.

        Args:
            frames: their numbers, f of them.
            make: computes one row of each tensor for each of some consecutive frames that are not held yet.

        Returns:
            Tensors of f rows.
        """
        for run in _runs([frame for frame in frames if frame not in self._held]):
            self._held.update(zip(run, zip(*make(run), strict=True), strict=True))
        columns = zip(*(self._held[frame] for frame in frames), strict=True)
        return tuple(torch.stack(column) for column in columns)

    def __len__(self) -> int:
        """For how many frames something is held."""
        return len(self._held)

    def forget(self, frames: range) -> None:
        """Drop what is held for some frames."""
        for frame in frames:
            self._held.pop(frame, None)


def evaluate(
    unet: StockDenoiser,
    latents: Float[Tensor, "b f c h w"],
    timestep: Timestep | Int[Tensor, "t"],
    tokens: Float[Tensor, "n l d"],
    condition: Mapping[str, object],
) -> Float[Tensor, "b f c2 h w"]:
    """Evaluate a denoiser, with temporal modules or without.

    Args:
        unet: the denoiser.
        latents: b clips of f frames.
        timestep: as the scheduler counts; or b of them, one for each clip.
        tokens: b f rows of l tokens, clip by clip.
        condition: for ``cross_attention_kwargs``.
    """
    kwargs = dict(condition)
    if "motion_max_seq_length" in unet.config:  # rather than its class, which compiling changes
        video = rearrange(latents, "b f c h w -> b c f h w")
        sample = unet(video, timestep, tokens, cross_attention_kwargs=kwargs, return_dict=False)[0]
        return rearrange(sample, "b c f h w -> b f c h w")
    rows = latents.flatten(0, 1)
    timestep = timestep.repeat_interleave(latents.shape[1]) if timestep.ndim else timestep
    sample = unet(rows, timestep, tokens, cross_attention_kwargs=kwargs, return_dict=False)[0]
    return sample.unflatten(0, latents.shape[:2])


def guided(rows: Float[Tensor, "b f c h w"], scale: float) -> Float[Tensor, "f c h w"]:
    """Contrast the prediction that is told everything, the last row, with the one before it, if there are two."""
    return rows[0] if len(rows) == 1 else rows[0] + scale * (rows[1] - rows[0])


def _runs(frames: Sequence[int]) -> list[range]:
    """Consecutive numbers as ranges: 3, 4, 5, 0, 1 are 3-5 and 0-1."""
    breaks = [index for index in range(1, len(frames)) if frames[index] != frames[index - 1] + 1]
    edges = pairwise([0, *breaks, len(frames)])
    return [range(frames[first], frames[last - 1] + 1) for first, last in edges if last > first]
