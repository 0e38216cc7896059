from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from prepared_clips import SIZE, small_pipeline

from anifacediff.assemblies import AniFaceDiffPipeline
from anifacediff.backbone.temporal import TemporalModules
from anifacediff.errors import InputError
from anifacediff.training.full.examples import Examples
from anifacediff.training.full.model import TrainedAssembly
from anifacediff.training.full.recipes import recipe_for
from anifacediff.training.full.recipes.anifacediff import AniFaceDiffRecipe

CLIPS, FRAMES = 3, 2


def awake(stage: int, **options: Any) -> TrainedAssembly:
    """With weights that let every condition be heard."""
    model = TrainedAssembly(AniFaceDiffRecipe(small_pipeline()), stage, **options)
    chance = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            if not weight.any():
                weight.copy_(0.05 * torch.randn(weight.shape, generator=chance))
    return model


def some_examples(frames: int = FRAMES) -> Examples:
    chance = torch.Generator().manual_seed(0)

    def random(*shape: int) -> torch.Tensor:
        return torch.rand(CLIPS, *shape, generator=chance)

    return Examples(
        seeds=torch.arange(CLIPS),
        reference=random(3, SIZE, SIZE),
        reference_maps={"normal": random(3, SIZE, SIZE)},
        maps={"normal": random(frames, 3, SIZE, SIZE)},
        parameters={"expression_code": random(frames, small_pipeline().expression_adapter.expression_dim)},
        latents=random(frames, 4, SIZE // 8, SIZE // 8),
        reference_latents=random(4, SIZE // 8, SIZE // 8),
    )


def predicted(model: TrainedAssembly, examples: Examples, told: list[bool]) -> torch.Tensor:
    assert examples.latents is not None
    return model(examples.latents, torch.tensor([10, 500, 900]), torch.tensor(told), examples)


@pytest.mark.parametrize("stage", [1, 2])
def test_clips_of_a_batch_do_not_mix(stage: int):
    model, examples = awake(stage), some_examples()
    with torch.no_grad():
        told, untold = predicted(model, examples, [True] * 3), predicted(model, examples, [False] * 3)
        mixed = predicted(model, examples, [False, True, False])
    torch.testing.assert_close(mixed, torch.stack([untold[0], told[1], untold[2]]), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(told, untold, atol=1e-3)


def test_the_untold_see_the_pose_alone():
    model, examples = awake(1), some_examples()
    other = replace(
        examples,
        reference=1 - examples.reference,
        reference_latents=-examples.reference_latents,  # pyright: ignore[reportOptionalOperand]
        parameters={"expression_code": -examples.parameters["expression_code"]},
    )
    posed = replace(examples, maps={"normal": 1 - examples.maps["normal"]})
    with torch.no_grad():
        first, second, third = (predicted(model, each, [False] * 3) for each in (examples, other, posed))
    torch.testing.assert_close(first, second)
    assert not torch.allclose(first, third, atol=1e-3)


@pytest.mark.parametrize("stage", [1, 2])
def test_checkpointing_keeps_less_and_changes_no_gradient(stage: int):
    gradients: list[dict[str, torch.Tensor]] = []
    kept = [0, 0]

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[len(gradients)] += tensor.numel() * (not isinstance(tensor, torch.nn.Parameter))
        return tensor

    for checkpointing in (False, True):
        model = awake(stage, checkpointing=checkpointing)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            loss = predicted(model, some_examples(), [True, False, True]).square().mean()
        loss.backward()
        gradients.append({name: weight.grad for name, weight in model.learned().items() if weight.grad is not None})
    assert kept[1] < 0.5 * kept[0]
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, rtol=1e-3, atol=1e-5)


def test_stage_1_trains_all_that_is_heard_and_stage_2_the_temporal_modules_alone():
    model = awake(1)
    unused = model.freeze_unused(lambda: predicted(model, some_examples(), [True] * 3))
    assert unused
    assert all(name.startswith("parts.reference_net.") for name in unused)
    learned = model.learned()
    assert {name.split(".")[1] for name in learned if name.startswith("parts.")} == set(AniFaceDiffRecipe.learned)
    assert not any("motion_modules" in name for name, _ in model.named_parameters())
    temporal = TrainedAssembly(AniFaceDiffRecipe(small_pipeline()), 2).learned()
    assert temporal
    assert all("motion_modules" in name for name in temporal)


def test_every_learned_weight_has_a_gradient_even_if_nothing_is_told():
    model = awake(1)
    model.freeze_unused(lambda: predicted(model, some_examples(), [True] * 3))
    predicted(model, some_examples(), [False] * 3).mean().backward()
    assert all(weight.grad is not None for weight in model.learned().values())
    assert not model.get_parameter("parts.reference_net.conv_in.weight").grad.any()  # pyright: ignore[reportOptionalMemberAccess]


@pytest.mark.parametrize("stage", [1, 2])
def test_the_pipeline_is_put_together_again(stage: int, tmp_path: Path):
    model = awake(stage)
    weight = next(iter(model.learned().values())).detach().clone()
    pipe = model.pipeline()
    pipe.save_pretrained(tmp_path)
    again = AniFaceDiffPipeline.from_pretrained(tmp_path)
    assert again.config["frame_norm_groups"] == small_pipeline().config["frame_norm_groups"]
    trained = set(AniFaceDiffRecipe.learned) if stage == 1 else {"unet"}
    assert set(again.untrained_parts) == set(small_pipeline().untrained_parts) - trained
    assert any(torch.equal(weight, each) for each in again.unet.parameters() if each.shape == weight.shape)


def test_what_cannot_be_trained_is_refused():
    with pytest.raises(InputError, match="stage"):
        TrainedAssembly(AniFaceDiffRecipe(small_pipeline()), 3)
    with pytest.raises(InputError, match="reference_warp"):
        recipe_for(AniFaceDiffPipeline.nano())
    stills = small_pipeline()
    stills.detach()
    stills.unet = TemporalModules.deflate(stills.unet)  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match="temporal"):
        TrainedAssembly(AniFaceDiffRecipe(stills), 2)
