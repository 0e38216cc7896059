"""``anifacediff train full``: training an assembly of any size on prepared videos."""

from pathlib import Path
from typing import Annotated

import typer

from anifacediff.cli.options import Debug
from anifacediff.cli.prepare import Assembly, Model
from anifacediff.cli.report import note, reported_errors


def full(
    data: Annotated[Path, typer.Argument(help="Folder that `anifacediff prepare` wrote.", file_okay=False)],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder of the run.", file_okay=False)],
    model: Model,
    assembly: Assembly = None,
    stage: Annotated[int, typer.Option(min=1, max=2, help="1: all but temporal modules, on stills; 2: those.")] = 1,
    steps: Annotated[int, typer.Option(min=1, help="Steps in all.")] = 30_000,
    batch: Annotated[int, typer.Option(min=1, help="Examples at once in each process.")] = 1,
    accumulation: Annotated[int, typer.Option(min=1, help="Batches whose gradients are added up.")] = 1,
    frames: Annotated[int, typer.Option(min=1, help="Frames of an example in stage 2.")] = 24,
    stride: Annotated[int, typer.Option(min=1, help="Frames of the video from one to the next.")] = 1,
    learning_rate: Annotated[float, typer.Option(min=0, help="At its highest.")] = 1e-5,
    warmup: Annotated[int, typer.Option(min=1, help="Steps until then.")] = 500,
    average: Annotated[float, typer.Option(min=0, max=1, help="Decay of the moving average; 0 keeps none.")] = 0.9999,
    min_snr: Annotated[float, typer.Option(min=0, help="Limit of the signal-to-noise weight; 0 is off.")] = 5.0,
    untold: Annotated[float, typer.Option(min=0, max=1, help="Share without conditions, for guidance.")] = 0.1,
    checkpointing: Annotated[bool, typer.Option(help="Compute activations twice, to keep fewer.")] = True,
    workers: Annotated[int, typer.Option(min=0, help="Processes that read ahead, for each process.")] = 2,
    held_out: Annotated[int, typer.Option(min=0, help="Videos that are only looked at.")] = 1,
    save_every: Annotated[int, typer.Option(min=1, help="Steps between checkpoints.")] = 500,
    sheet_every: Annotated[int, typer.Option(min=0, help="Steps between contact sheets; 0 makes none.")] = 1_000,
    track: Annotated[list[str] | None, typer.Option("--track", help="A tracker of accelerate, such as wandb.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of everything drawn at random.")] = 0,
    debug: Debug = False,
) -> None:
    """Train an assembly on prepared videos, on whatever accelerate is configured for.

    Stopped and started again, it goes on from its newest checkpoint. See docs/training.md for recipes.

    [bold]accelerate launch -m anifacediff train full data -o run --model pipeline --stage 1[/bold]
    """
    with reported_errors(debug):
        import torch

        from anifacediff.cli.generate import load_pipeline
        from anifacediff.training.full.accelerated import start
        from anifacediff.training.full.examples import Draw
        from anifacediff.training.full.training import Trainer, Training
        from anifacediff.training.run import Schedule

        training = Training(
            stage=stage,
            batch=batch,
            draw=Draw(frames, stride) if stage == 2 else Draw(),
            min_snr=min_snr or None,
            untold=untold,
            checkpointing=checkpointing,
            workers=workers,
            held_out=held_out,
            save_every=save_every,
            sheet_every=sheet_every if held_out else 0,
        )
        schedule = Schedule(steps, learning_rate, warmup=warmup, average=average, seed=seed)
        accelerator = start(out, track or (), accumulation)
        trainer = Trainer(
            out, lambda: load_pipeline(model, assembly, torch.device("cpu")), data, training, schedule, accelerator
        )
        trainer.train()
        accelerator.end_training()
        if accelerator.is_main_process:
            note(f"Trained: {out / 'pipeline'}.")
