"""Drawn avatars that move: training data whose identity, motion and answer are all known."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anifacediff.synthetic.artist import AvatarArtist as AvatarArtist
    from anifacediff.synthetic.avatar import STYLES as STYLES
    from anifacediff.synthetic.avatar import Avatar as Avatar
    from anifacediff.synthetic.casting import random_avatar as random_avatar
    from anifacediff.synthetic.expression import COMPONENTS as COMPONENTS
    from anifacediff.synthetic.expression import DEFAULT_WITHHELD as DEFAULT_WITHHELD
    from anifacediff.synthetic.expression import GROUPS as GROUPS
    from anifacediff.synthetic.expression import ExpressiveHead as ExpressiveHead
    from anifacediff.synthetic.motion import random_motion as random_motion
    from anifacediff.synthetic.performance import Performance as Performance
    from anifacediff.synthetic.performance import true_parameters as true_parameters
else:
    from anifacediff.exports import lazy_exports

    __getattr__, __all__ = lazy_exports(
        __name__,
        {
            "artist": ("AvatarArtist",),
            "avatar": ("STYLES", "Avatar"),
            "casting": ("random_avatar",),
            "expression": ("COMPONENTS", "DEFAULT_WITHHELD", "GROUPS", "ExpressiveHead"),
            "motion": ("random_motion",),
            "performance": ("Performance", "true_parameters"),
        },
    )
