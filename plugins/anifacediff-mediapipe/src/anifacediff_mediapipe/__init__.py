"""Faces from MediaPipe's Face Landmarker, as the tracker ``"mediapipe"`` of anifacediff.

Importing this package loads neither MediaPipe nor torch; the tracker is imported when it is asked for.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from anifacediff import hookimpl

if TYPE_CHECKING:
    from anifacediff.assets.contracts import Asset
    from anifacediff.registry import Loader
    from anifacediff.tracking.contracts import Tracker


@hookimpl
def anifacediff_trackers() -> "Mapping[str, Loader[Callable[..., Tracker]]]":
    """Offer the tracker ``"mediapipe"``."""
    return {"mediapipe": _mediapipe_tracker}


@hookimpl
def anifacediff_assets() -> "Mapping[str, Loader[Callable[[], Asset]]]":
    """Offer the description of ``"face-landmarker"``, the bundle of networks that the tracker runs."""
    return {"face-landmarker": _face_landmarker}


def _mediapipe_tracker() -> "Callable[..., Tracker]":
    from anifacediff_mediapipe.tracker import MediapipeTracker

    return MediapipeTracker


def _face_landmarker() -> "Callable[[], Asset]":
    from anifacediff_mediapipe.asset import face_landmarker

    return face_landmarker
