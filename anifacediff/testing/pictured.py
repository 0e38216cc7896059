"""A picture to track, and a tracker that is shown it."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from jaxtyping import UInt8

from anifacediff.synthetic import Avatar, AvatarArtist, Performance
from anifacediff.testing.checks import Case, require
from anifacediff.tracking.contracts import DetectedFace, Tracker

Picture = UInt8[np.ndarray, "h w 3"]


@cache
def drawn_portrait(size: int = 192) -> Picture:
    """A drawn avatar that looks at the viewer, uint8 h w 3 RGB; not every tracker finds a face in it."""
    artist, avatar = AvatarArtist(), Avatar()
    (picture,) = artist.draw(avatar, artist.parameters(avatar, Performance.still(), size=size))
    return (picture.permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()


@dataclass(frozen=True, eq=False)
class PicturedCase(Case[Tracker]):
    """A tracker, and what it looks at.

    Attributes:
        picture: h w 3, RGB: one upright face that looks at the viewer and that this tracker finds;
            :func:`drawn_portrait` if None.
    """

    picture: Picture | None = None

    @property
    def shown(self) -> Picture:
        """The picture to look at."""
        return drawn_portrait() if self.picture is None else self.picture


def found_faces(case: PicturedCase) -> tuple[DetectedFace, ...]:
    """What the tracker finds in the picture; it is no conformant one if it finds nothing."""
    faces = case.made()(case.shown)
    require(faces, "no face was found in the picture; give another one: TrackerCase(..., picture=...).")
    return faces
