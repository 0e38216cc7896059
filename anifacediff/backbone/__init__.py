"""What draws: the parts that are attached to diffusers' own UNets."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anifacediff.backbone.contracts import ReferenceNetwork as ReferenceNetwork
    from anifacediff.backbone.contracts import TemporalNetwork as TemporalNetwork
    from anifacediff.backbone.feature_cache import FeatureCache as FeatureCache
    from anifacediff.backbone.inter_clip import InterClipAffinity as InterClipAffinity
    from anifacediff.backbone.inter_clip import LeadingFrames as LeadingFrames
    from anifacediff.backbone.lora import attach_lora as attach_lora
    from anifacediff.backbone.reference_net import ReferenceFeatures as ReferenceFeatures
    from anifacediff.backbone.reference_net import ReferenceNet as ReferenceNet
    from anifacediff.backbone.temporal import TemporalModules as TemporalModules
    from anifacediff.backbone.temporal import normalise_per_frame as normalise_per_frame
else:
    from anifacediff.exports import lazy_exports

    __getattr__, __all__ = lazy_exports(
        __name__,
        {
            "contracts": ("ReferenceNetwork", "TemporalNetwork"),
            "feature_cache": ("FeatureCache",),
            "inter_clip": ("InterClipAffinity", "LeadingFrames"),
            "lora": ("attach_lora",),
            "reference_net": ("ReferenceFeatures", "ReferenceNet"),
            "temporal": ("TemporalModules", "normalise_per_frame"),
        },
    )
