"""A clip whose denoiser's deep features are cached."""

from collections.abc import Sequence

import numpy as np

from anifacediff.assemblies.clip import Chain, Clip, Conditions
from anifacediff.backbone.deep_layers import LayeredDenoiser
from anifacediff.backbone.feature_cache import FeatureCache
from anifacediff.errors import InputError
from anifacediff.sampling.denoise import Denoiser, Timestep
from anifacediff.shapes import Float, Tensor, UInt8


def cached(clip: Conditions, unet: LayeredDenoiser, interval: int) -> "CachedClip | CachedChain":
    """Let the windows of a clip, or the parts of a chain, be evaluated with a feature cache.

    Args:
        clip: what is denoised; it calls the denoiser equally often at each step.
        unet: the denoiser.
        interval: see :class:`~anifacediff.backbone.FeatureCache`.

    Raises:
        InputError: if the interval is out of range, or the clip is denoised in another way.
        AttachmentError: if the denoiser has one resolution only.
    """
    cache = FeatureCache(unet, interval=interval)
    if isinstance(clip, Clip):
        return CachedClip(clip, cache)
    if isinstance(clip, Chain):
        return CachedChain(clip, cache)
    raise InputError(
        f"cache_interval: a {type(clip).__name__} is denoised neither in windows nor in parts that begin; there "
        f"is no feature cache for it, leave it at 1, found {interval}."
    )


class CachedClip:
    """Evaluates a clip's windows with a feature cache."""

    def __init__(self, clip: Clip, cache: FeatureCache) -> None:
        self._clip = clip
        self._cache = cache
        self._denoise = _Cached(clip, cache)

    def __call__(
        self, latents: Float[Tensor, "f c h w"], timestep: Timestep, frames: Sequence[int]
    ) -> Float[Tensor, "f c h w"]:
        """Evaluate the denoiser for one window; see :class:`~anifacediff.sampling.Denoiser`."""
        return self._denoise(latents, timestep, frames)

    def control(self, frame: int) -> UInt8[np.ndarray, "h w 3"]:
        """Draw what the denoiser is told about a frame, as a picture."""
        return self._clip.control(frame)

    def forget(self, frames: range) -> None:
        """Drop what is held for frames that are finished."""
        self._cache.forget(frames)
        self._clip.forget(frames)


class CachedChain:
    """Evaluates the parts of a chain with a feature cache, which holds features of one part at a time."""

    def __init__(self, chain: Chain, cache: FeatureCache) -> None:
        self._chain = chain
        self._cache = cache

    def begin(self, previous: Float[Tensor, "k c h w"], frames: Sequence[int]) -> Denoiser:
        """Make the denoiser of one part; see :class:`~anifacediff.assemblies.clip.Chain`."""
        self._cache.forget(range(frames[0]))
        return _Cached(self._chain.begin(previous, frames), self._cache)

    def control(self, frame: int) -> UInt8[np.ndarray, "h w 3"]:
        """Draw what the denoiser is told about a frame, as a picture."""
        return self._chain.control(frame)

    def forget(self, frames: range) -> None:
        """Drop what is held for frames that are finished."""
        self._chain.forget(frames)


class _Cached:
    """A denoiser with a feature cache; between windows nothing is attached."""

    def __init__(self, denoise: Denoiser, cache: FeatureCache) -> None:
        self._denoise = denoise
        self._cache = cache

    def __call__(
        self, latents: Float[Tensor, "f c h w"], timestep: Timestep, frames: Sequence[int]
    ) -> Float[Tensor, "f c h w"]:
        with self._cache.attach(), self._cache.window(frames, timestep):
            return self._denoise(latents, timestep, frames)
