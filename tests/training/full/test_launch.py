"""`accelerate launch` with two processes, which must learn what one does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from accelerate import Accelerator
from prepared_clips import small_pipeline

from anifacediff.training.full.training import Trainer, Training
from anifacediff.training.run import Schedule

OPTIONS = {"steps": 2, "batch": 1, "warmup": 1, "learning-rate": 1e-3, "workers": 0, "held-out": 0}


def losses(folder: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_two_launched_processes_have_the_losses_of_one(prepared: Path, tmp_path: Path):
    small_pipeline().save_pretrained(tmp_path / "model")
    # With --cpu accelerate would start one process; so that it starts two, the CPU is chosen by the variable.
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    launch += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "-m", "anifacediff"]
    arguments = ["train", "full", prepared, "-o", tmp_path / "two", "--model", tmp_path / "model"]
    options = [f"--{name}={value}" for name, value in OPTIONS.items()]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ANIFACEDIFF_PLUGINS": "", "ACCELERATE_USE_CPU": "true"}
    command = [*launch, *map(str, arguments), *options, "--no-checkpointing"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    training = Training(batch=2, checkpointing=False)
    schedule = Schedule(2, learning_rate=1e-3, warmup=1, average=0.9999)
    Trainer(tmp_path / "one", small_pipeline, prepared, training, schedule, Accelerator(cpu=True)).train()
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-4)
    assert (tmp_path / "two" / "pipeline" / "model_index.json").is_file()
