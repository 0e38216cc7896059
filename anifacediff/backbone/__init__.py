"""What draws: the parts that are attached to diffusers' own UNets."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anifacediff.backbone.reference_net import ReferenceNet as ReferenceNet
    from anifacediff.backbone.temporal import TemporalModules as TemporalModules
else:
    from anifacediff.exports import lazy_exports

    __getattr__, __all__ = lazy_exports(
        __name__, {"reference_net": ("ReferenceNet",), "temporal": ("TemporalModules",)}
    )
