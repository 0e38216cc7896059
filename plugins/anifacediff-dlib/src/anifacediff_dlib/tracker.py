"""Face boxes and 68 landmarks found by dlib."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, UInt8
from PIL import Image

from anifacediff.tracking.contracts import DetectedFace, FaceRectangle
from anifacediff_dlib.models import convolutional_detector, frontal_detector, landmark_predictor, rectangle

Picture = UInt8[np.ndarray, "h w 3"]

# Shifts in widths of the box (x, y) and a scale; landmarks averaged over them jitter less from frame to frame.
_JIGGLES = ((0.0, 0.0, 1.0), (-0.03, 0.0, 1.0), (0.03, 0.0, 1.0), (0.0, 0.0, 0.96), (0.0, 0.0, 1.04))

_LEAST_CONVOLUTIONAL_SIDE = 10  # pixels; dlib raises an error on smaller pictures


@dataclass(frozen=True)
class DlibTracker:
    """Frontal face boxes by HOG, else by dlib's convolutional detector; 68 landmarks.

    Attributes:
        largest_side: of the image that is searched, in pixels; larger images are reduced for the search.
        doublings: how often the searched image is doubled, tried in this order until a face is found.
        convolutional: whether the slow convolutional detector is tried when the frontal one finds nothing.
        largest_convolutional_side: of the image that the convolutional detector searches, in pixels.
    """

    largest_side: int = 1280
    doublings: tuple[int, ...] = (0, 1, 2)
    convolutional: bool = True
    largest_convolutional_side: int = 640

    def __call__(self, image: Picture) -> tuple[DetectedFace, ...]:
        """Find the faces of an RGB image, the largest first."""
        boxes = next((found for found in self._searches(image) if found), [])
        return tuple(self.inside(image, box) for box in sorted(boxes, key=_area, reverse=True))

    def inside(self, image: Picture, box: FaceRectangle) -> DetectedFace:
        """Place the landmarks of the face inside ``box`` (left, top, right, bottom in pixels) of an RGB image."""
        pixels = np.ascontiguousarray(image)
        return DetectedFace(box, np.mean([_landmarks(pixels, jiggled) for jiggled in _jiggle(box)], axis=0))

    def _searches(self, image: Picture) -> Iterator[list[FaceRectangle]]:
        reduced, factor = _reduce(image, self.largest_side)
        for doubling in self.doublings:
            yield [_scaled(found, factor) for found in frontal_detector()(reduced, doubling)]
        if self.convolutional:
            reduced, factor = _reduce(image, self.largest_convolutional_side)
            if min(reduced.shape[:2]) >= _LEAST_CONVOLUTIONAL_SIDE:
                yield [_scaled(found.rect, factor) for found in convolutional_detector()(reduced, 0)]


def _reduce(image: Picture, largest_side: int) -> tuple[Picture, float]:
    """Return the image no larger than allowed, and how many of its pixels one pixel of the result spans."""
    factor = max(image.shape[:2]) / largest_side
    if factor <= 1:
        return np.ascontiguousarray(image), 1.0
    height, width = (max(1, round(side / factor)) for side in image.shape[:2])
    return np.array(Image.fromarray(image).resize((width, height), Image.Resampling.BOX)), factor


def _scaled(found: Any, factor: float) -> FaceRectangle:
    # dlib's corners are indices of the outermost pixels, both inside the box.
    edges = (found.left(), found.top(), found.right() + 1, found.bottom() + 1)
    left, top, right, bottom = (edge * factor for edge in edges)
    return left, top, right, bottom


def _area(box: FaceRectangle) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _jiggle(box: FaceRectangle) -> Iterator[FaceRectangle]:
    width, height = box[2] - box[0], box[3] - box[1]
    for shift_x, shift_y, scale in _JIGGLES:
        x, y = (box[0] + box[2]) / 2 + shift_x * width, (box[1] + box[3]) / 2 + shift_y * height
        yield x - scale * width / 2, y - scale * height / 2, x + scale * width / 2, y + scale * height / 2


def _landmarks(pixels: Picture, box: FaceRectangle) -> Float64[np.ndarray, "68 2"]:
    left, top, right, bottom = (round(edge) for edge in box)
    found = landmark_predictor()(pixels, rectangle(left, top, right - 1, bottom - 1))
    # dlib answers indices of pixels; the centre of pixel 0 is at 0.5.
    return np.array([(point.x + 0.5, point.y + 0.5) for point in found.parts()], dtype=np.float64)
