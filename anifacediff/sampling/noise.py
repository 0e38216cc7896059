"""Noise that depends on the seed and the frame's number only, so that windows and streaming cannot change a video."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch

from anifacediff.errors import InputError
from anifacediff.shapes import Float, Tensor, check_finite, check_shape

STARTS = ("noise", "shared", "zeros")

_GOLDEN_RATIO = 0x9E3779B1  # odd, so that frame * constant is one-to-one modulo 2**32
_SEEDS = 2**32  # torch's CPU generator uses no more bits of a seed


@runtime_checkable
class Noise(Protocol):
    """Where the frames of a clip start, and from what stochastic schedulers draw later."""

    @property
    def device(self) -> torch.device | str: ...

    def generators(self, frames: Sequence[int]) -> list[torch.Generator]:
        """Begin the streams of random numbers of some frames."""
        ...

    def initial(self, frames: Sequence[int], generators: Sequence[torch.Generator]) -> Float[Tensor, "f c h w"]:
        """Give that from which some frames start; it may be drawn from their streams."""
        ...


@dataclass(frozen=True)
class FrameNoise:
    """One stream of random numbers for each frame, drawn on the CPU: the same on every device.

    Attributes:
        seed: of the clip; any number that is not negative.
        shape: c h w of one frame's latents.
        device: where the noise is needed.
        dtype: in which precision it is needed; it is drawn in float32.
        start: what frames start from: ``"noise"`` of their own, noise that all of them have in common
            (``"shared"``), which lets a clip flicker less, or ``"zeros"``, which give a denoiser's one answer in the
            middle of all, the same for every seed. Noise that is added later is always a frame's own.

    Raises:
        InputError: if the seed is negative, or there is no such start.
    """

    seed: int
    shape: tuple[int, int, int]
    device: torch.device | str = "cpu"
    dtype: torch.dtype = torch.float32
    start: str = "noise"

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise InputError(f"seed: must not be negative, found {self.seed}.")
        if self.start not in STARTS:
            raise InputError(f"start: expected one of {', '.join(STARTS)}, found {self.start!r}.")

    def generators(self, frames: Sequence[int]) -> list[torch.Generator]:
        """Begin the streams of some frames; no two frames of a clip share one."""
        base = int(np.random.SeedSequence(self.seed).generate_state(1)[0])
        return [torch.Generator().manual_seed((base + frame * _GOLDEN_RATIO) % _SEEDS) for frame in frames]

    def draw(self, generators: Sequence[torch.Generator]) -> Float[Tensor, "f c h w"]:
        """Draw that from which frames start, one frame from each stream."""
        if self.start == "zeros":
            return torch.zeros(len(generators), *self.shape, device=self.device, dtype=self.dtype)
        if self.start == "shared":
            generators = [self.generators([0])[0] for _ in generators]
        drawn = [torch.randn(self.shape, generator=generator) for generator in generators]
        return torch.stack(drawn).to(self.device, self.dtype)

    def initial(self, frames: Sequence[int], generators: Sequence[torch.Generator]) -> Float[Tensor, "f c h w"]:
        """Draw that from which frames start, from the streams that were begun for them."""
        return self.draw(generators)

    def __call__(self, frames: Sequence[int]) -> Float[Tensor, "f c h w"]:
        """Draw the noise from which some frames start."""
        return self.draw(self.generators(frames))


@dataclass(frozen=True)
class GivenNoise:
    """Frames start from noise that was drawn elsewhere, such as by another system's code.

    Attributes:
        latents: f c h w, what frame 0, 1, ... of the clip start from, of unit variance.
        seed: from which stochastic schedulers draw later.

    Raises:
        ShapeError: if the latents are not f c h w.
        InputError: if they hold NaN or infinity.
    """

    latents: Float[Tensor, "f c h w"]
    seed: int = 0

    def __post_init__(self) -> None:
        check_shape("latents", self.latents, "f c h w", None, None, None, None)
        check_finite("latents", self.latents)

    @property
    def device(self) -> torch.device:
        """Where the noise is."""
        return self.latents.device

    def generators(self, frames: Sequence[int]) -> list[torch.Generator]:
        """Begin the streams of some frames; see :class:`FrameNoise`."""
        _, channels, height, width = self.latents.shape
        return FrameNoise(self.seed, (channels, height, width)).generators(frames)

    def initial(self, frames: Sequence[int], generators: Sequence[torch.Generator]) -> Float[Tensor, "f2 c h w"]:
        """Give that from which some frames start.

        Raises:
            InputError: if there is none for a frame.
        """
        if frames and not 0 <= min(frames) <= max(frames) < len(self.latents):
            raise InputError(
                f"noise was given for {len(self.latents)} frames, but is needed up to frame {max(frames)}."
            )
        return self.latents[list(frames)]
