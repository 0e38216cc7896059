"""What a visitor asks for, and what he is told meanwhile."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
from jaxtyping import UInt8

from anifacediff.errors import InputError, MediaError, SeveralFacesError


@dataclass(frozen=True)
class Order:
    """What a visitor asks for.

    Attributes:
        reference: file of the avatar's picture.
        driving: file of the clip whose face moves.
        model: a name that the studio knows.
        preset: a name of :data:`~anifacediff.sampling.SAMPLING_PRESETS`; what suits the model if None.
        steps: denoising steps; what suits the model and the preset if None.
        start: what frames start from, see :class:`~anifacediff.sampling.FrameNoise`; what suits the model if None.
        seed: the same seed gives the same video.
        face: which face of the picture, the largest is 0; needed where there are several.
        driving_face: which face of the clip.
    """

    reference: Path
    driving: Path
    model: str
    preset: str | None = None
    steps: int | None = None
    start: str | None = None
    seed: int = 0
    face: int | None = None
    driving_face: int | None = None

    def words(self, error: InputError | MediaError) -> str:
        """What is said about an error of the order: the library's message, without the places of the uploads."""
        text = str(error)
        for path, name in ((self.reference, "the picture"), (self.driving, "the clip")):
            text = text.replace(str(path), name)
        hint = " Here: choose the face under Settings." if isinstance(error, SeveralFacesError) else ""
        return text[:1].upper() + text[1:] + hint


@dataclass(frozen=True)
class Progress:
    """How far the work has come.

    Attributes:
        text: what is being done.
        share: how much of it is done, 0 to 1; None where that is not known.
        pictures: what there is to see by now, h w 3 each, by name.
        result: the finished video; it is gone when the generator that yields this ends.
    """

    text: str
    share: float | None = None
    pictures: Mapping[str, UInt8[np.ndarray, "_ _ 3"]] = field(default_factory=dict[str, UInt8[np.ndarray, "_ _ 3"]])
    result: Path | None = None


Tell: TypeAlias = Callable[[Progress], None]
"""Shows a state of the work; raises :class:`~anifacediff.live.Closed` once nobody waits for it any more."""
