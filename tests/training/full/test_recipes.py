from typing import Any

import numpy as np
import pytest
import torch
from prepared_clips import SIZE, some_parameters

from anifacediff.assemblies import MIMAFacePipeline
from anifacediff.assemblies.pipeline import AnimationPipeline
from anifacediff.media.crop import SquareCrop
from anifacediff.tracking.tracked import TrackedImage
from anifacediff.training.full.examples import Examples
from anifacediff.training.full.model import TrainedAssembly
from anifacediff.training.full.recipes import recipe_for
from anifacediff.training.preparation.shards import named_tensors

FRAMES, GUIDANCE = 4, 3.0


def denoised(pipe: AnimationPipeline, reference: TrackedImage, latents: torch.Tensor, guidance: float) -> torch.Tensor:
    prepared: Any = pipe.prepare(reference, some_parameters(FRAMES, seed=1), guidance)
    clip = prepared.begin(latents[:0], range(FRAMES)) if isinstance(pipe, MIMAFacePipeline) else prepared
    return clip(latents, torch.tensor(300), range(FRAMES))


@torch.no_grad()
def some_examples(pipe: AnimationPipeline, reference: TrackedImage, latents: torch.Tensor) -> Examples:
    driving, image = some_parameters(FRAMES, seed=1), pipe.picture(reference.image)
    drawn = pipe.alignment.render(pipe.alignment.plan(reference.parameters, driving[:1]), driving)
    kinds = {"normal": drawn.normal, "depth": drawn.depth, "shaded": drawn.shaded}
    return Examples(
        torch.zeros(1, dtype=torch.int64),
        image,
        {},
        {name: maps.clamp(0, 1).expand(-1, 3, -1, -1)[None] for name, maps in kinds.items() if maps is not None},
        {name: values[None] for name, values in named_tensors(driving).items()},
        latents=latents[None],
        reference_latents=pipe.encode(image),
    )


def test_a_recipe_tells_what_the_pipeline_tells(pipe: AnimationPipeline):
    picture = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    reference = TrackedImage(picture, SquareCrop(SIZE / 2, SIZE / 2, float(SIZE)), some_parameters(1), 0.0)
    latents = torch.randn(FRAMES, 4, SIZE // 8, SIZE // 8, generator=torch.Generator().manual_seed(0))
    expected, guided = (denoised(pipe, reference, latents, scale) for scale in (1.0, GUIDANCE))
    contrasted = (guided - GUIDANCE * expected) / (1 - GUIDANCE)
    model, examples = TrainedAssembly(recipe_for(pipe), 2), some_examples(pipe, reference, latents)
    model.eval()  # AniPortrait's pose encoder normalises over the batch in training
    with torch.no_grad():
        told, untold = (
            model(latents[None], torch.tensor([300]), torch.tensor([each]), examples)[0] for each in (True, False)
        )
    torch.testing.assert_close(told, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(untold, contrasted, rtol=1e-3, atol=1e-4)
    assert not torch.allclose(told, untold, atol=1e-3)


@pytest.mark.parametrize("stage", [1, 2])
def test_weights_in_bfloat16_learn_as_those_in_float32(pipe: AnimationPipeline, stage: int):
    """DeepSpeed rounds the weights, and nothing else."""
    picture = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    reference = TrackedImage(picture, SquareCrop(SIZE / 2, SIZE / 2, float(SIZE)), some_parameters(1), 0.0)
    latents = torch.randn(1, FRAMES, 4, SIZE // 8, SIZE // 8, generator=torch.Generator().manual_seed(0))
    model, examples = TrainedAssembly(recipe_for(pipe), stage), some_examples(pipe, reference, latents[0])
    for told in (torch.tensor([True]), torch.tensor([False])):
        with torch.no_grad():
            expected = model.float()(latents, torch.tensor([300]), told, examples)
        found = model.bfloat16()(latents, torch.tensor([300]), told, examples)
        assert found.dtype == torch.float32
        assert (found - expected).abs().mean() < 0.1 * expected.abs().mean()
    found.mean().backward()
    assert any(weight.grad is not None and bool(weight.grad.any()) for weight in model.learned().values())


@pytest.mark.parametrize("stage", [1, 2])
def test_what_a_recipe_names_learns(pipe: AnimationPipeline, stage: int):
    picture = np.zeros((SIZE, SIZE, 3), np.uint8)
    reference = TrackedImage(picture, SquareCrop(SIZE / 2, SIZE / 2, float(SIZE)), some_parameters(1), 0.0)
    latents = torch.randn(FRAMES, 4, SIZE // 8, SIZE // 8, generator=torch.Generator().manual_seed(0))
    examples, recipe = some_examples(pipe, reference, latents), recipe_for(pipe)
    model = TrainedAssembly(recipe, stage)

    def predict() -> torch.Tensor:
        return model(latents[None], torch.tensor([300]), torch.tensor([True]), examples)

    model.freeze_unused(predict)
    predict().square().mean().backward()
    learned = model.learned()
    assert all(weight.grad is not None for weight in learned.values())
    if stage == 1:
        assert {name.split(".")[1] for name in learned if name.startswith("parts.")} == set(recipe.learned)
    else:
        others = {name for name in learned if "motion_modules" not in name}
        assert all(name.startswith(recipe.learned_on_clips) for name in others)
        assert all(any(name.startswith(each) for name in others) for each in recipe.learned_on_clips)


def test_clips_of_mimaface_now_and_then_begin_with_their_own_frames():
    pipe = MIMAFacePipeline.untrained(image_size=SIZE)
    recipe: Any = recipe_for(pipe)
    clean = torch.randn(8, 4, SIZE // 8, SIZE // 8)
    counts: list[int] = []
    for seed in range(40):
        examples = Examples(torch.tensor([seed]), clean[:1, :3], {}, {}, {}, latents=clean[None])
        shown = recipe._previous(examples, 0)
        assert torch.equal(shown, recipe._previous(examples, 0))
        torch.testing.assert_close(shown, clean[: len(shown)], rtol=0, atol=0.6)
        counts.append(len(shown))
    assert set(counts) == {0, 1, 2, 3, 4}
    still = Examples(torch.tensor([3]), clean[:1, :3], {}, {}, {}, latents=clean[None, :1])
    assert not len(recipe._previous(still, 0))
