"""Faces found by MediaPipe's Face Landmarker."""

import math
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from anifacediff.assets.places import find
from anifacediff.errors import NoFaceError
from anifacediff.tracking.contracts import DetectedFace, FaceRectangle
from anifacediff_mediapipe.asset import BUNDLE, face_landmarker
from anifacediff_mediapipe.faces import MediapipeFace
from anifacediff_mediapipe.landmarker import Landmarker

Picture = UInt8[np.ndarray, "h w 3"]

_ROOM = 0.5  # around a given box, in sizes of it: the detector needs to see more than the face


class MediapipeTracker:
    """Faces as 68 landmarks, and as all that MediaPipe knows of them; every image by itself.

    MediaPipe says on which pixel a point lies by its index, counted from the image's edge; half a pixel is added
    here. What is left is an error of its network: it places points about 0.3 % of the face's width towards the
    image's right, whatever it shows.

    Args:
        path: ``face_landmarker.task``; by default the asset ``"face-landmarker"`` in its place.
        most_faces: how many faces are looked for in an image.
        confidence: of detection and of presence, below which a face is dropped, 0 to 1.
        sha256: what the file must hash to, since a damaged one could crash MediaPipe's native code; None for another
            bundle that you trust.

    Raises:
        AssetError: if the file is missing, is not the one expected, or cannot be read by MediaPipe.
    """

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        most_faces: int = 4,
        confidence: float = 0.5,
        sha256: str | None = BUNDLE.sha256,
    ) -> None:
        bundle = Path(path) if path is not None else find(face_landmarker()) / BUNDLE.name
        self._landmarker = Landmarker(bundle, most_faces=most_faces, confidence=confidence, sha256=sha256)

    def __call__(self, image: Picture) -> tuple[DetectedFace, ...]:
        """Find the faces of an RGB image, the largest first."""
        return tuple(face.detected for face in self.faces(image))

    def faces(self, image: Picture) -> tuple[MediapipeFace, ...]:
        """Find the faces of an RGB image with their blendshapes and head transforms, the largest first."""
        return tuple(sorted(self._landmarker(image), key=_area, reverse=True))

    def inside(self, image: Picture, box: FaceRectangle) -> DetectedFace:
        """Place the landmarks of the face inside ``box`` (left, top, right, bottom in pixels) of an RGB image.

        Raises:
            NoFaceError: if MediaPipe sees no face there.
        """
        left, top, right, bottom = box
        room_x, room_y = _ROOM * (right - left), _ROOM * (bottom - top)
        first_x, first_y = max(0, math.floor(left - room_x)), max(0, math.floor(top - room_y))
        part = image[first_y : max(0, math.ceil(bottom + room_y)), first_x : max(0, math.ceil(right + room_x))]
        found = self(part) if part.size else ()
        middle = np.array([(left + right) / 2 - first_x, (top + bottom) / 2 - first_y])
        nearest = min(found, key=lambda face: np.hypot(*(face.landmarks.mean(0) - middle)), default=None)
        if nearest is None:
            raise NoFaceError(
                f"MediaPipe found no face in or near the box left {left:.0f}, top {top:.0f}, right {right:.0f}, bottom "
                f"{bottom:.0f} of an image of {image.shape[1]}x{image.shape[0]} pixels. Give its landmarks by hand "
                "(anifacediff.tracking.ManualTracker), or try another tracker."
            )
        return DetectedFace(box, nearest.landmarks + np.array([first_x, first_y]))


def _area(face: MediapipeFace) -> float:
    width, height = np.ptp(face.points[:, :2], axis=0)
    return float(width * height)
