"""Face boxes and 68 landmarks from a plain install of dlib, as the tracker ``"dlib"`` of anifacediff.

Importing this package loads neither dlib nor torch; the tracker is imported when it is asked for.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from anifacediff import hookimpl

if TYPE_CHECKING:
    from anifacediff.registry import Loader
    from anifacediff.tracking.contracts import Tracker


@hookimpl
def anifacediff_trackers() -> "Mapping[str, Loader[Callable[..., Tracker]]]":
    """Offer the tracker ``"dlib"``."""
    return {"dlib": _dlib_tracker}


def _dlib_tracker() -> "Callable[..., Tracker]":
    from anifacediff_dlib.tracker import DlibTracker

    return DlibTracker
