"""One frame animated after another, each by itself."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import UInt8

from anifacediff.assemblies.clip import LiveClip
from anifacediff.assemblies.exchange import GeneratedFrame, Reference
from anifacediff.assemblies.pipeline import AnimationPipeline
from anifacediff.errors import InputError
from anifacediff.geometry.faces import FaceParameters


class FrameAnimator:
    """Animates single frames; what is read off the reference is read once, at the first face.

    Frames do not see each other, so no frame waits for a later one. That suits denoisers without temporal modules,
    such as nano's; those with temporal modules flicker more than over a clip. All frames start from the same noise.

    Args:
        pipe: draws the frames; while this is in use, nothing else may use it.
        reference: the avatar's face crop and its parameters.
        track: the face of the next frame, None before any was seen; such as a
            :class:`~anifacediff.live.LiveTracker`.
        guidance_scale: see :meth:`~anifacediff.assemblies.AnimationPipeline.stream`.
        options: of :meth:`~anifacediff.assemblies.AnimationPipeline.generate`, such as ``num_inference_steps``.

    Raises:
        InputError: when called, if the pipeline's clips cannot be continued frame after frame.
    """

    def __init__(
        self,
        pipe: AnimationPipeline,
        reference: Reference,
        track: Callable[[UInt8[np.ndarray, "h w 3"]], FaceParameters | None],
        *,
        guidance_scale: float | None = None,
        **options: Any,
    ) -> None:
        self._pipe = pipe
        self._reference = reference
        self._track = track
        self._guidance = pipe.usual_guidance if guidance_scale is None else guidance_scale
        self._options = options
        self._clip: LiveClip | None = None

    def __call__(self, image: UInt8[np.ndarray, "h w 3"]) -> GeneratedFrame | None:
        """Animate the next frame.

        Args:
            image: h w 3, RGB, of the driver.

        Returns:
            The avatar in the driver's pose, or in the last one known if the driver is not seen; None before it was.
        """
        driving = self._track(image)
        if driving is None:
            return None
        if self._clip is None:
            self._clip = self._prepared(driving)
        (frame,) = self._pipe.generate(self._clip.driven_by(driving), 1, **self._options)
        return frame

    def _prepared(self, driving: FaceParameters) -> LiveClip:
        clip = self._pipe.prepare(self._reference, driving, self._guidance)
        if not isinstance(clip, LiveClip):
            raise InputError(
                f"pipe: clips of {type(self._pipe).__name__} cannot be continued frame after frame; those of "
                "AniFaceDiffPipeline and MagicPortraitPipeline can. Stream a whole clip with AnimationPipeline.stream."
            )
        return clip
