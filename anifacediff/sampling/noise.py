"""Noise that depends on the seed and the frame's number only, so that windows and streaming cannot change a video."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from anifacediff.errors import InputError
from anifacediff.shapes import Float, Tensor

STARTS = ("noise", "shared", "zeros")

_GOLDEN_RATIO = 0x9E3779B1  # odd, so that frame * constant is one-to-one modulo 2**32
_SEEDS = 2**32  # torch's CPU generator uses no more bits of a seed


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

    def __call__(self, frames: Sequence[int]) -> Float[Tensor, "f c h w"]:
        """Draw the noise from which some frames start."""
        return self.draw(self.generators(frames))
