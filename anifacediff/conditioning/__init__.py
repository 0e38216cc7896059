"""What tells the denoiser what to draw; one component a file."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anifacediff.conditioning.contracts import AttentionAdapter as AttentionAdapter
    from anifacediff.conditioning.contracts import ControlRenderer as ControlRenderer
    from anifacediff.conditioning.contracts import IdentityEncoder as IdentityEncoder
    from anifacediff.conditioning.expression_adapter import ExpressionAdapter as ExpressionAdapter
    from anifacediff.conditioning.facial_alignment import FacialAlignment as FacialAlignment
    from anifacediff.conditioning.fixed_prompt import FixedPrompt as FixedPrompt
    from anifacediff.conditioning.geometric_guidance import GeometricGuidanceEncoder as GeometricGuidanceEncoder
    from anifacediff.conditioning.image_tokens import ImageTokens as ImageTokens
    from anifacediff.conditioning.motion_identity import MotionIdentity as MotionIdentity
    from anifacediff.conditioning.motion_identity import MotionIdentityModulation as MotionIdentityModulation
    from anifacediff.conditioning.multilevel_pose import MultiLevelPoseEncoder as MultiLevelPoseEncoder
    from anifacediff.conditioning.plane_sweep import PlaneSweep as PlaneSweep
    from anifacediff.conditioning.pose_encoder import PoseEncoder as PoseEncoder
    from anifacediff.conditioning.reference_guide import ReferenceGuide as ReferenceGuide
    from anifacediff.conditioning.reference_warp import ReferenceWarp as ReferenceWarp
else:
    from anifacediff.exports import lazy_exports

    __getattr__, __all__ = lazy_exports(
        __name__,
        {
            "contracts": ("AttentionAdapter", "ControlRenderer", "IdentityEncoder"),
            "expression_adapter": ("ExpressionAdapter",),
            "facial_alignment": ("FacialAlignment",),
            "fixed_prompt": ("FixedPrompt",),
            "geometric_guidance": ("GeometricGuidanceEncoder",),
            "image_tokens": ("ImageTokens",),
            "motion_identity": ("MotionIdentity", "MotionIdentityModulation"),
            "multilevel_pose": ("MultiLevelPoseEncoder",),
            "plane_sweep": ("PlaneSweep",),
            "pose_encoder": ("PoseEncoder",),
            "reference_guide": ("ReferenceGuide",),
            "reference_warp": ("ReferenceWarp",),
        },
    )
