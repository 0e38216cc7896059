"""What a metric is given, and what it must offer; plugins implement :class:`ClipMetric` or :class:`SetMetric`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, runtime_checkable

import torch

from anifacediff.errors import InputError
from anifacediff.shapes import Float, Tensor, check_finite, check_shape

Answer: TypeAlias = Literal["truth", "driving"]
"""What an output is held against: what it should be, or what it should move like."""


@dataclass(frozen=True)
class Animation:
    """One animated clip, and what it is judged by; RGB in [0, 1].

    Attributes:
        output: f 3 h w, the clip; values beyond [0, 1] are clipped before they are judged.
        reference: 1 3 h w, who should be in it.
        truth: f 3 h w, what it should be; known for drawn avatars and for clips animated by themselves.
        driving: f 3 h w, whose pose and expression it should have.

    Raises:
        ShapeError: if a field has other axes than those above, or another size or number of frames than the output.
        InputError: if there are no frames, or a value is NaN or infinite.
    """

    output: Float[Tensor, "f 3 h w"]
    reference: Float[Tensor, "1 3 h w"]
    truth: Float[Tensor, "f 3 h w"] | None = None
    driving: Float[Tensor, "f 3 h w"] | None = None

    def __post_init__(self) -> None:
        _check_images("Animation.output", self.output, None, None, None)
        frames, _, height, width = self.output.shape
        if not self.output.numel():
            raise InputError(f"Animation.output: there is nothing to judge, its shape is {tuple(self.output.shape)}.")
        _check_images("Animation.reference", self.reference, 1, height, width)
        for name, images in (("truth", self.truth), ("driving", self.driving)):
            if images is not None:
                _check_images(f"Animation.{name}", images, frames, height, width)

    def needed(self, answer: Answer, metric: str) -> Float[Tensor, "f 3 h w"]:
        """Return the truth or the driving clip.

        Args:
            answer: which one.
            metric: who needs it, for the message.

        Raises:
            InputError: if it is not known.
        """
        images = self.truth if answer == "truth" else self.driving
        if images is None:
            raise InputError(f"{metric} needs Animation.{answer}, but it is None; give it, or leave {metric} out.")
        return images


@runtime_checkable
class FrameExtractor(Protocol):
    """Says something about each picture by numbers: who it shows, how the head is turned, what it looks like."""

    def __call__(self, images: Float[Tensor, "f 3 h w"]) -> Float[Tensor, "f d"]:
        """Turn RGB pictures in [0, 1] into features, one row for each."""
        ...


@runtime_checkable
class ClipExtractor(Protocol):
    """Says something about each clip by numbers, its motion included."""

    def __call__(self, clips: Float[Tensor, "n t 3 h w"]) -> Float[Tensor, "n d"]:
        """Turn n RGB clips of t frames in [0, 1] into features, one row for each."""
        ...


@runtime_checkable
class Detector(Protocol):
    """Tells generated pictures from real ones; a model of the user's own, in evaluation mode."""

    def __call__(self, images: Float[Tensor, "f 3 h w"]) -> Float[Tensor, "f"]:
        """Score frames of one clip in their order, RGB in [0, 1]: higher for what is held for generated."""
        ...


@runtime_checkable
class ClipMetric(Protocol):
    """Judges one clip at a time."""

    @property
    def unit(self) -> str:
        """The unit of the figure; empty if it has none."""
        ...

    @property
    def higher_is_better(self) -> bool: ...

    def __call__(self, animation: Animation) -> float:
        """Judge a clip; raises :class:`InputError` if it lacks what the metric needs."""
        ...


@runtime_checkable
class SetMetric(Protocol):
    """Judges many clips together, since it compares distributions."""

    @property
    def unit(self) -> str:
        """The unit of the figure; empty if it has none."""
        ...

    @property
    def higher_is_better(self) -> bool: ...

    @property
    def sampling(self) -> str:
        """What is taken from each clip, to be stated beside the figure; tells a set metric from a clip's."""
        ...

    def __call__(self, animations: Sequence[Animation]) -> float:
        """Judge a set of clips; raises :class:`InputError` if they lack what the metric needs."""
        ...


@torch.no_grad()
def frame_features(extractor: FrameExtractor, images: Float[Tensor, "f 3 h w"]) -> Float[Tensor, "f d"]:
    """Extract features, one row for each picture, whose values are clipped to [0, 1].

    Raises:
        ShapeError: if the extractor returned anything but one row for each; the message names it.
        InputError: if a feature is NaN or infinite.
    """
    return _checked(extractor, extractor(images.clamp(0, 1)), len(images))


@torch.no_grad()
def clip_features(extractor: ClipExtractor, clips: Float[Tensor, "n t 3 h w"]) -> Float[Tensor, "n d"]:
    """Extract features, one row for each clip; raises what :func:`frame_features` does."""
    return _checked(extractor, extractor(clips.clamp(0, 1)), len(clips))


def _checked(extractor: FrameExtractor | ClipExtractor, features: Tensor, rows: int) -> Tensor:
    name = f"features of extractor {getattr(extractor, '__qualname__', type(extractor).__qualname__)}"
    check_shape(name, features, "one row for each picture or clip, d", rows, None)
    check_finite(name, features)
    return features


def _check_images(name: str, images: Tensor, frames: int | None, height: int | None, width: int | None) -> None:
    check_shape(name, images, "f 3 h w", frames, 3, height, width)
    check_finite(name, images)
