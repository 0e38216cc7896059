"""A clip whose denoiser's deep features are cached."""

from collections.abc import Sequence

import numpy as np

from anifacediff.assemblies.clip import Clip, Conditions
from anifacediff.backbone.deep_layers import LayeredDenoiser
from anifacediff.backbone.feature_cache import FeatureCache
from anifacediff.errors import InputError
from anifacediff.sampling.denoise import Timestep
from anifacediff.shapes import Float, Tensor, UInt8


class CachedClip:
    """Evaluates a clip's windows with a feature cache; between the windows nothing is attached.

    Args:
        clip: whose windows are denoised; it calls the denoiser equally often at each step.
        unet: the denoiser.
        interval: see :class:`~anifacediff.backbone.FeatureCache`.

    Raises:
        InputError: if the interval is out of range, or the clip is not denoised in windows.
        AttachmentError: if the denoiser has one resolution only.
    """

    def __init__(self, clip: Conditions, unet: LayeredDenoiser, interval: int) -> None:
        if not isinstance(clip, Clip):
            raise InputError(
                f"cache_interval: a {type(clip).__name__} is denoised clip after clip, for which there is no feature "
                f"cache, found {interval}; leave it at 1. The presets quality and balanced do without."
            )
        self._clip = clip
        self._cache = FeatureCache(unet, interval=interval)

    def __call__(
        self, latents: Float[Tensor, "f c h w"], timestep: Timestep, frames: Sequence[int]
    ) -> Float[Tensor, "f c h w"]:
        """Evaluate the denoiser for one window; see :class:`~anifacediff.sampling.Denoiser`."""
        with self._cache.attach(), self._cache.window(frames, timestep):
            return self._clip(latents, timestep, frames)

    @property
    def held(self) -> int:
        """For how many windows features are held."""
        return len(self._cache)

    def control(self, frame: int) -> UInt8[np.ndarray, "h w 3"]:
        """Draw what the denoiser is told about a frame, as a picture."""
        return self._clip.control(frame)

    def forget(self, frames: range) -> None:
        """Drop what is held for frames that are finished."""
        self._cache.forget(frames)
        self._clip.forget(frames)
