"""Whole models, composed of the parts in the other packages."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anifacediff.assemblies.anifacediff import AniFaceDiffPipeline as AniFaceDiffPipeline
    from anifacediff.assemblies.animate_anyone import AnimateAnyonePipeline as AnimateAnyonePipeline
    from anifacediff.assemblies.magicportrait import MagicPortraitPipeline as MagicPortraitPipeline
    from anifacediff.assemblies.mimaface import MIMAFacePipeline as MIMAFacePipeline
    from anifacediff.assemblies.pipeline import AnimationPipeline as AnimationPipeline
else:
    from anifacediff.exports import lazy_exports

    __getattr__, __all__ = lazy_exports(
        __name__,
        {
            "animate_anyone": ("AnimateAnyonePipeline",),
            "anifacediff": ("AniFaceDiffPipeline",),
            "magicportrait": ("MagicPortraitPipeline",),
            "mimaface": ("MIMAFacePipeline",),
            "pipeline": ("AnimationPipeline",),
        },
    )
