import json
from collections.abc import Callable
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from diffusers import DDIMScheduler
from PIL import Image
from prepared_clips import FRAMES, SIZE, small_pipeline, write_prepared

from anifacediff.assemblies import AniFaceDiffPipeline
from anifacediff.assemblies.pipeline import AnimationPipeline
from anifacediff.errors import CheckpointError, ConfigurationError, InputError, NotFiniteError
from anifacediff.training.full.accelerated import start
from anifacediff.training.full.examples import Draw
from anifacediff.training.full.training import Trainer, Training
from anifacediff.training.run import Schedule

TRAINING = Training(batch=2, untold=0.3, checkpointing=False)
SCHEDULE = Schedule(5, learning_rate=1e-3, warmup=1)


def trainer(
    folder: Path,
    data: Path,
    training: Training = TRAINING,
    schedule: Schedule = SCHEDULE,
    accumulation: int = 1,
    build: Callable[[], AnimationPipeline] = small_pipeline,
) -> Trainer:
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=accumulation)
    return Trainer(folder, build, data, training, schedule, accelerator)


def advance(one: Trainer, steps: int) -> list[float]:
    batches = one.batches()
    return [one.run.advance(batches, one.loss) for _ in range(steps)]


@pytest.fixture(scope="module")
def whole(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[float]]:
    """A run that is not interrupted, with a checkpoint at step 2, and its losses."""
    one = trainer(tmp_path_factory.mktemp("whole"), prepared)
    losses = advance(one, 2)
    one.run.save()
    return one.run.folder, losses + advance(one, 3)


def test_a_killed_run_goes_on_to_the_same_losses_and_the_same_average(
    prepared: Path, tmp_path: Path, whole: tuple[Path, list[float]]
):
    folder, losses = whole
    (folder / "partial").mkdir(exist_ok=True)  # what a run leaves that is killed while it saves
    resumed = trainer(folder, prepared, schedule=replace(SCHEDULE, steps=5))
    assert resumed.run.step == 2
    assert advance(resumed, 3) == losses[2:]
    once = trainer(tmp_path / "again", prepared)
    assert advance(once, 5) == losses
    with once.run.averaged(), resumed.run.averaged():
        one, two = once.run.weights(), resumed.run.weights()
        assert all(torch.equal(one[name], two[name]) for name in one)


def test_accumulated_batches_are_one_batch(prepared: Path, tmp_path: Path, whole: tuple[Path, list[float]]):
    parts = trainer(tmp_path, prepared, replace(TRAINING, batch=1), accumulation=2)
    assert advance(parts, 3) == pytest.approx(whole[1][:3], rel=1e-4)


def test_other_settings_or_data_are_refused(prepared: Path, tmp_path: Path, whole: tuple[Path, list[float]]):
    with pytest.raises(ConfigurationError, match="untold"):
        trainer(whole[0], prepared, replace(TRAINING, untold=0.5))
    with pytest.raises(ConfigurationError, match="data"):
        trainer(whole[0], write_prepared(tmp_path / "other", "", latents=False))
    with pytest.raises(ConfigurationError, match="another pipeline"):
        trainer(tmp_path, write_prepared(tmp_path / "foreign", "another autoencoder"))


def test_another_schedule_or_autoencoder_is_refused(tmp_path: Path):
    def other() -> AnimationPipeline:
        pipe: Any = AniFaceDiffPipeline.untrained(seed=1, image_size=SIZE)
        pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config, prediction_type="v_prediction")
        return pipe

    data, bare = write_prepared(tmp_path / "data", "", latents=False), replace(SCHEDULE, average=0.0)
    trainer(tmp_path / "run", data, schedule=bare).run.save()
    with pytest.raises(ConfigurationError, match="another average, warmup:"):
        trainer(tmp_path / "run", data, schedule=replace(bare, average=0.9, warmup=7))
    with pytest.raises(ConfigurationError, match="another prediction, vae:"):
        trainer(tmp_path / "run", data, schedule=bare, build=other)
    assert trainer(tmp_path / "run", data, schedule=replace(bare, steps=50)).run.step == 0


def test_a_damaged_checkpoint_is_named(prepared: Path, tmp_path: Path):
    one = trainer(tmp_path, prepared)
    one.run.save()
    (tmp_path / "step-0000000" / "model.safetensors").write_bytes(b"cut")
    with pytest.raises(CheckpointError, match="step-0000000"):
        trainer(tmp_path, prepared)


def test_nan_stops_the_run_and_leaves_the_weights(prepared: Path, tmp_path: Path):
    one = trainer(tmp_path, prepared)
    before = {name: weight.clone() for name, weight in one.run.weights().items()}
    with pytest.raises(NotFiniteError, match="loss of step 0 is nan"):
        one.run.advance(one.batches(), lambda examples: one.loss(examples) * float("nan"))
    assert all(torch.equal(weight, before[name]) for name, weight in one.run.weights().items())


def test_both_stages_end_in_a_pipeline(tmp_path: Path):
    data = write_prepared(tmp_path / "data", "", latents=False)
    note = data / "videos" / "v2.json"  # the held-out clip is shorter than those of stage 2
    note.write_text(json.dumps({**json.loads(note.read_text()), "clips": [FRAMES - 1]}))
    training = replace(TRAINING, held_out=1, sheet_every=1)
    trainer(tmp_path / "one", data, training, replace(SCHEDULE, steps=1)).train()
    assert (tmp_path / "one" / "sheet-0000001.png").is_file()
    pipeline = tmp_path / "one" / "pipeline"
    clips = replace(training, stage=2, batch=1, draw=Draw(FRAMES))
    second = Trainer(
        tmp_path / "two",
        lambda: AniFaceDiffPipeline.from_pretrained(pipeline),
        data,
        clips,
        replace(SCHEDULE, steps=1),
        Accelerator(cpu=True),
    )
    second.train()
    with Image.open(tmp_path / "two" / "sheet-0000001.png") as picture:
        assert picture.height == (FRAMES - 1) * SIZE
    first, last = (AniFaceDiffPipeline.from_pretrained(tmp_path / name / "pipeline") for name in ("one", "two"))
    assert last.untrained_parts == ("vae", "image_encoder")
    changed = {
        name for name, weight in last.unet.named_parameters() if not torch.equal(weight, first.unet.get_parameter(name))
    }
    assert changed
    assert all("motion_modules" in name for name in changed)


def test_the_loss_of_a_batch_falls_when_it_is_seen_again(prepared: Path, tmp_path: Path):
    one = trainer(tmp_path, prepared, schedule=Schedule(12, learning_rate=3e-3, warmup=1, decay=0.0))
    batch = repeat(next(one.batches()))
    losses = [one.run.advance(batch, one.loss) for _ in range(12)]
    assert losses[-1] < 0.1 * losses[0]


def test_wrong_settings_are_refused(tmp_path: Path):
    with pytest.raises(InputError, match="hold out"):
        Training(sheet_every=1)
    with pytest.raises(InputError, match="share"):
        Training(untold=2.0)
    with pytest.raises(InputError, match="no-such-tracker"):
        start(tmp_path, ["no-such-tracker"])
