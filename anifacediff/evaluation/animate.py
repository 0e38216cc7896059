"""A pipeline's clip of a scene, with one thing about it changed."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch

from anifacediff.assemblies.anifacediff import AniFaceDiffPipeline
from anifacediff.conditioning.expression_adapter import ExpressionAdapter
from anifacediff.conditioning.facial_alignment import FacialAlignment
from anifacediff.errors import InputError
from anifacediff.evaluation.scenes import Portrait, Scene
from anifacediff.geometry.faces import FaceParameters
from anifacediff.media.pictures import to_images
from anifacediff.shapes import Float, Tensor


@runtime_checkable
class ParameterReader(Protocol):
    """A tracker that reads the parameters of a face off square pictures."""

    def parameters(self, images: Float[Tensor, "f 3 h w"]) -> FaceParameters:
        """Estimate the parameters of each picture, RGB in [0, 1]."""
        ...


@dataclass(frozen=True)
class Sampling:
    """How clips are denoised, see :meth:`AniFaceDiffPipeline.stream`.

    Attributes:
        steps: denoising steps; as many as suit the pipeline's weights if None.
        start: ``"zeros"``, ``"noise"`` or ``"shared"``; what suits the weights if None.
        seed: of the noise.
    """

    steps: int | None = None
    start: str | None = None
    seed: int = 0


@dataclass(frozen=True)
class Studio:
    """What clips are made with.

    Attributes:
        pipeline: animates.
        scenes: all of one task.
        sampling: how.
        tracker: reads parameters off pictures; None if there is none.
    """

    pipeline: AniFaceDiffPipeline
    scenes: Sequence[Scene]
    sampling: Sampling
    tracker: ParameterReader | None = None


@dataclass(frozen=True)
class Animated:
    """An arm: the pipeline's answer.

    Attributes:
        tracked: read the parameters of reference and driver off their pictures; else they are the true ones.
        expressive: whether the Expression Adapter takes part; its weight is zero otherwise.
        shuffled: tell the Expression Adapter about another clip's expression; the control maps keep their own.
        alignment: whether shape and scale are aligned; as the pipeline is configured if None.
    """

    tracked: bool = False
    expressive: bool = True
    shuffled: bool = False
    alignment: tuple[bool, bool] | None = None

    def __call__(self, studio: Studio, index: int) -> Float[Tensor, "f 3 h w"]:
        """Animate a scene of the studio, chosen by its number.

        Raises:
            InputError: if the arm needs a tracker, another clip or a :class:`FacialAlignment` that is not there.
        """
        pipeline, scene, sampling = studio.pipeline, studio.scenes[index], studio.sampling
        portrait, driving = self._seen(studio, scene)
        with (
            _weighted(pipeline.expression_adapter, self.expressive),
            _told(pipeline.expression_adapter, driving, self._expression(studio, index)),
            _aligned(pipeline, self.alignment),
        ):
            frames = pipeline.stream(
                portrait, driving, num_inference_steps=sampling.steps, seed=sampling.seed, start=sampling.start
            )
            return to_images(np.stack([frame.image for frame in frames]))

    def _seen(self, studio: Studio, scene: Scene) -> tuple[Portrait, FaceParameters]:
        if not self.tracked:
            return scene.portrait, scene.driving
        if studio.tracker is None:
            raise InputError(
                "tracked parameters need a tracker of drawn avatars, and there is none; leave the arm out."
            )
        read = studio.tracker.parameters
        return Portrait(scene.portrait.image, read(scene.reference)), read(scene.driving_images)

    def _expression(self, studio: Studio, index: int) -> Float[Tensor, "f e"] | None:
        if not self.shuffled:
            return None
        if len(studio.scenes) < 2:
            raise InputError("shuffled expression is another clip's, and there is one only; take more identities.")
        return self._seen(studio, studio.scenes[(index + 1) % len(studio.scenes)])[1].expression


@contextmanager
def _weighted(adapter: ExpressionAdapter, expressive: bool) -> Generator[None]:
    before = adapter.scale
    adapter.scale = before if expressive else 0.0
    try:
        yield
    finally:
        adapter.scale = before


@contextmanager
def _told(adapter: ExpressionAdapter, driving: FaceParameters, told: Float[Tensor, "f e"] | None) -> Generator[None]:
    """Let the adapter hear ``told`` in place of the clip's own expression; frames are known by their own."""
    if told is None:
        yield
        return

    def instead(_: torch.nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        (asked,) = arguments
        own, other = driving.expression.to(asked), told.to(asked)
        return (other[(asked[:, None] - own).abs().sum(2).argmin(1)],)

    hook = adapter.register_forward_pre_hook(instead)
    try:
        yield
    finally:
        hook.remove()


@contextmanager
def _aligned(pipeline: AniFaceDiffPipeline, alignment: tuple[bool, bool] | None) -> Generator[None]:
    if alignment is None:
        yield
        return
    align = pipeline.alignment
    if not isinstance(align, FacialAlignment):
        raise InputError(f"alignment cannot be changed: the control maps come from a {type(align).__name__}.")
    before = align.align_shape, align.align_scale
    align.align_shape, align.align_scale = alignment
    try:
        yield
    finally:
        align.align_shape, align.align_scale = before
