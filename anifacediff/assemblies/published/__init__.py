"""Checkpoints of published code, converted to our components."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anifacediff.assemblies.published.aniportrait import convert_aniportrait as convert_aniportrait
    from anifacediff.assemblies.published.aniportrait import (
        convert_multilevel_pose_guider as convert_multilevel_pose_guider,
    )
    from anifacediff.assemblies.published.conversion import ConvertedWeights as ConvertedWeights
    from anifacediff.assemblies.published.folders import Architecture as Architecture
    from anifacediff.assemblies.published.magicportrait import convert_guidance_encoders as convert_guidance_encoders
    from anifacediff.assemblies.published.magicportrait import convert_magicportrait as convert_magicportrait
    from anifacediff.assemblies.published.moore import MotionLayout as MotionLayout
    from anifacediff.assemblies.published.moore import convert_denoising_unet as convert_denoising_unet
    from anifacediff.assemblies.published.moore import convert_moore as convert_moore
    from anifacediff.assemblies.published.moore import convert_motion_modules as convert_motion_modules
    from anifacediff.assemblies.published.moore import convert_pose_guider as convert_pose_guider
    from anifacediff.assemblies.published.moore import convert_reference_unet as convert_reference_unet
    from anifacediff.assemblies.published.recognition import looks_like as looks_like
else:
    from anifacediff.exports import lazy_exports

    __getattr__, __all__ = lazy_exports(
        __name__,
        {
            "aniportrait": ("convert_aniportrait", "convert_multilevel_pose_guider"),
            "conversion": ("ConvertedWeights",),
            "folders": ("Architecture",),
            "magicportrait": ("convert_guidance_encoders", "convert_magicportrait"),
            "moore": (
                "MotionLayout",
                "convert_denoising_unet",
                "convert_moore",
                "convert_motion_modules",
                "convert_pose_guider",
                "convert_reference_unet",
            ),
            "recognition": ("looks_like",),
        },
    )
