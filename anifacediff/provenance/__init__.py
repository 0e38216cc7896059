"""Where pictures come from: marks inside of them, and records beside them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anifacediff.provenance.contracts import Mark as Mark
    from anifacediff.provenance.contracts import MarkEvidence as MarkEvidence
    from anifacediff.provenance.contracts import Region as Region
    from anifacediff.provenance.files import fingerprint as fingerprint
    from anifacediff.provenance.marking import marked as marked
    from anifacediff.provenance.reading import FoundRecord as FoundRecord
    from anifacediff.provenance.reading import read_record as read_record
    from anifacediff.provenance.record import ModelFacts as ModelFacts
    from anifacediff.provenance.record import Record as Record
    from anifacediff.provenance.record import installed_versions as installed_versions
    from anifacediff.provenance.spread import SpreadMark as SpreadMark
else:
    from anifacediff.exports import lazy_exports

    __getattr__, __all__ = lazy_exports(
        __name__,
        {
            "contracts": ("Mark", "MarkEvidence", "Region"),
            "files": ("fingerprint",),
            "marking": ("marked",),
            "reading": ("FoundRecord", "read_record"),
            "record": ("ModelFacts", "Record", "installed_versions"),
            "spread": ("SpreadMark",),
        },
    )
