"""Finding faces as a pipeline needs them."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from anifacediff.assemblies.pipeline import AnimationPipeline
from anifacediff.errors import InputError
from anifacediff.geometry.contracts import LandmarkedModel
from anifacediff.shapes import UInt8
from anifacediff.tracking.contracts import Tracker
from anifacediff.tracking.track import track_clip, track_image
from anifacediff.tracking.tracked import TrackedClip, TrackedImage

_SMALLEST = 256


@dataclass(frozen=True)
class FaceFinder:
    """Tracks pictures and clips with one tracker, for one pipeline.

    Attributes:
        tracker: finds the faces.
        model: is fitted to them.
        image_size: height and width of the crops in pixels.
        margin: side of the crops over the size of a face.
    """

    tracker: Tracker
    model: LandmarkedModel
    image_size: int
    margin: float

    @classmethod
    def of(cls, pipe: AnimationPipeline, tracker: Tracker) -> "FaceFinder":
        """One that fits the pipeline's face model, with its margin, in crops of 256 pixels at least.

        Raises:
            InputError: if the face model has no landmarks.
        """
        model = pipe.alignment.morphable_model
        if not isinstance(model, LandmarkedModel):
            raise InputError(
                f"{type(pipe).__name__}: its face model, a {type(model).__name__}, has no landmarks and cannot be "
                "fitted to a face; for that it needs the members of anifacediff.geometry.LandmarkedModel."
            )
        return cls(tracker, model, max(_SMALLEST, int(pipe.config["image_size"])), float(pipe.config["crop_margin"]))

    def in_picture(self, picture: UInt8[np.ndarray, "h w 3"], *, face: int | None = None) -> TrackedImage:
        """Find the face of a picture; see :func:`~anifacediff.tracking.track_image`."""
        return track_image(
            picture, tracker=self.tracker, model=self.model, face=face, margin=self.margin, image_size=self.image_size
        )

    def in_clip(self, frames: Iterable[UInt8[np.ndarray, "h w 3"]], *, face: int | None = None) -> TrackedClip:
        """Follow the face of a clip; see :func:`~anifacediff.tracking.track_clip`."""
        return track_clip(
            frames, tracker=self.tracker, model=self.model, face=face, margin=self.margin, image_size=self.image_size
        )
