"""From noise to latents: windows over a clip, the denoising loop, streaming."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anifacediff.sampling.chained import ClipChain as ClipChain
    from anifacediff.sampling.chained import stream_chained as stream_chained
    from anifacediff.sampling.denoise import Denoiser as Denoiser
    from anifacediff.sampling.denoise import denoise_clip as denoise_clip
    from anifacediff.sampling.denoise import stream_latents as stream_latents
    from anifacediff.sampling.noise import FrameNoise as FrameNoise
    from anifacediff.sampling.noise import GivenNoise as GivenNoise
    from anifacediff.sampling.noise import Noise as Noise
    from anifacediff.sampling.presets import SAMPLING_PRESETS as SAMPLING_PRESETS
    from anifacediff.sampling.presets import SamplingPreset as SamplingPreset
    from anifacediff.sampling.presets import sampling_options as sampling_options
    from anifacediff.sampling.windows import closed_windows as closed_windows
    from anifacediff.sampling.windows import open_windows as open_windows
else:
    from anifacediff.exports import lazy_exports

    __getattr__, __all__ = lazy_exports(
        __name__,
        {
            "chained": ("ClipChain", "stream_chained"),
            "denoise": ("Denoiser", "denoise_clip", "stream_latents"),
            "noise": ("FrameNoise", "GivenNoise", "Noise"),
            "presets": ("SAMPLING_PRESETS", "SamplingPreset", "sampling_options"),
            "windows": ("closed_windows", "open_windows"),
        },
    )
