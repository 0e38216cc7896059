"""Which frames the denoiser sees at once: overlapping windows over a clip."""

from itertools import pairwise

from anifacediff.errors import InputError


def open_windows(num_frames: int, size: int = 24, overlap: int = 4) -> tuple[range, ...]:
    """Cover a clip with windows of one size from its first frame to its last; they can be streamed.

    Args:
        num_frames: length of the clip.
        size: frames in a window; a shorter clip is one window of its own length.
        overlap: frames that two neighbours share; the last window is moved back to end with the clip,
            so that it may share more.

    Raises:
        InputError: if there is no frame, or neighbours would overlap entirely.
    """
    _check(num_frames, size, overlap)
    last = max(num_frames - size, 0)
    starts = (*range(0, last, size - overlap), last)
    return tuple(range(start, min(start + size, num_frames)) for start in starts)


def closed_windows(num_frames: int, size: int = 24, overlap: int = 4) -> tuple[tuple[int, ...], ...]:
    """Cover a clip as if its end met its beginning: late windows wrap round to the first frames.

    Args:
        num_frames: length of the clip.
        size: frames in a window; a clip that is not longer is one window of its own length.
        overlap: frames that two neighbours share.

    Raises:
        InputError: if there is no frame, or neighbours would overlap entirely.

    Source: the order that AnimateAnyone's published code uses at every step.
    """
    _check(num_frames, size, overlap)
    if num_frames <= size:
        return (tuple(range(num_frames)),)
    starts = range(0, num_frames, size - overlap)
    return tuple(tuple(frame % num_frames for frame in range(start, start + size)) for start in starts)


def check_consecutive(windows: tuple[range, ...]) -> None:
    """Check that windows run from the first frame on without gaps, each beginning and ending after the one before.

    Raises:
        InputError: naming the first window that does not fit.
    """
    if not windows or windows[0].start != 0:
        raise InputError(f"windows: must start at frame 0, found {windows[:1]}. Make them with open_windows.")
    for window in windows:
        if window.step != 1 or not window:
            raise InputError(f"windows: must be ranges of neighbouring frames, found {window}.")
    for before, after in pairwise(windows):
        if not (before.start < after.start <= before.stop < after.stop):
            raise InputError(
                f"windows: {after} must begin and end later than {before}, without a gap. Make them with open_windows."
            )


def _check(num_frames: int, size: int, overlap: int) -> None:
    if num_frames < 1:
        raise InputError(f"num_frames: a clip needs at least one frame, found {num_frames}.")
    if size < 1:
        raise InputError(f"size: a window needs at least one frame, found {size}.")
    if not 0 <= overlap < size:
        raise InputError(f"overlap: must be at least 0 and less than the window's size {size}, found {overlap}.")
