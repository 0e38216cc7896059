"""One face, followed from frame to frame."""

import math

from anifacediff.errors import InputError, NoFaceError
from anifacediff.tracking.choice import IN_CLIP, Unchecked, choose, name_of, nearest, search, size_of
from anifacediff.tracking.contracts import DetectedFace, Tracker


class FaceFollower:
    """Finds the chosen face in frame after frame: after the first it is the one nearest to where it was last seen.

    Args:
        tracker: finds all faces of a frame.
        face: which face of the first frame that shows any, the largest is 0; needed where there are several.

    Raises:
        SeveralFacesError: when called, if there are several at first and ``face`` is not given.
        InputError: when called, if ``face`` is no index of a face.
    """

    def __init__(self, tracker: Tracker, face: int | None):
        self.frame_size: tuple[int, int] | None = None
        self._tracker = tracker
        self._face = face
        self._number = 0
        self._last: DetectedFace | None = None
        self._unseen = 0.0  # frames

    def __call__(self, image: Unchecked) -> DetectedFace | None:
        found = search(self._tracker, image, f"frame {self._number}")
        if self._last is not None:
            chosen = nearest(found, self._last.box, self._unseen)
        else:
            where = f"frame {self._number} {size_of(image)}"
            chosen = choose(found, self._face, where, option="--driving-face") if found else None
        self.frame_size = image.shape[0], image.shape[1]
        self._number += 1
        self._unseen = 0.0 if chosen is not None else self._unseen + 1
        self._last = chosen or self._last
        return chosen

    def look_everywhere(self) -> None:
        """Say that a new shot begins, in which the face may be anywhere."""
        self._unseen = math.inf

    def check(self) -> None:
        """Raise if there was no frame, or no face in any."""
        if self._number == 0:
            raise InputError("frames: the clip is empty, there is nothing to track. Check the video file.")
        if self._last is None:
            raise NoFaceError(
                f"No face was found in any of {self._number} frames by {name_of(self._tracker)}. {IN_CLIP}"
            )
