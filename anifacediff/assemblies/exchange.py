"""What goes into a pipeline and what comes out of it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
from diffusers.utils.outputs import BaseOutput
from PIL import Image

from anifacediff.geometry.faces import FaceParameters
from anifacediff.provenance.contracts import Mark
from anifacediff.shapes import UInt8


@runtime_checkable
class Reference(Protocol):
    """The avatar; a ``TrackedImage`` is one, and so is anything else that has the two."""

    @property
    def image(self) -> UInt8[np.ndarray, "h w 3"]:
        """The square crop of the face, RGB."""
        ...

    @property
    def parameters(self) -> FaceParameters:
        """The face in it, one frame."""
        ...


class UntrainedWarning(UserWarning):
    """Parts of a pipeline have no trained weights, so that its pictures mean nothing."""


@dataclass(frozen=True)
class GeneratedFrame:
    """One frame of the result.

    Attributes:
        image: h w 3, RGB.
    """

    image: UInt8[np.ndarray, "h w 3"]
    _draw_control: Callable[[], UInt8[np.ndarray, "h w 3"]]

    @property
    def control(self) -> UInt8[np.ndarray, "h w 3"]:
        """The control map that the denoiser was given; drawn when it is asked for."""
        return self._draw_control()

    def marked(self, mark: Mark) -> "GeneratedFrame":
        """The same frame with a mark all over its image."""
        return replace(self, image=mark.embed(self.image[None])[0])


@dataclass
class AnimationOutput(BaseOutput):
    """All frames of the result.

    Attributes:
        frames: as pictures.
        control: the control maps that the denoiser was given.
    """

    frames: list[Image.Image]
    control: list[Image.Image]
