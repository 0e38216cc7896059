"""How good an animation is, in figures; what a network must say about a face is injected."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anifacediff.evaluation.contracts import Animation as Animation
    from anifacediff.evaluation.contracts import ClipExtractor as ClipExtractor
    from anifacediff.evaluation.contracts import ClipMetric as ClipMetric
    from anifacediff.evaluation.contracts import FrameExtractor as FrameExtractor
    from anifacediff.evaluation.contracts import SetMetric as SetMetric
else:
    from anifacediff.exports import lazy_exports

    __getattr__, __all__ = lazy_exports(
        __name__,
        {
            "contracts": ("Animation", "ClipExtractor", "ClipMetric", "FrameExtractor", "SetMetric"),
        },
    )
