"""Whole models, composed of the parts in the other packages."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anifacediff.assemblies.anifacediff import AniFaceDiffPipeline as AniFaceDiffPipeline
    from anifacediff.assemblies.animate_anyone import AnimateAnyonePipeline as AnimateAnyonePipeline
    from anifacediff.assemblies.in_place import Role as Role
    from anifacediff.assemblies.in_place import animate_in_place as animate_in_place
    from anifacediff.assemblies.magicportrait import MagicPortraitPipeline as MagicPortraitPipeline
    from anifacediff.assemblies.mimaface import MIMAFacePipeline as MIMAFacePipeline
    from anifacediff.assemblies.pipeline import AnimationPipeline as AnimationPipeline
    from anifacediff.assemblies.recorded import record_of as record_of
else:
    from anifacediff.exports import lazy_exports

    __getattr__, __all__ = lazy_exports(
        __name__,
        {
            "animate_anyone": ("AnimateAnyonePipeline",),
            "anifacediff": ("AniFaceDiffPipeline",),
            "in_place": ("Role", "animate_in_place"),
            "magicportrait": ("MagicPortraitPipeline",),
            "mimaface": ("MIMAFacePipeline",),
            "pipeline": ("AnimationPipeline",),
            "recorded": ("record_of",),
        },
    )
