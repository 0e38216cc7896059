"""A benchmark that takes seconds: few, small pictures and a pipeline of random weights."""

from functools import cache
from typing import Any

from tiny import pretend_trained

from anifacediff.assemblies.anifacediff import AniFaceDiffPipeline
from anifacediff.conditioning.expression_adapter import ExpressionAdapter, ExpressionProjection
from anifacediff.evaluation.scenes import Scene, Suite

SIZE = 32
SUITE = Suite(identities=2, frames=2, size=SIZE)


@cache
def drawn_scenes() -> tuple[Scene, ...]:
    return tuple(SUITE.scenes())


def scenes_of(task: str) -> tuple[Scene, ...]:
    return tuple(scene for scene in drawn_scenes() if scene.task == task)


def make_pipeline(*, align_shape: bool = True, align_scale: bool = True) -> AniFaceDiffPipeline:
    """A pipeline of random weights that hears all of its conditions; equal weights at every call."""
    made = AniFaceDiffPipeline.untrained(image_size=SIZE, morphable_model="expressive")
    made.detach()
    adapter = pretend_trained(ExpressionAdapter.for_unet(made.unet, num_tokens=4))
    for projection in adapter.projections.modules():
        if isinstance(projection, ExpressionProjection):
            projection.to_v_expression.weight.data *= 30  # loud enough to be seen in bytes
    poses = pretend_trained(made.pose_encoder)
    for weight in poses.parameters():
        weight.data /= 2  # or nothing else would be heard
    parts: dict[str, Any] = {
        **made.components,
        "expression_adapter": adapter,
        "pose_encoder": poses,
        "image_size": SIZE,
        "morphable_model": "expressive",
        "untrained": ("unet",),
    }
    pipeline = AniFaceDiffPipeline(**parts, align_shape=align_shape, align_scale=align_scale)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
