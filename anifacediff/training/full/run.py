"""A run on whatever ``accelerate`` was configured for, which goes on to the same next loss after it was stopped."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType

from anifacediff.errors import CheckpointError, ConfigurationError, NotFiniteError
from anifacediff.shapes import Float, Tensor
from anifacediff.training.average import Average
from anifacediff.training.checkpoints import (
    Settings,
    begin_checkpoint,
    checked_step,
    finish_checkpoint,
    newest_checkpoint,
)
from anifacediff.training.full.examples import Examples
from anifacediff.training.full.model import TrainedAssembly
from anifacediff.training.run import Schedule

_AVERAGE = "average.safetensors"
_LONGEST_GRADIENT = 1.0


class AcceleratedRun:
    """Wrapped model, optimiser and moving average; resumed from the folder's newest checkpoint if it has one.

    Args:
        folder: of checkpoints and ``metrics.jsonl``.
        model: the module to train, on the accelerator's device.
        schedule: how to learn; ``average=0`` keeps no moving average. A run may go on with more or fewer steps.
        settings: of everything else that the losses depend on.
        accelerator: as the user configured it.
        batch: examples at once, which DeepSpeed wants to know.

    Raises:
        ConfigurationError: if the folder's run was begun with other settings, or an average is asked for where the
            weights are spread over processes or rounded.
        CheckpointError: if its newest checkpoint is damaged.
    """

    def __init__(
        self,
        folder: Path,
        model: TrainedAssembly,
        schedule: Schedule,
        settings: Settings,
        accelerator: Accelerator,
        batch: int = 1,
    ) -> None:
        self.folder = folder
        self.schedule = schedule
        self.accelerator = accelerator
        self.step = 0
        fixed = {name: value for name, value in asdict(schedule).items() if name != "steps"}
        self._settings = {**settings, **fixed}
        self._check_average()
        _tell_deepspeed(accelerator, batch)
        learned = [weight for _, weight in sorted(model.learned().items())]  # whose state is kept by number
        optimizer = torch.optim.AdamW(learned, lr=schedule.learning_rate, weight_decay=1e-2)
        self.model, self.optimizer = accelerator.prepare(model, optimizer)
        plain: TrainedAssembly = accelerator.unwrap_model(self.model)
        self._average = Average(plain.learned()) if schedule.average else None
        folder.mkdir(parents=True, exist_ok=True)
        found = newest_checkpoint(folder)
        if found is not None:
            self._load(found)

    def advance(self, batches: Iterator[Examples], loss: Callable[[Examples], Float[Tensor, ""]]) -> float:
        """Take one step, of as many batches as gradients are accumulated over.

        Args:
            batches: the next ones are taken.
            loss: of a batch, computed by :attr:`model`.

        Returns:
            The mean loss over all batches of all processes.

        Raises:
            NotFiniteError: if a loss or the gradient is NaN or infinite; the weights are then as they were.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule.rate(self.step)
        means: list[float] = []
        for _ in range(self.accelerator.gradient_accumulation_steps):
            with self.accelerator.accumulate(self.model):
                value = loss(next(batches))
                mean: Any = self.accelerator.reduce(value.detach(), "mean")
                means.append(self._finite("loss", mean))
                self.accelerator.backward(value)
                if self.accelerator.sync_gradients:
                    self._limit_gradient()
                self.optimizer.step()
                self.optimizer.zero_grad()
        self.step += 1
        if self._average is not None:
            self._average.update(self.schedule.average, self.step)
        return sum(means) / len(means)

    def averaged(self) -> AbstractContextManager[None]:
        """Use the averaged weights for a while; the current ones if no average is kept."""
        return nullcontext() if self._average is None else self._average.in_use()

    def save(self) -> None:
        """Write a checkpoint, which appears whole or not at all; all processes call this together."""
        partial = self.folder / "partial"
        if self.accelerator.is_main_process:
            begin_checkpoint(self.folder)
        self.accelerator.wait_for_everyone()
        self.accelerator.save_state(str(partial))
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            if self._average is not None:
                self._average.save(partial / _AVERAGE)
            finish_checkpoint(partial, self.step, self._settings)
        self.accelerator.wait_for_everyone()

    def log(self, **values: float) -> None:
        """Append a line to ``metrics.jsonl``, and tell the trackers."""
        self.accelerator.log(values, step=self.step)
        if self.accelerator.is_main_process:
            with (self.folder / "metrics.jsonl").open("a") as file:
                file.write(json.dumps({"step": self.step, **values}) + "\n")

    def weights(self) -> Mapping[str, Tensor]:
        """The whole model's weights, gathered from all processes, which call this together."""
        gathered: Any = self.accelerator.get_state_dict(self.model)
        return gathered

    def _limit_gradient(self) -> None:
        norm: Any = self.accelerator.clip_grad_norm_(self.model.parameters(), _LONGEST_GRADIENT)
        scaled = self.accelerator.mixed_precision == "fp16"  # whose scaler skips a step that overflows
        if isinstance(norm, Tensor) and not scaled:
            self._finite("gradient", norm)

    def _finite(self, what: str, value: Tensor) -> float:
        if not bool(value.isfinite()):
            raise NotFiniteError(
                f"{self.folder}: the {what} of step {self.step} is {value.item()}. Nothing was saved since the last "
                f"checkpoint; look at the data, or begin anew with a learning rate below {self.schedule.learning_rate}."
            )
        return value.item()

    def _check_average(self) -> None:
        elsewhere = self.accelerator.distributed_type in (DistributedType.FSDP, DistributedType.DEEPSPEED)
        if elsewhere and self.schedule.average:
            raise ConfigurationError(
                "no moving average is kept where weights are spread over processes or rounded (FSDP, DeepSpeed): set "
                "average=0 (command line: --average 0), or use DDP."
            )

    def _load(self, checkpoint: Path) -> None:
        step = checked_step(checkpoint, self._settings)
        try:
            self.accelerator.load_state(str(checkpoint))
        except Exception as error:  # whatever a damaged file makes the loaders stumble over
            raise CheckpointError(
                f"{checkpoint}: cannot be read ({type(error).__name__}: {error}); remove it to go on from the "
                "one before."
            ) from error
        if self._average is not None:
            self._average.load(checkpoint / _AVERAGE)
        self.step = step


def _tell_deepspeed(accelerator: Accelerator, batch: int) -> None:
    plugin: Any = getattr(accelerator.state, "deepspeed_plugin", None)
    if plugin is not None:  # it would ask a data loader, and ours is not prepared
        plugin.deepspeed_config["train_micro_batch_size_per_gpu"] = batch
