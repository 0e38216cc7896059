"""Frames without a face are made up from those around them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from anifacediff.geometry.faces import FaceParameters
from anifacediff.shapes import Float, Int, Tensor
from anifacediff.tracking.smoothing import along_frames

Missing = Literal["interpolate", "hold", "raise"]


@dataclass(frozen=True)
class Gaps:
    """For every frame of a clip the nearest frames with a face, counted among those alone.

    Attributes:
        before: f, at or before the frame; the first one if there is none before.
        after: f, after the frame; the last one if there is none.
        share: f, how far the frame lies on the way from the one to the other, 0 to 1.
        missing: how many frames have no face.
    """

    before: Int[Tensor, "f"]
    after: Int[Tensor, "f"]
    share: Float[Tensor, "f"]
    missing: int

    @classmethod
    def between(cls, seen: Sequence[bool], missing: Missing) -> "Gaps":
        """Find the frames around each.

        Args:
            seen: whether a frame has a face; at least one has.
            missing: ``"hold"`` repeats the last face; anything else goes from one to the next.
        """
        known = np.flatnonzero(seen)
        numbers = np.arange(len(seen))
        place = np.searchsorted(known, numbers, side="right")
        before, after = np.clip([place - 1, place], 0, len(known) - 1)
        gap = np.maximum(known[after] - known[before], 1)
        share = np.clip((numbers - known[before]) / gap, 0, 1) * (missing != "hold")
        return cls(torch.from_numpy(before), torch.from_numpy(after), torch.from_numpy(share), len(seen) - len(known))

    def fill(self, known: Float[Tensor, "n *m"]) -> Float[Tensor, "f *m"]:
        """Values of every frame, from those of the frames with a face."""
        before, after = known[self.before.to(known.device)], known[self.after.to(known.device)]
        share = self.share.to(known).reshape(-1, *[1] * (known.ndim - 1))
        return (1 - share) * before + share * after

    def fill_parameters(self, known: FaceParameters) -> FaceParameters:
        """Parameters of every frame, from those of the frames with a face; rotations stay rotations."""
        return known if not self.missing else along_frames(known, self.fill, shape=self.fill(known.shape))
