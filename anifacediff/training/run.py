"""A training run that can be stopped at any moment and goes on to the same next loss."""

import json
import math
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from anifacediff.checkpoint import read_weights
from anifacediff.errors import NotFiniteError
from anifacediff.shapes import Float, Tensor
from anifacediff.training.average import Average
from anifacediff.training.checkpoints import (
    begin_checkpoint,
    checked_step,
    fill,
    finish_checkpoint,
    newest_checkpoint,
    owned,
)
from anifacediff.training.team import Team

_LOGGED = 25
_MOMENTS = ("exp_avg", "exp_avg_sq", "step")


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to learn.

    Attributes:
        steps: in all; a run may be given more or fewer of them when it is resumed.
        learning_rate: at its highest.
        warmup: steps until then.
        decay: share of the steps, the last ones, over which it falls to zero along a cosine.
        average: decay of the exponential moving average of the weights.
        seed: of everything that is drawn at random.
    """

    steps: int
    learning_rate: float
    warmup: int = 100
    decay: float = 0.4
    average: float = 0.999
    seed: int = 0

    def rate(self, step: int) -> float:
        """The learning rate of a step."""
        left = min(1.0, max(0, self.steps - step) / max(1.0, self.decay * self.steps))
        return self.learning_rate * min(1.0, (step + 1) / self.warmup) * 0.5 * (1 - math.cos(math.pi * left))

    def generator(self, step: int, rank: int = 0) -> torch.Generator:
        """Random numbers of a process at a step; they depend on nothing else, so there is no state to keep."""
        seeds = np.random.SeedSequence([self.seed, step, rank])
        return torch.Generator().manual_seed(int(seeds.generate_state(1)[0]))


Loss = Callable[[torch.Generator], Float[Tensor, ""]]


class Run:
    """Weights, their moving average, and the optimiser; resumed from the folder's newest checkpoint if it has one.

    Args:
        folder: of the checkpoints and ``metrics.jsonl``.
        model: is trained; its weights are those of the checkpoint, then.
        schedule: how to learn.
        settings: of everything else that the losses depend on.

    Raises:
        ConfigurationError: if the folder's run was begun with other settings.
        CheckpointError: if its newest checkpoint is damaged.
    """

    def __init__(
        self, folder: Path, model: nn.Module, schedule: Schedule, settings: Mapping[str, str | int | float]
    ) -> None:
        self.folder = folder
        self.model = model
        self.schedule = schedule
        self.step = 0
        self.team = Team.gathered()
        fixed = {"learning_rate": schedule.learning_rate, "seed": schedule.seed, "processes": self.team.size}
        self._settings = {**settings, **fixed}
        self._parameters = dict(model.named_parameters())
        self._average = Average(self._parameters)
        self._optimizer = torch.optim.AdamW(
            self._parameters.values(), lr=schedule.learning_rate, betas=(0.9, 0.99), fused=True
        )
        folder.mkdir(parents=True, exist_ok=True)
        found = newest_checkpoint(folder)
        if found is not None:
            self._load(found)

    def advance(self, loss: Loss) -> float:
        """Take one step, and return its loss.

        Raises:
            NotFiniteError: if the loss or its gradient is NaN or infinite; the weights are then as they were.
        """
        for group in self._optimizer.param_groups:
            group["lr"] = self.schedule.rate(self.step)
        self._optimizer.zero_grad(set_to_none=True)
        value = loss(self.schedule.generator(self.step, self.team.rank))
        value.backward()
        mean = value.detach().clone()
        self.team.average([mean])
        if not bool(mean.isfinite()):
            raise self._not_finite("loss", mean)
        self.team.average_gradients(self._parameters.values())
        norm = nn.utils.clip_grad_norm_(self._parameters.values(), 1.0)
        if not bool(norm.isfinite()):
            raise self._not_finite("gradient", norm)
        self._optimizer.step()
        self.step += 1
        self._average.update(self.schedule.average, self.step)
        return mean.item()

    def _not_finite(self, what: str, value: Tensor) -> NotFiniteError:
        return NotFiniteError(
            f"{self.folder}: the {what} of step {self.step} is {value.item()}. Nothing was saved since the last "
            f"checkpoint; look at the data, or begin anew with a learning rate below {self.schedule.learning_rate}."
        )

    def averaged(self) -> AbstractContextManager[None]:
        """Use the averaged weights for a while."""
        return self._average.in_use()

    def save(self) -> None:
        """Write a checkpoint, which appears whole or not at all, and remove all but the newest ones."""
        partial = begin_checkpoint(self.folder)
        moments = {
            f"{name}.{key}": torch.as_tensor(self._optimizer.state[parameter][key])
            for name, parameter in self._parameters.items()
            if parameter in self._optimizer.state
            for key in _MOMENTS
        }
        weights = {name: value.detach() for name, value in self._parameters.items()}
        save_file(owned(weights), partial / "weights.safetensors")
        self._average.save(partial / "average.safetensors")
        save_file(owned(moments), partial / "optimizer.safetensors")
        finish_checkpoint(partial, self.step, self._settings)

    def log(self, **values: float) -> None:
        """Append a line to ``metrics.jsonl``."""
        with (self.folder / "metrics.jsonl").open("a") as file:
            file.write(json.dumps({"step": self.step, **values}) + "\n")

    def _load(self, checkpoint: Path) -> None:
        step = checked_step(checkpoint, self._settings)
        fill(self._parameters, checkpoint / "weights.safetensors")
        self._average.load(checkpoint / "average.safetensors")
        moments = read_weights(checkpoint / "optimizer.safetensors")
        for name, parameter in self._parameters.items():
            if f"{name}.step" in moments:
                self._optimizer.state[parameter] = {key: moments[f"{name}.{key}"] for key in _MOMENTS}
        self.step = step


def train(
    run: Run,
    loss: Loss,
    *,
    report: Callable[[], Mapping[str, float]],
    save_every: float = 120.0,
    report_every: float = 300.0,
) -> None:
    """Train until the schedule's last step; the first of several processes saves, logs and reports.

    Args:
        run: what is trained.
        loss: computes a step's loss.
        report: looks at the averaged weights now and then, and returns figures for the log.
        save_every: seconds between checkpoints.
        report_every: seconds between reports.
    """
    began = saved = reported = time.monotonic()
    recent: list[float] = []
    while run.step < run.schedule.steps:
        recent.append(run.advance(loss))
        if not run.team.leads:
            continue
        now = time.monotonic()
        if run.step % _LOGGED == 0:
            run.log(loss=float(np.mean(recent)), rate=run.schedule.rate(run.step), seconds=round(now - began, 1))
            recent.clear()
        if now - saved > save_every:
            run.save()
            saved = now
        if now - reported > report_every:
            with run.averaged():
                run.log(**report())
            reported = time.monotonic()
    if run.team.leads:
        run.save()
        with run.averaged():
            run.log(**report())
