"""A small pipeline, and clips prepared for it whose pictures are noise: nothing is drawn or tracked."""

from pathlib import Path

import numpy as np
import torch

from anifacediff.assemblies import AniFaceDiffPipeline
from anifacediff.geometry import Box, FaceParameters, WeakPerspective
from anifacediff.registry import registry
from anifacediff.training.preparation.reports import VideoReport
from anifacediff.training.preparation.settings import Limits, Preparation
from anifacediff.training.preparation.shards import PreparedClip, write_shard

SIZE, FRAMES, VIDEOS = 32, 6, 3


def some_parameters(frames: int, seed: int = 0) -> FaceParameters:
    chance = torch.Generator().manual_seed(seed)
    model = registry.morphable_models["parametric"]()
    middle = torch.full((frames, 2), SIZE / 2)
    return FaceParameters(
        torch.zeros(frames, model.num_shape),
        torch.randn(frames, model.num_expression, generator=chance),
        torch.zeros(frames, len(model.joint_names), 3),
        WeakPerspective(torch.full((frames,), SIZE / 3), middle),
        Box(torch.tensor([[8.0, 8.0, 24.0, 24.0]]).repeat(frames, 1)),
        canvas=(SIZE, SIZE),
    )


def some_clip(key: str, seed: int, latents: bool = True) -> PreparedClip:
    chance = np.random.default_rng(seed)
    pictures = chance.integers(0, 256, (FRAMES, SIZE, SIZE, 3), dtype=np.uint8)
    code = torch.from_numpy(chance.normal(size=(FRAMES, 4, SIZE // 8, SIZE // 8)).astype(np.float32))
    return PreparedClip(
        key,
        key,
        0,
        pictures,
        {"normal": pictures[::-1].copy()},
        some_parameters(FRAMES, seed),
        code if latents else None,
    )


def write_prepared(folder: Path, vae: str, latents: bool = True) -> Path:
    how = Preparation("manual", "parametric", SIZE, 1.8, "anifacediff", vae, limits=Limits(run=4))
    how.claim(folder)
    for number in range(VIDEOS):
        digest = write_shard(
            folder / "shards" / f"v{number}.tar", [some_clip(f"v{number}-0000", number, latents)], "png"
        )
        VideoReport(f"v{number}.mp4", f"v{number}", FRAMES, [FRAMES], digest=digest).write(folder)
    return folder


def small_pipeline() -> AniFaceDiffPipeline:
    return AniFaceDiffPipeline.untrained(seed=0, image_size=SIZE)
