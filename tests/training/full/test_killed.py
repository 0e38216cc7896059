"""A process that is killed in the middle of a training, and another one that goes on with it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from prepared_clips import small_pipeline

from anifacediff.training.full.training import Trainer, Training
from anifacediff.training.run import Schedule

STEPS, LONGEST = 1000, 120.0  # steps that it never takes, and seconds that are waited for it
OPTIONS = {"steps": STEPS, "learning-rate": 1e-3, "warmup": 1, "save-every": 2, "workers": 0, "held-out": 0}


def losses(folder: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


def trainer(folder: Path, data: Path) -> Trainer:
    schedule = Schedule(STEPS, learning_rate=1e-3, warmup=1, average=0.9999)
    return Trainer(folder, small_pipeline, data, Training(checkpointing=False), schedule, Accelerator(cpu=True))


def advance(one: Trainer, steps: int) -> list[float]:
    batches = one.batches()
    return [one.run.advance(batches, one.loss) for _ in range(steps)]


def kill_in_training(folder: Path, data: Path, model: Path) -> None:
    """Kill it when it has taken a step since its checkpoint."""
    options = [f"--{name}={value}" for name, value in OPTIONS.items()]
    arguments = ["train", "full", data, "-o", folder, "--model", model, "--no-checkpointing", *options]
    threads = str(torch.get_num_threads())  # others add up in another order
    environment = {**os.environ, "OMP_NUM_THREADS": threads, "ANIFACEDIFF_PLUGINS": "", "ACCELERATE_USE_CPU": "true"}
    process = subprocess.Popen([sys.executable, "-m", "anifacediff", *map(str, arguments)], env=environment)
    try:
        wait_for(folder / "metrics.jsonl", process)
    finally:
        process.kill()
    assert process.wait() == -signal.SIGKILL


def wait_for(metrics: Path, process: subprocess.Popen[bytes]) -> None:
    """Until there are three lines."""
    began = time.monotonic()
    while process.poll() is None and time.monotonic() - began < LONGEST:
        if metrics.is_file() and metrics.read_text().count("\n") >= 3:
            return
        time.sleep(0.01)


def test_a_killed_training_goes_on_to_the_losses_of_one_that_was_not(prepared: Path, tmp_path: Path):
    small_pipeline().save_pretrained(tmp_path / "model")
    kill_in_training(tmp_path / "killed", prepared, tmp_path / "model")
    resumed = trainer(tmp_path / "killed", prepared)
    taken = resumed.run.step
    assert taken >= 2
    whole = advance(trainer(tmp_path / "whole", prepared), taken + 3)
    assert losses(tmp_path / "killed")[:taken] == pytest.approx(whole[:taken], rel=1e-5)
    assert advance(resumed, 3) == pytest.approx(whole[taken:], rel=1e-5)
