"""Which of the faces in a picture is meant."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from anifacediff.errors import InputError, SeveralFacesError
from anifacediff.media.images import check_picture
from anifacediff.tracking.contracts import DetectedFace, FaceRectangle, Tracker

Unchecked = NDArray[Any]

_IN_PYTHON = (
    "in Python anifacediff.tracking.ManualBox, or its landmarks (ManualTracker, track_faces), or ready FaceParameters."
)
IN_IMAGE = (
    f"Try another picture, or say where the face is: on the command line --box for a reference image; {_IN_PYTHON}"
)
IN_CLIP = f"Try another clip or tracker, or say where the face is: {_IN_PYTHON}"


def search(tracker: Tracker, image: Unchecked, where: str) -> tuple[DetectedFace, ...]:
    """Find all faces of a picture; errors name the tracker, and the picture by ``where``."""
    check_picture(where, image)
    try:
        return tracker(image)
    except InputError as error:  # such as faces of NaN
        raise type(error)(f"{name_of(tracker)}, {where}: {error}") from error


def choose(found: tuple[DetectedFace, ...], face: int | None, where: str, *, option: str) -> DetectedFace:
    """Take the face that was asked for by its index, or the only one.

    Args:
        found: at least one face.
        face: an index, or None.
        where: names the picture in errors.
        option: of the command line, by which the index is given.

    Raises:
        SeveralFacesError: if there are several and none was asked for.
        InputError: if there is no such index.
    """
    if face is None and len(found) == 1:
        return found[0]
    if face is not None and 0 <= face < len(found):
        return found[face]
    listed = "; ".join(f"[{index}] {_box_text(one.box)}" for index, one in enumerate(found))
    how = f"Choose one with face=INDEX (command line: {option} INDEX)"
    if face is None:
        raise SeveralFacesError(f"{len(found)} faces were found in {where}: {listed}. {how}.")
    raise InputError(f"face={face}: {where} shows {len(found)} face(s): {listed}. {how}.")


def nearest(found: tuple[DetectedFace, ...], box: FaceRectangle, unseen: float) -> DetectedFace | None:
    """Take the face nearest to ``box``; none if it is farther than a face can move, which grows with frames unseen."""
    x, y, size = _middle(box)
    away = [(np.hypot(_middle(one.box)[0] - x, _middle(one.box)[1] - y), index) for index, one in enumerate(found)]
    if not away:
        return None
    distance, index = min(away)
    return found[index] if distance <= size * (1 + unseen) else None


def _middle(box: FaceRectangle) -> tuple[float, float, float]:
    """The centre of a box, and the mean of its sides."""
    left, top, right, bottom = box
    return (left + right) / 2, (top + bottom) / 2, (right - left + bottom - top) / 2


def _box_text(box: FaceRectangle) -> str:
    left, top, right, bottom = box
    return f"left {left:.0f}, top {top:.0f}, right {right:.0f}, bottom {bottom:.0f}"


def size_of(image: Unchecked) -> str:
    """Tell a picture's size, for errors."""
    return f"({image.shape[1]}x{image.shape[0]} pixels)"


def name_of(tracker: Tracker) -> str:
    """Tell which tracker it is, for errors."""
    return type(tracker).__name__
