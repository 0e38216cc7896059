"""Tracker ``"dlib"`` and identity encoder ``"dlib"`` of anifacediff, from a plain install of dlib.

Importing this package loads neither dlib nor torch; its components are imported when they are asked for.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from anifacediff import hookimpl

if TYPE_CHECKING:
    from anifacediff.conditioning.contracts import IdentityEncoder
    from anifacediff.registry import Loader
    from anifacediff.tracking.contracts import Tracker


@hookimpl
def anifacediff_trackers() -> "Mapping[str, Loader[Callable[..., Tracker]]]":
    """Offer the tracker ``"dlib"``."""
    return {"dlib": _dlib_tracker}


@hookimpl
def anifacediff_identity_encoders() -> "Mapping[str, Loader[Callable[..., IdentityEncoder]]]":
    """Offer the identity encoder ``"dlib"``."""
    return {"dlib": _dlib_identity_encoder}


def _dlib_tracker() -> "Callable[..., Tracker]":
    from anifacediff_dlib.tracker import DlibTracker

    return DlibTracker


def _dlib_identity_encoder() -> "Callable[..., IdentityEncoder]":
    from anifacediff_dlib.identity import DlibIdentityEncoder

    return DlibIdentityEncoder
