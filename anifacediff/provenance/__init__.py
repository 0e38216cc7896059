"""Where pictures come from: marks inside of them, and records beside them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anifacediff.provenance.contracts import Mark as Mark
    from anifacediff.provenance.contracts import MarkEvidence as MarkEvidence
    from anifacediff.provenance.contracts import Region as Region
    from anifacediff.provenance.marking import marked as marked
    from anifacediff.provenance.spread import SpreadMark as SpreadMark
else:
    from anifacediff.exports import lazy_exports

    __getattr__, __all__ = lazy_exports(
        __name__,
        {
            "contracts": ("Mark", "MarkEvidence", "Region"),
            "marking": ("marked",),
            "spread": ("SpreadMark",),
        },
    )
