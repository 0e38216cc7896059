"""The FLAME head model, and DECA as a tracker that reads its parameters off pictures.

Importing this package loads no torch; components are imported when they are asked for.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from anifacediff import hookimpl

if TYPE_CHECKING:
    from anifacediff.registry import Loader
    from anifacediff.tracking.contracts import Tracker


@hookimpl
def anifacediff_trackers() -> "Mapping[str, Loader[Callable[..., Tracker]]]":
    """Offer the tracker ``"deca"``."""
    return {"deca": _deca_tracker}


def _deca_tracker() -> "Callable[..., Tracker]":
    from anifacediff_flame.tracker import deca_tracker

    return deca_tracker
