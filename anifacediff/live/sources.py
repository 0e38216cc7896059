"""Where frames come from while they are watched: a camera, or a clip at its own speed."""

import sys
import time
from collections.abc import Callable, Iterator

import av
import numpy as np
from av.error import FFmpegError
from jaxtyping import UInt8

from anifacediff.errors import MediaError
from anifacediff.media import VideoSource

_CAMERAS = {"linux": ("/dev/video0", "video4linux2"), "darwin": ("0", "avfoundation"), "win32": ("video=0", "dshow")}
"""The usual camera of each system, and FFmpeg's name for what reads cameras there."""


def camera_frames(name: str | None = None, *, reader: str | None = None) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """Read a camera until the iterator is closed.

    Args:
        name: as FFmpeg names cameras: ``/dev/video0`` on Linux, ``0`` on macOS, ``video=NAME`` on Windows; the usual
            one if not given.
        reader: FFmpeg's device; that of the system if not given.

    Yields:
        h w 3 bytes, RGB, row 0 at the top.

    Raises:
        MediaError: if there is no such camera, the installed PyAV cannot read cameras, or it stops.
    """
    usual_name, usual_reader = _CAMERAS.get(sys.platform, _CAMERAS["linux"])
    name = name or usual_name
    try:
        with av.open(name, format=reader or usual_reader) as container:
            for frame in container.decode(video=0):
                yield frame.to_ndarray(format="rgb24")
    except (FFmpegError, OSError, ValueError) as error:
        raise MediaError(
            f"{name}: no pictures from this camera ({error}). Is it plugged in, not in use elsewhere, and can the "
            "installed PyAV read cameras? Any other iterator of RGB arrays can take its place."
        ) from error


def at_own_speed(
    clip: VideoSource, *, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """The frames of a clip, each when its time has come, as from a camera.

    Args:
        clip: what is played.
        clock: tells the seconds.
        sleep: waits for some seconds.
    """
    began = clock()
    for number, frame in enumerate(clip):
        early = began + float(number / clip.fps) - clock()
        if early > 0:
            sleep(early)
        yield frame
