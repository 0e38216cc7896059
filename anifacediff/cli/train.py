"""``anifacediff train``: the steps that make a small model, on avatars that we draw."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anifacediff.cli.options import Debug
from anifacediff.cli.report import note, progress, reported_errors

if TYPE_CHECKING:
    from anifacediff.training.dataset import Casting, DrawnSet

train = typer.Typer(
    help="Train nano on drawn avatars: data, vae, stage1, decoder, stage2, export; and reader, by which it is judged. "
    "Each goes on where it was stopped. `make nano` does all of it.",
    no_args_is_help=True,
)

Folder = Annotated[Path, typer.Option("-o", "--out", help="Folder of the whole training.", file_okay=False)]

HELD_OUT_SEED, HELD_OUT = 5_000, 64
TRAINING_SEED = 10_000
HELD_OUT_CLIPS_SEED, HELD_OUT_CLIPS = 6_000, 16
CLIPS_SEED, CLIPS = 15_000, 160
REFERENCES = 3
MOST = 5_000  # beyond, seeds would meet those of another set


@train.command()
def data(
    out: Folder,
    identities: Annotated[int, typer.Option(min=1, max=MOST, help="How many avatars to train on.")] = 3_200,
    share: Annotated[int, typer.Option(min=0, help="Which of several processes this one is, from 0.")] = 0,
    shares: Annotated[int, typer.Option(min=1, help="How many processes draw at once.")] = 1,
    debug: Debug = False,
) -> None:
    """Draw the avatars; those of the held-out set have other seeds."""
    with reported_errors(debug):
        from anifacediff.training.dataset import Casting

        sizes = {"held-out": (HELD_OUT_SEED, HELD_OUT), "train": (TRAINING_SEED, identities)}
        castings = {split: Casting(*size, references=REFERENCES) for split, size in sizes.items()}
        _drawn(out / "data", castings, share, shares)
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
    seed: Annotated[int, typer.Option(min=0, help="Of the weights and of everything drawn at random.")] = 0,
    expression: Annotated[
        bool, typer.Option(help="Whether the Expression Adapter takes part; for the ablation of the paper.")
    ] = True,
    debug: Debug = False,
) -> None:
    """Train denoiser, ReferenceNet, Pose Encoder, Expression Adapter and image encoder on stills."""
    with reported_errors(debug):
        from anifacediff.training.dataset import DrawnSet
        from anifacediff.training.run import Schedule
        from anifacediff.training.stage1 import Batch, train_stage1
        from anifacediff.training.vae import load_vae

        drawn, held_out = (DrawnSet.open(out / "data" / split).complete() for split in ("train", "held-out"))
        schedule = Schedule(steps=steps, learning_rate=8e-4, seed=seed)
        batch = Batch() if expression else Batch(unexpressed=1.0)
        train_stage1(out / "stage1", drawn, held_out, load_vae(out / "vae"), schedule, batch=batch)
        note(f"Trained: {out / 'stage1'}.")


@train.command()
def stage2(
    out: Folder,
    steps: Annotated[int, typer.Option(min=1, help="Steps in all, of two clips for each process.")] = 600,
    debug: Debug = False,
) -> None:
    """Draw clips, and train temporal modules on them; all else stays as stage 1 left it."""
    with reported_errors(debug):
        from anifacediff.training.dataset import Casting
        from anifacediff.training.export import averaged_nano
        from anifacediff.training.run import Schedule
        from anifacediff.training.stage2 import train_stage2
        from anifacediff.training.team import Team
        from anifacediff.training.vae import load_vae

        sizes = {"held-out": (HELD_OUT_CLIPS_SEED, HELD_OUT_CLIPS), "train": (CLIPS_SEED, CLIPS)}
        castings = {split: Casting(*size, frames=24, fps=25.0, references=1) for split, size in sizes.items()}
        with Team.gathered().first():
            sets = _drawn(out / "clips", castings)
        schedule = Schedule(steps=steps, learning_rate=1e-3)
        nano = averaged_nano(out / "stage1")
        train_stage2(out / "stage2", nano, sets["train"], sets["held-out"], load_vae(out / "vae"), schedule)
        note(f"Trained: {out / 'stage2'}.")


@train.command()
def decoder(
    out: Folder,
    steps: Annotated[int, typer.Option(min=1, help="Steps in all, of 16 pictures each.")] = 2_500,
    identities: Annotated[int, typer.Option(min=1, help="Avatars that are drawn for it.")] = 200,
    debug: Debug = False,
) -> None:
    """Train the autoencoder's decoder on what stage 1 draws, so that it does not show the squares of the latents."""
    with reported_errors(debug):
        from anifacediff.training.dataset import DrawnSet
        from anifacediff.training.decoder import train_decoder
        from anifacediff.training.export import averaged_nano
        from anifacediff.training.run import Schedule
        from anifacediff.training.vae import load_vae

        drawn, held_out = (DrawnSet.open(out / "data" / split).complete() for split in ("train", "held-out"))
        nano, schedule = averaged_nano(out / "stage1"), Schedule(steps=steps, learning_rate=1.5e-3)
        vae = load_vae(out / "vae")
        train_decoder(out / "decoder", nano, drawn, held_out, vae, schedule, identities=identities)
        note(f"Trained: {out / 'decoder' / 'model'}.")


@train.command()
def export(
    out: Folder,
    temporal: Annotated[bool, typer.Option("--temporal", help="With the temporal modules of stage 2.")] = False,
    debug: Debug = False,
) -> None:
    """Write the averaged weights of the newest checkpoint as a pipeline in float16."""
    with reported_errors(debug):
        from anifacediff.training.export import add_temporal, averaged_nano
        from anifacediff.training.export import export as write
        from anifacediff.training.vae import load_vae

        nano = averaged_nano(out / "stage1")
        if temporal:
            add_temporal(nano, out / "stage2")
        decoder_trained = (out / "decoder" / "model").is_dir()
        write(nano, load_vae(out / ("decoder" if decoder_trained else "vae")), out / "pipeline")
        note(f"Wrote {out / 'pipeline'}.")


@train.command()
def reader(
    out: Folder,
    steps: Annotated[int, typer.Option(min=1, help="Steps in all, of 32 pictures each.")] = 2_500,
    identities: Annotated[int, typer.Option(min=1, max=MOST, help="How many avatars to train on.")] = 1_200,
    debug: Debug = False,
) -> None:
    """Draw other avatars, and train the network that reads identity, pose and expression off pictures of them."""
    with reported_errors(debug):
        from anifacediff.training.dataset import Casting
        from anifacediff.training.reader import train_reader
        from anifacediff.training.run import Schedule
        from anifacediff.training.team import Team

        castings = {"held-out": Casting(25_000, 64), "train": Casting(20_000, identities)}
        with Team.gathered().first():
            sets = _drawn(out / "reader-data", castings)
        train_reader(out / "reader", sets["train"], sets["held-out"], Schedule(steps=steps, learning_rate=1e-3))
        note(f"Trained: {out / 'reader' / 'model'}.")


def _drawn(
    folder: Path, castings: "Mapping[str, Casting]", share: int = 0, shares: int = 1
) -> "Mapping[str, DrawnSet]":
    """Draw what is missing of some sets; several processes may share the work."""
    from anifacediff.training.dataset import DrawnSet, draw_identities

    sets = {split: DrawnSet.create(folder / split, casting) for split, casting in castings.items()}
    for split, drawn in sets.items():
        missing = drawn.missing(share, shares)
        for _ in progress(draw_identities(drawn, missing), f"Drawing {split}", len(missing)):
            pass
    return sets
