"""``anifacediff train``: the steps that make a small model, on avatars that we draw."""

from pathlib import Path
from typing import Annotated

import typer

from anifacediff.cli.options import Debug
from anifacediff.cli.report import note, progress, reported_errors

train = typer.Typer(
    help="Train a small model on drawn avatars (no weights ship yet): data, then vae, then stage1, then export; each "
    "goes on where it was stopped.",
    no_args_is_help=True,
)

Folder = Annotated[Path, typer.Option("-o", "--out", help="Folder of the whole training.", file_okay=False)]

HELD_OUT_SEED, HELD_OUT = 5_000, 64
TRAINING_SEED = 10_000


@train.command()
def data(
    out: Folder,
    identities: Annotated[int, typer.Option(min=1, help="How many avatars to train on.")] = 3_200,
    share: Annotated[int, typer.Option(min=0, help="Which of several processes this one is, from 0.")] = 0,
    shares: Annotated[int, typer.Option(min=1, help="How many processes draw at once.")] = 1,
    debug: Debug = False,
) -> None:
    """Draw the avatars; those of the held-out set have other seeds."""
    with reported_errors(debug):
        from anifacediff.training.dataset import Casting, DrawnSet, draw_identities

        castings = {"held-out": Casting(HELD_OUT_SEED, HELD_OUT), "train": Casting(TRAINING_SEED, identities)}
        for split, casting in castings.items():
            drawn = DrawnSet.create(out / "data" / split, casting)
            missing = drawn.missing(share, shares)
            for _ in progress(draw_identities(drawn, missing), f"Drawing {split}", len(missing)):
                pass
        note(f"Drawn: {out / 'data'}.")


@train.command()
def vae(
    out: Folder,
    steps: Annotated[int, typer.Option(min=1, help="Steps in all, of 16 pictures each.")] = 1_000,
    debug: Debug = False,
) -> None:
    """Train the autoencoder."""
    with reported_errors(debug):
        from anifacediff.training.dataset import DrawnSet
        from anifacediff.training.run import Schedule
        from anifacediff.training.vae import train_vae

        drawn, held_out = (DrawnSet.open(out / "data" / split).complete() for split in ("train", "held-out"))
        train_vae(out / "vae", drawn, held_out, Schedule(steps=steps, learning_rate=6e-4))
        note(f"Trained: {out / 'vae' / 'model'}.")


@train.command()
def stage1(
    out: Folder,
    steps: Annotated[int, typer.Option(min=1, help="Steps in all, of 15 pictures for each process.")] = 5_000,
    debug: Debug = False,
) -> None:
    """Train denoiser, ReferenceNet, Pose Encoder, Expression Adapter and image encoder on stills."""
    with reported_errors(debug):
        from anifacediff.training.dataset import DrawnSet
        from anifacediff.training.run import Schedule
        from anifacediff.training.stage1 import train_stage1
        from anifacediff.training.vae import load_vae

        drawn, held_out = (DrawnSet.open(out / "data" / split).complete() for split in ("train", "held-out"))
        schedule = Schedule(steps=steps, learning_rate=8e-4)
        train_stage1(out / "stage1", drawn, held_out, load_vae(out / "vae"), schedule)
        note(f"Trained: {out / 'stage1'}.")


@train.command()
def export(out: Folder, debug: Debug = False) -> None:
    """Write the averaged weights of the newest checkpoint as a pipeline in float16."""
    with reported_errors(debug):
        from anifacediff.training.export import averaged_nano
        from anifacediff.training.export import export as write
        from anifacediff.training.vae import load_vae

        write(averaged_nano(out / "stage1"), load_vae(out / "vae"), out / "pipeline")
        note(f"Wrote {out / 'pipeline'}.")
