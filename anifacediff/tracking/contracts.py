"""What a face tracker must offer, and the faces it finds; plugins implement :class:`Tracker`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float64, UInt8

from anifacediff.errors import InputError
from anifacediff.geometry.contracts import MorphableModel
from anifacediff.geometry.faces import FaceParameters
from anifacediff.shapes import Tensor

NUM_LANDMARKS = 68

FaceRectangle = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels."""


@dataclass(frozen=True, eq=False)
class DetectedFace:
    """One face of one image.

    Attributes:
        box: left, top, right, bottom in pixels, as the detector draws it.
        landmarks: 68 2, the iBUG landmarks in pixels; the centre of the top-left pixel is (0.5, 0.5).

    Raises:
        InputError: if the landmarks are not 68 finite points, or the box is not finite.
    """

    box: FaceRectangle
    landmarks: Float64[np.ndarray, "68 2"]

    def __post_init__(self) -> None:
        if self.landmarks.shape != (NUM_LANDMARKS, 2):
            raise InputError(
                f"DetectedFace.landmarks: expected 68 points (68, 2) in the iBUG order, found {self.landmarks.shape}."
            )
        if not np.isfinite(self.landmarks).all():
            raise InputError("DetectedFace.landmarks: some coordinates are NaN or infinite.")
        if not np.isfinite(self.box).all():
            raise InputError(f"DetectedFace.box: an edge is NaN or infinite: {self.box}.")

    @classmethod
    def at(cls, landmarks: Float[np.ndarray, "68 2"]) -> "DetectedFace":
        """A face whose landmarks are given by hand; its box is their extent.

        Args:
            landmarks: 68 2, pixels.
        """
        points = np.asarray(landmarks, dtype=np.float64)
        return cls(extent(points), points)


@runtime_checkable
class Tracker(Protocol):
    """Finds faces in one image."""

    def __call__(self, image: UInt8[np.ndarray, "h w 3"]) -> tuple[DetectedFace, ...]:
        """Find the faces of an RGB image, the largest first; no face is an empty tuple."""
        ...


@runtime_checkable
class LandmarkDetector(Protocol):
    """Finds the landmarks of a face whose box is known."""

    def inside(self, image: UInt8[np.ndarray, "h w 3"], box: FaceRectangle) -> DetectedFace:
        """Place the landmarks of the face inside ``box`` (left, top, right, bottom in pixels) of an RGB image."""
        ...


@runtime_checkable
class ParameterTracker(Tracker, Protocol):
    """A tracker that reads a model's parameters off the faces itself, so that nothing is fitted to landmarks."""

    @property
    def model(self) -> MorphableModel:
        """Whose parameters they are."""
        ...

    def estimate(self, images: Float[Tensor, "f 3 h w"], faces: Sequence[DetectedFace]) -> FaceParameters:
        """Read the parameters of one face in each picture.

        Args:
            images: f 3 h w, RGB in [0, 1].
            faces: f, where to look.

        Returns:
            Parameters of f frames, in pixels of the pictures.
        """
        ...


@dataclass(frozen=True)
class ManualTracker:
    """A tracker that searches nothing: every image shows the faces given by hand.

    Attributes:
        faces: what to answer, for instance ``(DetectedFace.at(landmarks),)``.
    """

    faces: tuple[DetectedFace, ...]

    def __call__(self, image: UInt8[np.ndarray, "h w 3"]) -> tuple[DetectedFace, ...]:
        """Return the faces given by hand."""
        return self.faces


@dataclass(frozen=True)
class ManualBox:
    """A tracker that is told where the face is, and places the landmarks only.

    Attributes:
        detector: places the landmarks, for instance the dlib tracker.
        box: left, top, right, bottom of the face in pixels, about from the brows to the chin.
    """

    detector: LandmarkDetector
    box: FaceRectangle

    def __call__(self, image: UInt8[np.ndarray, "h w 3"]) -> tuple[DetectedFace, ...]:
        """Return the one face inside the box.

        Raises:
            InputError: if the middle of the box lies outside of the picture.
        """
        left, top, right, bottom = self.box
        height, width = image.shape[:2]
        if not (0 <= left + right <= 2 * width and 0 <= top + bottom <= 2 * height):
            raise InputError(
                f"box {left:g},{top:g},{right:g},{bottom:g}: its middle lies outside of the picture, {width}x{height} "
                "pixels; give left, top, right, bottom in pixels of it."
            )
        return (self.detector.inside(image, self.box),)


def extent(points: Float[np.ndarray, "k 2"]) -> FaceRectangle:
    """The smallest rectangle that holds all points, in their units."""
    left, top = points.min(axis=0).tolist()
    right, bottom = points.max(axis=0).tolist()
    return left, top, right, bottom
