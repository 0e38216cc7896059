"""MediaPipe's Face Landmarker: opened safely, quietly, and answered in arrays."""

import atexit
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from mediapipe import Image, ImageFormat
from mediapipe.tasks.python import BaseOptions
from mediapipe.tasks.python.vision import FaceLandmarker, FaceLandmarkerOptions  # of unknown type: hence Any

from anifacediff.assets.sources import check_source
from anifacediff.errors import AssetError
from anifacediff_mediapipe.asset import BUNDLE, face_landmarker
from anifacediff_mediapipe.faces import MediapipeFace

_HALF = np.array([0.5, 0.5, 0.0])  # MediaPipe counts the centre of the top-left pixel as (0, 0)


class Landmarker:
    """Finds faces in images, each by itself.

    Args:
        path: the bundle, ``face_landmarker.task``.
        most_faces: how many faces are looked for.
        confidence: of detection and of presence, below which a face is dropped, 0 to 1.
        sha256: what the bundle must hash to, since a damaged one could crash MediaPipe's native code; None for
            another bundle that you trust.

    Raises:
        AssetError: if the bundle is missing, is not the one expected, or cannot be read by MediaPipe.
    """

    def __init__(self, path: Path, *, most_faces: int, confidence: float, sha256: str | None) -> None:
        self._landmarker = _opened(path, _checked(path, sha256), most_faces, confidence)

    def __call__(self, image: UInt8[np.ndarray, "h w 3"]) -> tuple[MediapipeFace, ...]:
        """Find the faces of an RGB image, in no particular order."""
        found = _detect(self._landmarker, image)
        unit = np.array([image.shape[1], image.shape[0], image.shape[1]], dtype=np.float64)
        faces = zip(found.face_landmarks, found.face_blendshapes, found.facial_transformation_matrixes, strict=True)
        return tuple(
            MediapipeFace(
                points=np.array([(point.x, point.y, point.z) for point in points], dtype=np.float64) * unit + _HALF,
                blendshapes=np.array([shape.score for shape in shapes], dtype=np.float64),
                transform=np.array(transform, dtype=np.float64),
            )
            for points, shapes, transform in faces
        )


@cache
def _opened(path: Path, _digest: str, most_faces: int, confidence: float) -> Any:
    """Open a bundle, once for each content and setting, for the life of the process.

    Were it closed by the garbage collector, MediaPipe could wait for ever: for its own thread, collected before it.
    """
    options = FaceLandmarkerOptions(
        BaseOptions(model_asset_buffer=path.read_bytes()),
        num_faces=most_faces,
        min_face_detection_confidence=confidence,
        min_face_presence_confidence=confidence,
        output_face_blendshapes=True,
        output_facial_transformation_matrixes=True,
    )
    try:
        with _silent():
            landmarker = FaceLandmarker.create_from_options(options)
            atexit.register(_abandon, landmarker)
            _detect(landmarker, np.zeros((8, 8, 3), np.uint8))  # what is left to say is said in the first run
    except (RuntimeError, ValueError, OSError) as error:
        raise AssetError(f"{path}: MediaPipe cannot read it: {error} {_where_from()}") from error
    return landmarker


def _detect(landmarker: Any, image: UInt8[np.ndarray, "h w 3"]) -> Any:
    return landmarker.detect(Image(ImageFormat.SRGB, np.ascontiguousarray(image)))


def _checked(path: Path, sha256: str | None) -> str:
    try:
        return check_source(replace(BUNDLE, sha256=sha256), path)
    except AssetError as error:
        raise AssetError(f"{error} {_where_from()}") from error


def _where_from() -> str:
    asset = face_landmarker()
    terms = f"licence: {asset.licence.name}, {asset.licence.url}; commercial use: {asset.licence.commercial}"
    return f"Get {BUNDLE.name} from {asset.source} ({terms})."


def _abandon(landmarker: Any) -> None:
    """Let a landmarker end with the process: MediaPipe cannot close it then, and would print that it failed."""
    landmarker._handle = None


@contextmanager
def _silent() -> Generator[None]:
    """Keep what native code writes to the standard error stream from appearing; its errors come as exceptions."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
