"""Frames in, frames out, while both go on: what a webcam or a page that is looked at needs."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anifacediff.live.animator import FrameAnimator as FrameAnimator
    from anifacediff.live.newest import Closed as Closed
    from anifacediff.live.newest import NewestOf as NewestOf
    from anifacediff.live.run import LiveFrame as LiveFrame
    from anifacediff.live.run import LiveRun as LiveRun
    from anifacediff.live.sources import at_own_speed as at_own_speed
    from anifacediff.live.sources import camera_frames as camera_frames
    from anifacediff.live.tracker import LiveTracker as LiveTracker
else:
    from anifacediff.exports import lazy_exports

    __getattr__, __all__ = lazy_exports(
        __name__,
        {
            "animator": ("FrameAnimator",),
            "newest": ("Closed", "NewestOf"),
            "run": ("LiveFrame", "LiveRun"),
            "sources": ("at_own_speed", "camera_frames"),
            "tracker": ("LiveTracker",),
        },
    )
