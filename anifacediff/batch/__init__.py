"""Many clips: a list of them, done one by one or on many machines, and never twice."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anifacediff.batch.animator import Animator as Animator
    from anifacediff.batch.animator import ClipMaker as ClipMaker
    from anifacediff.batch.animator import Result as Result
    from anifacediff.batch.clips import PipelineClips as PipelineClips
    from anifacediff.batch.cluster import OnRay as OnRay
    from anifacediff.batch.manifest import read_manifest as read_manifest
    from anifacediff.batch.rows import Row as Row
    from anifacediff.batch.run import Batch as Batch
    from anifacediff.batch.run import Report as Report
else:
    from anifacediff.exports import lazy_exports

    __getattr__, __all__ = lazy_exports(
        __name__,
        {
            "animator": ("Animator", "ClipMaker", "Result"),
            "clips": ("PipelineClips",),
            "cluster": ("OnRay",),
            "manifest": ("read_manifest",),
            "rows": ("Row",),
            "run": ("Batch", "Report"),
        },
    )
