"""All that an assembly computes for a step stays on one device and in one precision; shapes alone tell, on ``meta``.

What is rendered on the way is stood in for: rasterising depends on values.
"""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from portraits import faces, portrait

from anifacediff.assemblies import AniFaceDiffPipeline, AnimateAnyonePipeline, MagicPortraitPipeline, MIMAFacePipeline
from anifacediff.assemblies.clip import Chain
from anifacediff.assemblies.pipeline import AnimationPipeline
from anifacediff.backbone import FeatureCache
from anifacediff.geometry.contracts import MorphableModel
from anifacediff.geometry.faces import FaceParameters
from anifacediff.geometry.snapshots import ControlMaps
from anifacediff.sampling.denoise import Denoiser
from anifacediff.shapes import Tensor

SIZE, FRAMES, DTYPE = 64, 3, torch.bfloat16
ASSEMBLIES = (AniFaceDiffPipeline, AnimateAnyonePipeline, MagicPortraitPipeline, MIMAFacePipeline)


@dataclass(frozen=True)
class Blank:
    """A renderer whose maps have nothing but shapes."""

    morphable_model: MorphableModel

    def __call__(self, reference: FaceParameters, driving: FaceParameters) -> ControlMaps:
        return self.render(self.plan(reference, driving), driving)

    def plan(self, reference: FaceParameters, driving: FaceParameters) -> None:
        return None

    def render(self, alignment: object, driving: FaceParameters) -> ControlMaps:
        maps = torch.empty(len(driving), 3, SIZE, SIZE, device=driving.shape.device)
        return ControlMaps(mask=maps[:, 0] > 0, normal=maps, depth=maps[:, :1], shaded=maps)

    def aligned(self, alignment: object, driving: FaceParameters) -> FaceParameters:
        return driving


def on_meta(assembly: int) -> AnimationPipeline:
    pipe: Any = ASSEMBLIES[assembly].untrained(image_size=SIZE)
    pipe.alignment = Blank(pipe.alignment.morphable_model)
    return pipe.to("meta", dtype=DTYPE)


@pytest.mark.parametrize("assembly", range(len(ASSEMBLIES)), ids=[each.__name__ for each in ASSEMBLIES])
@torch.no_grad()
def test_a_step_mixes_no_devices_and_no_precisions(assembly: int):
    pipe = on_meta(assembly)
    driving = faces(pipe, FRAMES).to("meta")
    channels = int(pipe.vae.config["latent_channels"])
    latents = torch.empty(FRAMES, channels, SIZE // 8, SIZE // 8, device="meta", dtype=DTYPE)
    for guidance in (1.0, 2.0):
        conditions = pipe.prepare(portrait(pipe), driving, guidance)
        denoise = conditions.begin(latents[:1], range(FRAMES)) if isinstance(conditions, Chain) else conditions
        assert isinstance(denoise, Denoiser)
        cache = FeatureCache(pipe.unet, interval=2)
        for moment in (500, 400):  # the second one reads what is cached
            with cache.attach(), cache.window(range(FRAMES), moment):
                latents = seen(denoise(latents, torch.tensor(moment), range(FRAMES)), latents)
    pictures = pipe.vae.decode(latents, return_dict=False)[0]  # pyright: ignore[reportArgumentType]
    seen(pictures, torch.empty(FRAMES, 3, SIZE, SIZE, dtype=DTYPE))


def seen(found: Tensor, like: Tensor) -> Tensor:
    assert found.is_meta
    assert (found.dtype, found.shape) == (like.dtype, like.shape)
    return found
