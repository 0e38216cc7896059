"""Drawing sheets and clips of avatars."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8

from anifacediff.cli.report import progress
from anifacediff.conditioning import FacialAlignment
from anifacediff.geometry import FaceParameters
from anifacediff.geometry.chunks import chunks
from anifacediff.media import VideoWriter, write_image
from anifacediff.shapes import Float, Tensor
from anifacediff.synthetic import AvatarArtist, ExpressiveHead, random_avatar, random_motion
from anifacediff.synthetic.avatar import Avatar, Style

_AT_ONCE = 8

Strip = UInt8[np.ndarray, "f h w 3"]


@dataclass(frozen=True)
class Cast:
    """Avatars and what they do; motions all have one length.

    Attributes:
        avatars: who.
        motions: of each.
        artist: draws them.
    """

    avatars: tuple[Avatar, ...]
    motions: tuple[FaceParameters, ...]
    artist: AvatarArtist

    @classmethod
    def of(
        cls, seeds: range, motion_seed: int | None, *, frames: int, fps: float, size: int, style: Style | None
    ) -> "Cast":
        """Make up avatars; each has a motion of its own unless ``motion_seed`` gives them one."""
        artist = AvatarArtist()
        avatars = tuple(random_avatar(seed, style=style) for seed in seeds)
        performances = [random_motion(seed if motion_seed is None else motion_seed, frames, fps=fps) for seed in seeds]
        pairs = zip(avatars, performances, strict=True)
        return cls(avatars, tuple(artist.parameters(one, does, size=size) for one, does in pairs), artist)

    def strip(self, index: int, frames: slice, alignment: FacialAlignment | None) -> Strip:
        """Draw some moments of an avatar, each beside its control map if an alignment is given."""
        motion = self.motions[index]
        picture = self.artist.draw(self.avatars[index], motion[frames])
        if alignment is None:
            return _bytes(picture)
        normal = alignment.render(alignment.plan(motion[:1], motion[:1]), motion[frames]).normal
        return _bytes(picture if normal is None else torch.cat([picture, normal], dim=3))


def write_sheet(output: Path, cast: Cast, *, maps: bool) -> None:
    """Write one picture: a row for each avatar, a column for each moment."""
    alignment = _alignment(cast, maps)
    rows: list[UInt8[np.ndarray, "h w 3"]] = []
    for index in progress(range(len(cast.avatars)), "Drawing avatars", len(cast.avatars)):
        moments = chunks(len(cast.motions[index]), _AT_ONCE)
        strips = [np.concatenate(list(cast.strip(index, part, alignment)), axis=1) for part in moments]
        rows.append(np.concatenate(strips, axis=1))
    write_image(output, np.concatenate(rows))


def write_clip(output: Path, cast: Cast, *, fps: float, maps: bool) -> None:
    """Write a clip with the avatars side by side."""
    alignment = _alignment(cast, maps)
    parts = chunks(len(cast.motions[0]), _AT_ONCE)
    with VideoWriter(output, Fraction(fps).limit_denominator(1000)) as writer:
        for part in progress(parts, "Drawing frames", len(parts)):
            strips = [cast.strip(index, part, alignment) for index in range(len(cast.avatars))]
            for frame in np.concatenate(strips, axis=2):
                writer.write(np.ascontiguousarray(frame))


def _alignment(cast: Cast, maps: bool) -> FacialAlignment | None:
    return FacialAlignment(ExpressiveHead(), image_size=cast.motions[0].canvas[0]) if maps else None


def _bytes(pictures: Float[Tensor, "f 3 h w"]) -> Strip:
    return (pictures * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
