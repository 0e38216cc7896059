from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from prepared_clips import SIZE, small_pipeline, write_prepared

from anifacediff.assemblies import AnimateAnyonePipeline, MagicPortraitPipeline, MIMAFacePipeline
from anifacediff.assemblies.pipeline import AnimationPipeline
from anifacediff.training.latents import fingerprint

BUILT: dict[str, Callable[[], AnimationPipeline]] = {
    "anifacediff": small_pipeline,
    "magicportrait": lambda: MagicPortraitPipeline.untrained(image_size=SIZE),
    "mimaface": lambda: MIMAFacePipeline.untrained(image_size=SIZE),
    "animate_anyone": lambda: AnimateAnyonePipeline.untrained(image_size=SIZE),
    "aniportrait": lambda: AnimateAnyonePipeline.untrained(image_size=SIZE, multilevel=True),
}


@pytest.fixture(params=BUILT)
def pipe(request: pytest.FixtureRequest) -> AnimationPipeline:
    """With weights that let every condition be heard."""
    built = BUILT[request.param]()
    chance = torch.Generator().manual_seed(1)
    for part in built.components.values():
        for weight in part.parameters() if isinstance(part, torch.nn.Module) else ():
            if not weight.any():
                weight.data = 0.05 * torch.randn(weight.shape, generator=chance)
    return built


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_prepared(tmp_path_factory.mktemp("prepared"), fingerprint(small_pipeline().vae))
