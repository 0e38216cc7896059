"""What tracking gives: the face of an image or of a clip, in pixels of a crop, and how well it was found."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import UInt8

from anifacediff.geometry.faces import Box, FaceParameters
from anifacediff.media.crop import SquareCrop
from anifacediff.shapes import Float, Tensor
from anifacediff.tracking.gaps import Missing
from anifacediff.tracking.shots import Shot


@dataclass(frozen=True)
class TrackedImage:
    """The face of one image.

    Attributes:
        image: the crop, RGB.
        crop: where it lies in the image.
        parameters: one frame, in pixels of the crop.
        reprojection_error: mean distance of the fitted landmarks from the found ones, as a share of the face's width.
    """

    image: UInt8[np.ndarray, "size size 3"]
    crop: SquareCrop
    parameters: FaceParameters
    reprojection_error: float


@dataclass(frozen=True)
class TrackingReport:
    """How well a clip was tracked.

    Attributes:
        missing: numbers of the frames in which the face was not found, from 0.
        filled_by: how their landmarks were made up: ``"interpolate"`` or ``"hold"``.
        reprojection_error: f, mean distance of the final parameters' landmarks from the found (or made up)
            ones, as a share of the face's width.
    """

    missing: tuple[int, ...]
    filled_by: Missing
    reprojection_error: Float[Tensor, "f"]

    def __str__(self) -> str:
        frames, error = len(self.reprojection_error), 100 * self.reprojection_error
        off = f"landmarks off by {error.mean():.1f} % of its width, at most {error.max():.1f} %"
        found = f"face found in {frames - len(self.missing)} of {frames} frames"
        filled = f" (frames {ranges(self.missing)} filled by {self.filled_by!r})" if self.missing else ""
        return f"{found}{filled}; {off}"


@dataclass(frozen=True)
class TrackedClip:
    """The face of a clip.

    Attributes:
        crop: where the crop lies in the frames of the first shot, which is the whole clip if there are no scene cuts.
        parameters: one row for each frame, in pixels of its shot's crop.
        report: frames without a face, and the error of the fit.
        later_shots: those after the first scene cut, in order.
    """

    crop: SquareCrop
    parameters: FaceParameters
    report: TrackingReport
    later_shots: tuple[Shot, ...] = ()

    def crop_at(self, frame: int) -> SquareCrop:
        """Where the crop lies in a frame, given by its number; cut it with ``crop_at(n).apply(image, image_size)``."""
        begun = [shot.crop for shot in self.later_shots if shot.first <= frame]
        return begun[-1] if begun else self.crop

    def boxes(self) -> Box:
        """The face boxes of all frames, in pixels of the frames."""
        size = self.parameters.canvas[0]
        shots = (Shot(0, self.crop), *self.later_shots)
        ends = [*(shot.first for shot in self.later_shots), len(self.parameters)]
        corners = [
            self.parameters.box[shot.first : end].moved(shot.crop.from_crop(size)).corners
            for shot, end in zip(shots, ends, strict=True)
        ]
        return Box(torch.cat(corners))


def ranges(numbers: Sequence[int]) -> str:
    """Write numbers in ascending order as text: ``3-5, 9``."""
    groups: list[list[int]] = []
    for number in numbers:
        if groups and number == groups[-1][-1] + 1:
            groups[-1].append(number)
        else:
            groups.append([number])
    return ", ".join(str(group[0]) if len(group) == 1 else f"{group[0]}-{group[-1]}" for group in groups)
