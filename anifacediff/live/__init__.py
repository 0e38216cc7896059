"""Frames in, frames out, while both go on: what a webcam or a page that is looked at needs."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anifacediff.live.newest import Closed as Closed
    from anifacediff.live.newest import NewestOf as NewestOf
else:
    from anifacediff.exports import lazy_exports

    __getattr__, __all__ = lazy_exports(__name__, {"newest": ("Closed", "NewestOf")})
