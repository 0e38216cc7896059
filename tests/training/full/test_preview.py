from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, EulerDiscreteScheduler
from prepared_clips import FRAMES, SIZE, small_pipeline, some_clip, some_parameters

from anifacediff.assemblies.pipeline import AnimationPipeline
from anifacediff.sampling.denoise import Timestep
from anifacediff.training.full.clips import PreparedSet
from anifacediff.training.full.examples import Draw, Examples
from anifacediff.training.full.model import TrainedAssembly
from anifacediff.training.full.objective import Objective
from anifacediff.training.full.preview import FEWEST, Preview
from anifacediff.training.full.recipes import recipe_for
from anifacediff.training.preparation.reports import VideoReport
from anifacediff.training.preparation.settings import Limits, Preparation
from anifacediff.training.preparation.shards import write_shard
from anifacediff.training.preparation.videos import control_maps
from anifacediff.training.run import Schedule

SCHEDULE = Schedule(10, 1e-3)


def held_out(pipe: AnimationPipeline, folder: Path) -> PreparedSet:
    """A clip with the maps that the pipeline draws."""
    Preparation("manual", "parametric", SIZE, 1.8, limits=Limits(run=4)).claim(folder)
    maps = control_maps(pipe.alignment, some_parameters(FRAMES))
    clip = replace(some_clip("v-0000", 0, latents=False), maps=maps)
    digest = write_shard(folder / "shards" / "v.tar", [clip], "png")
    VideoReport("v.mp4", "v", FRAMES, [FRAMES], digest=digest).write(folder)
    return PreparedSet.open(folder)[0]


def test_every_assembly_is_shown_with_its_own_maps(pipe: AnimationPipeline, tmp_path: Path):
    clips = held_out(pipe, tmp_path)
    preview = Preview(clips, Draw(), SCHEDULE, pipe)
    drawn = preview.draw(TrainedAssembly(recipe_for(pipe), 1).eval())
    picture = preview.sheet(drawn)
    assert picture.shape == (FEWEST * SIZE, (3 + len(clips.clips[0].kinds)) * SIZE, 3)
    columns = torch.from_numpy(picture).unflatten(1, (-1, SIZE)).unflatten(0, (FEWEST, SIZE)).permute(2, 0, 1, 3, 4)
    kept = {
        bytes((frame * 255).round().byte().permute(1, 2, 0).numpy()) for frame in clips.clips[0].pictures(range(FRAMES))
    }
    assert {bytes(cell.contiguous().numpy()) for cell in columns[0]} < kept
    assert all(float(column.float().std()) > 1 for column in columns)


@pytest.mark.parametrize("kind", [DDIMScheduler, DPMSolverMultistepScheduler, EulerDiscreteScheduler])
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_a_denoiser_that_knows_the_truth_draws_it(kind: Any, prediction: str, prepared: Path):
    """Euler's latents have another scale than what the denoiser is given, and begin at another one."""
    pipe: Any = small_pipeline()
    pipe.scheduler = kind.from_config(pipe.scheduler.config, prediction_type=prediction, timestep_spacing="leading")
    clips = PreparedSet.open(prepared)[0]
    objective, seen = Objective.of(pipe.scheduler), list[torch.Tensor]()

    def knows(noisy: torch.Tensor, time: Timestep, told: torch.Tensor, examples: Examples) -> torch.Tensor:
        assert examples.latents is not None
        times = time.long().expand(1)
        seen.append(examples.latents[0])
        signal = objective.noisy(examples.latents, torch.zeros_like(noisy), times)
        spread = objective.noisy(torch.zeros_like(noisy), torch.ones_like(noisy), times)
        return objective.target(examples.latents, (noisy - signal) / spread, times)

    drawn = Preview(clips, Draw(), SCHEDULE, pipe).draw(knows)
    torch.testing.assert_close(drawn, seen[0], rtol=0, atol=0.1)


def test_as_many_frames_are_shown_as_a_clip_has(prepared: Path):
    pipe, clips = small_pipeline(), PreparedSet.open(prepared)[0]
    for draw, shown in ((Draw(), FEWEST), (Draw(5), 5), (Draw(24), 6), (Draw(24, stride=2), 3), (Draw(2, stride=6), 1)):
        preview = Preview(clips, draw, SCHEDULE, pipe)
        assert len(preview.draw(lambda noisy, time, told, examples: 0 * noisy)) == shown
