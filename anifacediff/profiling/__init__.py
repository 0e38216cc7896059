"""Where a clip's time and memory go: stages, counted work, and what the machine could do at best."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anifacediff.profiling.floors import counted_work as counted_work
    from anifacediff.profiling.floors import matmul_rate as matmul_rate
    from anifacediff.profiling.full_size import FULL_SIZE as FULL_SIZE
    from anifacediff.profiling.profile import Profile as Profile
    from anifacediff.profiling.profile import StageCost as StageCost
    from anifacediff.profiling.profile import profile_clip as profile_clip
    from anifacediff.profiling.stages import watched as watched
    from anifacediff.profiling.stopwatch import Spent as Spent
    from anifacediff.profiling.stopwatch import Stopwatch as Stopwatch
else:
    from anifacediff.exports import lazy_exports

    __getattr__, __all__ = lazy_exports(
        __name__,
        {
            "floors": ("counted_work", "matmul_rate"),
            "full_size": ("FULL_SIZE",),
            "profile": ("Profile", "StageCost", "profile_clip"),
            "stages": ("watched",),
            "stopwatch": ("Spent", "Stopwatch"),
        },
    )
