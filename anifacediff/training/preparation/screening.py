"""Which frames of a tracked clip are fit to be learned from."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import groupby
from typing import Literal

import numpy as np
from jaxtyping import Float as ArrayFloat
from jaxtyping import UInt8

from anifacediff.geometry.morphable import rotation_matrix
from anifacediff.shapes import Float, Tensor
from anifacediff.tracking.tracked import TrackedClip
from anifacediff.training.preparation.settings import Limits

Fault = Literal["missing", "misfit", "pose", "small", "blurred"]
HEAD_JOINTS = ("global", "neck", "head")
_LUMA = np.array([0.299, 0.587, 0.114])


def sharpness(picture: UInt8[np.ndarray, "h w 3"]) -> float:
    """Variance of the Laplacian of the grey levels, 0 to 255.

    Source: Pech-Pacheco et al. 2000, as widely used to find blurred pictures.
    """
    grey = picture @ _LUMA
    inner = grey[1:-1, 1:-1]
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * inner
    return float(laplacian.var())


def head_turn(pose: Float[Tensor, "f j 3"], joint_names: Sequence[str]) -> Float[Tensor, "f"]:
    """By how many degrees a head is turned away from the camera, all joints down to the head taken together.

    Args:
        pose: axis-angle of each joint relative to its parent, in radians.
        joint_names: of the face model.
    """
    joints = [index for index, name in enumerate(joint_names) if name in HEAD_JOINTS]
    rotation = rotation_matrix(pose[:, joints[0]])
    for joint in joints[1:]:
        rotation = rotation @ rotation_matrix(pose[:, joint])
    cosine = (rotation.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2
    return cosine.clamp(-1, 1).arccos().rad2deg()


def faults(
    tracked: TrackedClip,
    sharp: ArrayFloat[np.ndarray, "f"],
    joint_names: Sequence[str],
    limits: Limits,
) -> list[Fault | None]:
    """Why each frame is left out, the gravest reason; None if it is taken.

    Args:
        tracked: the face in every frame.
        sharp: :func:`sharpness` of each crop.
        joint_names: of the face model.
        limits: which frames are taken.
    """
    missing = set(tracked.report.missing)
    off = tracked.report.reprojection_error > limits.misfit
    turned = head_turn(tracked.parameters.pose, joint_names) > limits.pose
    small = tracked.boxes().size < limits.face
    found: list[Fault | None] = []
    for frame in range(len(tracked.parameters)):
        wrong: dict[Fault, bool] = {
            "missing": frame in missing,
            "misfit": bool(off[frame]),
            "pose": bool(turned[frame]),
            "small": bool(small[frame]),
            "blurred": bool(sharp[frame] < limits.sharpness),
        }
        found.append(next((fault for fault, is_so in wrong.items() if is_so), None))
    return found


def clips(frames: Sequence[Fault | None], limits: Limits, longest: int, cuts: Sequence[int] = ()) -> list[range]:
    """The runs of frames that are taken, cut into clips; a piece shorter than a run is left out.

    Args:
        frames: :func:`faults` of each.
        limits: says how long a run is at least.
        longest: the most frames in a clip.
        cuts: numbers of the frames that begin a new shot, in ascending order; no clip goes across.
    """
    found: list[range] = []
    for (fault, _), group in groupby(range(len(frames)), key=lambda n: (frames[n], bisect_right(cuts, n))):
        run = list(group)
        if fault is None:
            pieces = [run[first : first + longest] for first in range(0, len(run), longest)]
            found += [range(piece[0], piece[-1] + 1) for piece in pieces if len(piece) >= limits.run]
    return found
