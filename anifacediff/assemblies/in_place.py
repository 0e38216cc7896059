"""Faces animated where they stand in a larger picture."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import UInt8

from anifacediff.assemblies.pipeline import AnimationPipeline
from anifacediff.errors import InputError
from anifacediff.geometry.faces import FaceParameters
from anifacediff.media.paste import FEATHER, PasteBack
from anifacediff.tracking.tracked import TrackedImage


@dataclass(frozen=True)
class Role:
    """A face of a picture, and what it is to do.

    Attributes:
        face: found in the picture by :func:`~anifacediff.tracking.track_image`.
        driving: what the driver's face does, one row for each frame of the result.
    """

    face: TrackedImage
    driving: FaceParameters


def animate_in_place(
    pipe: AnimationPipeline,
    picture: UInt8[np.ndarray, "h w 3"],
    roles: Sequence[Role],
    *,
    feather: float = FEATHER,
    free_after_reference: bool = False,
    on_window: Callable[[int, int], None] | None = None,
    **options: Any,
) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """Animate faces of a picture, each with its own driver, and lay them back into it, frame after frame.

    Every face is seen by the camera that the picture shows it with: it turns and moves its features as the driver
    does, but neither walks nor grows, since the body around it rests. Memory does not grow with the clip.

    Args:
        pipe: draws the faces.
        picture: h w 3, RGB.
        roles: at least one; all with the same number of frames, see :func:`~anifacediff.tracking.retimed`.
        feather: see :class:`~anifacediff.media.PasteBack`.
        free_after_reference: as for :meth:`AnimationPipeline.stream`.
        on_window: called with the windows evaluated so far and in all, those of all faces together.
        options: of :meth:`AnimationPipeline.stream`; all faces share them.

    Yields:
        Frames of the picture's size.

    Raises:
        InputError: if there are no roles, their numbers of frames differ, two lie on one face, a driver's camera
            is none of ours, or an option is out of range.
        ShapeError: as :meth:`AnimationPipeline.stream` does.
    """
    paste = PasteBack(picture, [role.face.crop for role in roles], feather=feather)
    lengths = [len(role.driving) for role in roles]
    if len(set(lengths)) > 1:
        raise InputError(f"roles: the drivers have {lengths} frames; bring them to one number with retimed().")
    told = [None] * len(roles) if on_window is None else _shares(on_window, len(roles))
    streams = [
        pipe.stream(
            role.face,
            role.driving.seen_as(role.face.parameters),
            free_after_reference=free_after_reference and role is roles[-1],
            on_window=tell,
            **options,
        )
        for role, tell in zip(roles, told, strict=True)
    ]
    return (paste([frame.image for frame in frames]) for frames in zip(*streams, strict=True))


def _shares(tell: Callable[[int, int], None], count: int) -> list[Callable[[int, int], None]]:
    """For each of several equal tasks a function that is told its progress; ``tell`` hears of all together."""
    done = [0] * count

    def told(index: int, finished: int, total: int) -> None:
        done[index] = finished
        tell(sum(done), total * count)

    return [partial(told, index) for index in range(count)]
