"""Whole models, composed of the parts in the other packages."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anifacediff.assemblies.anifacediff import AniFaceDiffPipeline as AniFaceDiffPipeline
else:
    from anifacediff.exports import lazy_exports

    __getattr__, __all__ = lazy_exports(__name__, {"anifacediff": ("AniFaceDiffPipeline",)})
