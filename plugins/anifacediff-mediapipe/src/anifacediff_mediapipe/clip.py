"""The blendshapes of the face that a clip was tracked by."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from jaxtyping import UInt8

from anifacediff.errors import InputError, NoFaceError
from anifacediff.shapes import Float, Tensor
from anifacediff.tracking.smoothing import smooth_signal
from anifacediff.tracking.tracked import TrackedClip
from anifacediff_mediapipe.faces import MediapipeFace
from anifacediff_mediapipe.tracker import MediapipeTracker


def clip_blendshapes(
    frames: Iterable[UInt8[np.ndarray, "h w 3"]],
    tracked: TrackedClip,
    *,
    tracker: MediapipeTracker,
    smoothing: float = 1.0,
) -> Float[Tensor, "f 52"]:
    """Read the blendshapes of the face that was followed through a clip, by whatever tracker.

    Args:
        frames: f of h w 3, RGB, the frames that were tracked.
        tracked: what :func:`~anifacediff.tracking.track_clip` returned for them.
        tracker: finds faces again, with their blendshapes.
        smoothing: strength in frames, see :func:`~anifacediff.tracking.smooth_signal`; 0 is off.

    Returns:
        f 52, in MediaPipe's order, 0 to 1; between the neighbours where the face is not seen.

    Raises:
        NoFaceError: if MediaPipe sees the face in no frame.
        InputError: if there are more or fewer frames than were tracked.
    """
    faces = [tracker.faces(frame) for frame in frames]
    if len(faces) != len(tracked.parameters):
        raise InputError(f"frames: {len(faces)} are given, but {len(tracked.parameters)} were tracked.")
    boxes = tracked.boxes().corners.tolist()
    found = [_nearest(candidates, box) for candidates, box in zip(faces, boxes, strict=True)]
    seen = [number for number, face in enumerate(found) if face is not None]
    if not seen:
        raise NoFaceError(f"MediaPipe saw the tracked face in none of {len(found)} frames. Try another tracker.")
    known = np.stack([face.blendshapes for face in found if face is not None])
    filled = np.stack([np.interp(range(len(found)), seen, column) for column in known.T], axis=1)
    return smooth_signal(torch.from_numpy(filled).to(tracked.parameters.expression), smoothing).clamp(0, 1)


def _nearest(faces: tuple[MediapipeFace, ...], box: Sequence[float]) -> MediapipeFace | None:
    """The face in whose middle the box has its own, if any."""
    left, top, right, bottom = box
    middle = np.array([(left + right) / 2, (top + bottom) / 2])

    def away(face: MediapipeFace) -> float:
        return float(np.linalg.norm(face.detected.landmarks.mean(0) - middle))

    nearest = min(faces, key=away, default=None)
    return nearest if nearest is not None and away(nearest) < (right - left + bottom - top) / 4 else None
