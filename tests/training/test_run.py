from pathlib import Path

import pytest
import torch
from torch import nn

from anifacediff.errors import CheckpointError, ConfigurationError, NotFiniteError
from anifacediff.shapes import Tensor
from anifacediff.training.run import Run, Schedule, train

SETTINGS: dict[str, str | int | float] = {"data": "a line"}


def begin(folder: Path, *, steps: int = 60, settings: dict[str, str | int | float] = SETTINGS, seed: int = 0) -> Run:
    torch.manual_seed(1)
    return Run(folder, nn.Linear(3, 1), Schedule(steps, learning_rate=0.05, warmup=1, seed=seed), settings)


def loss_of(run: Run):
    def loss(generator: torch.Generator) -> Tensor:
        inputs = torch.randn(8, 3, generator=generator)
        return (run.model(inputs) - inputs.sum(1, keepdim=True)).square().mean()

    return loss


def advance(run: Run, steps: int) -> list[float]:
    return [run.advance(loss_of(run)) for _ in range(steps)]


def test_the_loss_falls(tmp_path: Path):
    losses = advance(begin(tmp_path), 60)
    assert losses[-1] < 0.1 * losses[0]


def test_a_resumed_run_has_the_same_losses_and_the_same_average(tmp_path: Path):
    whole = begin(tmp_path / "whole")
    expected = advance(whole, 20)
    first = begin(tmp_path / "stopped")
    advance(first, 7)
    first.save()
    second = begin(tmp_path / "stopped")
    assert second.step == 7
    assert advance(second, 13) == expected[7:]
    with whole.averaged(), second.averaged():
        pairs = zip(whole.model.parameters(), second.model.parameters(), strict=True)
        assert all(torch.equal(one, other) for one, other in pairs)


def test_averaged_weights_are_the_moving_average_and_go_away_again(tmp_path: Path):
    run = begin(tmp_path)
    average = [value.detach().clone() for value in run.model.parameters()]
    for step in range(1, 4):
        advance(run, 1)
        decay = (1 + step) / (10 + step)
        average = [decay * a + (1 - decay) * value for a, value in zip(average, run.model.parameters(), strict=True)]
    current = [value.detach().clone() for value in run.model.parameters()]
    with run.averaged():
        for found, wanted in zip(run.model.parameters(), average, strict=True):
            torch.testing.assert_close(found, wanted)
    assert all(torch.equal(a, b) for a, b in zip(run.model.parameters(), current, strict=True))


def test_the_rate_rises_stays_and_falls_to_zero():
    schedule = Schedule(100, learning_rate=1.0, warmup=10, decay=0.4)
    assert schedule.rate(0) == pytest.approx(0.1)
    assert schedule.rate(10) == schedule.rate(60) == 1.0
    assert schedule.rate(80) == pytest.approx(0.5)
    assert schedule.rate(100) == 0.0


def test_every_step_and_process_has_random_numbers_of_its_own():
    schedule = Schedule(1, learning_rate=1.0)
    drawn = {torch.rand(1, generator=schedule.generator(step, rank)).item() for step in range(5) for rank in range(3)}
    assert len(drawn) == 15


def test_only_the_newest_checkpoints_are_kept(tmp_path: Path):
    run = begin(tmp_path)
    for _ in range(4):
        advance(run, 1)
        run.save()
    assert sorted(path.name for path in tmp_path.glob("step-*")) == ["step-0000003", "step-0000004"]


def test_training_logs_saves_and_reports_at_its_end(tmp_path: Path):
    run = begin(tmp_path, steps=30)
    train(run, loss_of(run), report=lambda: {"quality": 1.0})
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert '"loss"' in lines[0]
    assert '"quality": 1.0' in lines[-1]
    assert begin(tmp_path).step == 30


@pytest.mark.parametrize(
    ("settings", "seed", "named"), [({"data": "a circle"}, 0, "data"), (SETTINGS, 1, "seed")], ids=["data", "seed"]
)
def test_other_settings_are_refused(tmp_path: Path, settings: dict[str, str | int | float], seed: int, named: str):
    run = begin(tmp_path)
    advance(run, 1)
    run.save()
    with pytest.raises(ConfigurationError, match=f"another {named}"):
        begin(tmp_path, settings=settings, seed=seed)


@pytest.mark.parametrize("name", ["weights.safetensors", "average.safetensors", "optimizer.safetensors", "state.json"])
def test_a_truncated_checkpoint_is_refused(tmp_path: Path, name: str):
    run = begin(tmp_path)
    advance(run, 1)
    run.save()
    file = tmp_path / "step-0000001" / name
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(CheckpointError, match=name):
        begin(tmp_path)


def test_a_loss_that_is_nan_stops_and_leaves_the_weights(tmp_path: Path):
    run = begin(tmp_path)
    advance(run, 2)
    before = [value.detach().clone() for value in run.model.parameters()]
    with pytest.raises(NotFiniteError, match="step 2"):
        run.advance(lambda generator: loss_of(run)(generator) * float("nan"))
    assert all(torch.equal(a, b) for a, b in zip(run.model.parameters(), before, strict=True))


def test_a_gradient_that_is_not_finite_leaves_the_weights(tmp_path: Path):
    run = begin(tmp_path)
    before = [parameter.clone() for parameter in run.model.parameters()]

    def steep(_: torch.Generator) -> torch.Tensor:
        return sum((0 * parameter).sqrt().sum() for parameter in run.model.parameters()) + torch.zeros(())

    with pytest.raises(NotFiniteError, match="gradient of step 0"):
        run.advance(steep)
    assert all(torch.equal(a, b) for a, b in zip(before, run.model.parameters(), strict=True))
