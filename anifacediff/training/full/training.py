"""Training an assembly on prepared videos: stage 1 on stills, stage 2 on clips."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from shutil import rmtree
from typing import Any

import torch
from accelerate import Accelerator

from anifacediff.assemblies.pipeline import AnimationPipeline
from anifacediff.checkpoint import load_strict
from anifacediff.errors import ConfigurationError, InputError
from anifacediff.media.images import write_image
from anifacediff.shapes import Bool, Float, Int, Tensor
from anifacediff.training.checkpoints import Settings
from anifacediff.training.full.clips import PreparedSet
from anifacediff.training.full.examples import Draw, DrawnExamples, Examples, Share, load_examples
from anifacediff.training.full.model import TrainedAssembly
from anifacediff.training.full.objective import Objective
from anifacediff.training.full.preview import Preview
from anifacediff.training.full.recipes import recipe_for
from anifacediff.training.full.run import AcceleratedRun
from anifacediff.training.latents import fingerprint
from anifacediff.training.run import Schedule


@dataclass(frozen=True)
class Training:
    """What is trained, and on how much at once.

    Attributes:
        stage: 1 trains on stills, 2 the temporal modules on clips.
        batch: examples at once in each process.
        draw: what is drawn from a clip.
        min_snr: limit of the weight of times with little noise, see :class:`Objective`; none if None.
        untold: share of the examples whose reference and expression are kept from the denoiser, for guidance.
        checkpointing: keep few activations, for memory.
        workers: processes that read ahead, for each process.
        held_out: videos that are only looked at.
        save_every: steps between checkpoints.
        sheet_every: steps between contact sheets; 0 makes none.
    """

    stage: int = 1
    batch: int = 1
    draw: Draw = field(default_factory=Draw)
    min_snr: float | None = 5.0
    untold: float = 0.1
    checkpointing: bool = True
    workers: int = 0
    held_out: int = 0
    save_every: int = 500
    sheet_every: int = 0

    def __post_init__(self) -> None:
        if self.batch < 1 or self.save_every < 1 or self.sheet_every < 0 or not 0 <= self.untold <= 1:
            raise InputError(f"{self}: batch and save_every are positive, untold is a share from 0 to 1.")
        if self.sheet_every and not self.held_out:
            raise InputError("sheet_every: contact sheets show videos that are held out; hold out one at least.")

    @property
    def settings(self) -> Settings:
        """What the losses depend on, apart from the data."""
        names = ("stage", "draw", "min_snr", "untold", "held_out")
        return {name: value for name, value in asdict(self).items() if name in names}


@dataclass(frozen=True)
class Chance:
    """What is drawn at random for a batch, from its examples' seeds alone.

    Attributes:
        noise: like the latents.
        times: of each example.
        told: which examples the denoiser is told everything of.
    """

    noise: Float[Tensor, "b f c h w"]
    times: Int[Tensor, "b"]
    told: Bool[Tensor, "b"]

    @classmethod
    def of(cls, examples: Examples, times: int, untold: float) -> "Chance":
        """Draw on the CPU, so that every device draws the same."""
        assert examples.latents is not None
        shape, device = examples.latents.shape[1:], examples.latents.device
        chances = [torch.Generator().manual_seed(int(seed)) for seed in examples.seeds]
        return cls(
            torch.stack([torch.randn(shape, generator=chance) for chance in chances]).to(device),
            torch.cat([torch.randint(times, (1,), generator=chance) for chance in chances]).to(device),
            torch.cat([torch.rand(1, generator=chance) >= untold for chance in chances]).to(device),
        )


class Trainer:
    """One process's part in a training.

    Args:
        folder: of the run: checkpoints, ``metrics.jsonl``, contact sheets, and at the end ``pipeline``.
        build: makes the pipeline to be trained, in float32; called twice, the second time for what is written.
        data: what ``anifacediff prepare`` wrote.
        training: what is trained.
        schedule: how to learn.
        accelerator: as the user configured it, with its trackers.

    Raises:
        ConfigurationError: if the data were prepared for another pipeline, or the folder's run was begun with other
            data or settings.
        CheckpointError: if its newest checkpoint is damaged.
        InputError: if there is nothing to learn from, or no recipe for the pipeline.
    """

    def __init__(
        self,
        folder: Path,
        build: Callable[[], AnimationPipeline],
        data: Path,
        training: Training,
        schedule: Schedule,
        accelerator: Accelerator,
    ) -> None:
        self._build = build
        self._training = training
        self._prepared, held_out = PreparedSet.open(data, held_out=training.held_out)
        pipe = build()
        check_fit(self._prepared, pipe)
        self._pipe = pipe
        self._device: torch.device = accelerator.device
        pipe.vae.requires_grad_(False).to(self._device)
        self._objective = Objective.of(pipe.scheduler, training.min_snr)
        accumulation = accelerator.gradient_accumulation_steps
        self._share = Share(0, training.batch, accumulation, accelerator.process_index, accelerator.num_processes)
        self._examples = DrawnExamples(self._prepared, training.draw, schedule, self._share.size)
        shown = bool(training.sheet_every)
        self._preview = Preview(held_out, training.draw, schedule, pipe) if shown else None
        model = TrainedAssembly(recipe_for(pipe), training.stage, checkpointing=training.checkpointing).to(self._device)
        with accelerator.autocast():
            self._probe(model)
        settings = {
            **training.settings,
            **self._objective.settings,
            "examples": self._share.size,
            "data": self._prepared.digest,
            "vae": fingerprint(pipe.vae),
        }
        self.run = AcceleratedRun(folder, model, schedule, settings, accelerator, training.batch)

    def train(self) -> None:
        """Train until the schedule's last step, and write the pipeline with the averaged weights.

        Raises:
            NotFiniteError: if a loss is NaN.
        """
        run, training = self.run, self._training
        batches = self.batches()
        while run.step < run.schedule.steps:
            rate = run.schedule.rate(run.step)
            run.log(loss=run.advance(batches, self.loss), rate=rate)
            if run.step % training.save_every == 0:
                run.save()
            if self._preview is not None and run.step % training.sheet_every == 0:
                self._show(self._preview)
        if run.step % training.save_every:
            run.save()
        self.export(run.folder / "pipeline")

    def batches(self) -> Iterator[Examples]:
        """This process's batches from the run's step on."""
        return load_examples(self._examples, replace(self._share, first=self.run.step), self._training.workers)

    def loss(self, examples: Examples) -> Float[Tensor, ""]:
        """The loss of a batch."""
        examples, chance = self._ready(examples)
        assert examples.latents is not None
        noisy = self._objective.noisy(examples.latents, chance.noise, chance.times)
        predicted = self.run.model(noisy, chance.times, chance.told, examples)
        return self._objective.loss(predicted, examples.latents, chance.noise, chance.times)

    def export(self, target: Path) -> None:
        """Write the pipeline with the averaged weights; the folder appears whole."""
        with self.run.averaged():
            weights = self.run.weights()
            if self.run.accelerator.is_main_process:
                fresh = TrainedAssembly(recipe_for(self._build()), self._training.stage)
                load_strict(fresh, weights, "the trained model")
                partial = target.with_suffix(".partial")
                rmtree(partial, ignore_errors=True)
                fresh.pipeline().save_pretrained(partial)
                rmtree(target, ignore_errors=True)
                partial.rename(target)
        self.run.accelerator.wait_for_everyone()

    def _show(self, preview: Preview) -> None:
        """Write a contact sheet of a clip that is held out."""
        model: Any = self.run.model
        model.eval()  # as it is used: normalisations over the batch neither look at this clip nor learn from it
        with self.run.averaged():
            drawn = preview.draw(model)
        model.train()
        if self.run.accelerator.is_main_process:
            write_image(self.run.folder / f"sheet-{self.run.step:07d}.png", preview.sheet(drawn))

    def _ready(self, examples: Examples) -> tuple[Examples, Chance]:
        moved = examples.map(lambda tensor: tensor.to(self._device))
        with torch.no_grad():
            moved = moved.encoded(self._pipe.encode)
        return moved, Chance.of(moved, self._objective.times, self._training.untold)

    def _probe(self, model: TrainedAssembly) -> None:
        examples, chance = self._ready(self._examples[0])
        told = torch.ones_like(chance.told)
        model.freeze_unused(lambda: model(chance.noise, chance.times, told, examples))


def check_fit(prepared: PreparedSet, pipe: AnimationPipeline) -> None:
    """Raise :class:`ConfigurationError` unless the data were prepared for such a pipeline."""
    how = prepared.preparation
    wanted = {name: pipe.config.get(name) for name in ("image_size", "morphable_model")}
    found: dict[str, Any] = {name: getattr(how, name) for name in wanted}
    if how.convention:
        wanted["convention"], found["convention"] = pipe.config.get("convention"), how.convention
    if how.vae:
        wanted["vae"], found["vae"] = fingerprint(pipe.vae), how.vae
    if wanted != found:
        raise ConfigurationError(
            f"the data were prepared for another pipeline: {found}, but this one has {wanted}; prepare them for it."
        )
