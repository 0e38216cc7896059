"""One face followed through frames as they come, without looking ahead."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import UInt8

from anifacediff.errors import InputError
from anifacediff.geometry.contracts import LandmarkedModel
from anifacediff.geometry.faces import FaceParameters
from anifacediff.media.crop import SquareCrop
from anifacediff.shapes import Float, Tensor
from anifacediff.tracking import DetectedFace, LandmarkFit, Tracker, track_faces
from anifacediff.tracking.estimates import Estimates, joined, reads
from anifacediff.tracking.follower import FaceFollower
from anifacediff.tracking.smoothing import along_frames


@dataclass(frozen=True)
class _Anchor:
    """What the first frame with a face settles: where the crop lies, and whose face it is."""

    crop: SquareCrop
    shape: Float[Tensor, "1 s"]


class LiveTracker:
    """Fits a model to one face, frame after frame; crop and identity are those of the first frame that shows it.

    Smoothing is causal: an exponential mean, which lags by as many frames as it is strong. Where the face is not
    found, the last parameters are given again.

    Args:
        tracker: finds faces; one that reads this model's parameters itself is asked for them.
        model: fitted to the landmarks.
        face: which face of the first frame that shows any, the largest is 0; needed where there are several.
        smoothing: in frames; 0 is off.
        margin: side of the crop over the face's size, see :meth:`~anifacediff.media.SquareCrop.around`.
        image_size: height and width of the crop in pixels.

    Attributes:
        crop: where the crop lies in the frames; None before a face was seen.

    Raises:
        InputError: if ``smoothing`` is negative.
    """

    def __init__(
        self,
        tracker: Tracker,
        model: LandmarkedModel,
        *,
        face: int | None = None,
        smoothing: float = 0.5,
        margin: float = 1.8,
        image_size: int = 256,
    ) -> None:
        if not smoothing >= 0:
            raise InputError(f"smoothing: expected frames, 0 or more, found {smoothing}.")
        self._tracker = tracker
        self._model = model
        self._follow = FaceFollower(tracker, face)
        self._fit = LandmarkFit(model)
        self._share = 1 / (1 + smoothing)
        self._margin = margin
        self._size = image_size
        self._anchor: _Anchor | None = None
        self._last: FaceParameters | None = None

    @property
    def crop(self) -> SquareCrop | None:
        return None if self._anchor is None else self._anchor.crop

    def __call__(self, image: UInt8[np.ndarray, "h w 3"]) -> FaceParameters | None:
        """The face of the next frame.

        Args:
            image: h w 3, RGB.

        Returns:
            One frame of parameters in pixels of the crop; None before a face was seen.

        Raises:
            SeveralFacesError: if the first frame with a face shows several and ``face`` was not given.
            InputError: if ``face`` is no index of a face, or the tracker's estimate cannot be used.
        """
        found = self._follow(image)
        if found is not None:
            seen = self._read(image, found)
            self._last = seen if self._last is None else self._smoothed(self._last, seen)
        return self._last

    def _read(self, image: UInt8[np.ndarray, "h w 3"], found: DetectedFace) -> FaceParameters:
        if self._anchor is None:
            self._anchor = self._settle(image, found)
        to_crop, canvas = self._anchor.crop.to_crop(self._size), (self._size, self._size)
        if reads(self._tracker, self._model):
            estimates = Estimates(self._tracker)
            estimates.add(0, image, found)
            return estimates.joined().moved(to_crop, canvas).shaped(self._anchor.shape)
        landmarks = torch.from_numpy(found.landmarks).float()[None]
        return self._fit(to_crop(landmarks), canvas=canvas, shape=self._anchor.shape[0])

    def _settle(self, image: UInt8[np.ndarray, "h w 3"], found: DetectedFace) -> _Anchor:
        first = track_faces(
            [found],
            model=self._model,
            smoothing=0.0,
            margin=self._margin,
            image_size=self._size,
            frame_size=(image.shape[0], image.shape[1]),
        )
        return _Anchor(first.crop, first.parameters.shape)

    def _smoothed(self, last: FaceParameters, seen: FaceParameters) -> FaceParameters:
        def toward(values: Tensor) -> Tensor:
            return torch.lerp(values[:1], values[1:], self._share)

        return along_frames(joined([last, seen]), toward, shape=seen.shape)
