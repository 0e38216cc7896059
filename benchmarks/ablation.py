"""What the Expression Adapter is worth, against the share of the expression that the control mesh does not carry.

Small models are trained with and without the adapter on the same drawn avatars, with the same steps and seeds, drawn
at half of nano's size: faces seen from near, that do not turn. They are measured on the same avatars under expressions
that are not in their training: so what is left to learn is what an expression does. Share 0: the mesh carries all of
the expression that it can; 1: none of it. Finished runs are kept, so that it can be stopped and gone on with::

    python benchmarks/ablation.py -o out/ablation
"""

import json
import random
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from anifacediff.cli.report import progress
from anifacediff.synthetic.expression import COMPONENTS
from anifacediff.training.dataset import Casting, DrawnSet, draw_identities
from anifacediff.training.run import Schedule
from anifacediff.training.stage1 import Batch, train_stage1
from anifacediff.training.vae import load_vae, train_vae

SIZE, REFERENCES, HELD_OUT = 64, 3, 12
FPS = 2.0  # slow enough that frames differ, within the minute for which a motion has events
CLOSER = 2.0  # at the usual distance and this size, expressions show less than the autoencoder loses
SHARES = (0.0, 0.5, 1.0)


def withheld(share: float) -> tuple[str, ...]:
    """Choose some components; those of a smaller share are among those of a larger one."""
    shuffled = random.Random(0).sample(COMPONENTS, len(COMPONENTS))
    return tuple(shuffled[: round(share * len(COMPONENTS))])


def drawn_sets(folder: Path, share: float, identities: int, frames: int) -> tuple[DrawnSet, DrawnSet]:
    """Draw the avatars, and part the frames to train on from the last ones of each, which are held out."""
    told = withheld(share)
    casting = Casting(30_000, identities, frames + HELD_OUT, SIZE, FPS, REFERENCES, told, turn=0.0, closer=CLOSER)
    drawn = DrawnSet.create(folder / "drawn", casting)
    missing = drawn.missing()
    for _ in progress(draw_identities(drawn, missing), f"Drawing, {share:.0%} withheld", len(missing)):
        pass
    return of_frames(drawn, range(frames)), in_pairs(drawn, range(frames, frames + HELD_OUT))


def of_frames(drawn: DrawnSet, kept: range) -> DrawnSet:
    """Keep some frames, the references among them."""
    which = slice(kept.start, kept.stop)
    return replace(
        drawn,
        casting=replace(drawn.casting, frames=len(kept)),
        **{name: getattr(drawn, name)[:, which] for name in ("pictures", "maps", "expression", "eyes")},
        **{name: getattr(drawn, name)[:, :, which] for name in ("warps", "shown", "motions")},
    )


def in_pairs(drawn: DrawnSet, targets: range) -> DrawnSet:
    """Make an entry of every frame to be drawn: the avatar's first frame, its reference, and that frame."""
    count = drawn.casting.identities
    who, second = (each.ravel() for each in np.meshgrid(np.arange(count), np.array(targets), indexing="ij"))
    frames = np.stack([np.zeros_like(second), second], axis=1)
    rows = who[:, None]
    return DrawnSet(
        casting=replace(drawn.casting, identities=len(who), frames=2, references=1),
        **{name: getattr(drawn, name)[rows, frames] for name in ("pictures", "maps", "expression", "eyes")},
        **{name: getattr(drawn, name)[rows, 0, frames][:, None] for name in ("warps", "shown", "motions")},
        done=drawn.done[who],
    )


def trained(folder: Path, sets: tuple[DrawnSet, DrawnSet], *, steps: int, seed: int, adapter: bool) -> dict[str, float]:
    """Train one model, unless that is done, and return what was measured last."""
    vae = folder / "vae"
    schedule = Schedule(steps=steps, learning_rate=8e-4, seed=seed)
    if not (vae / "model").is_dir():
        train_vae(vae, *sets, Schedule(steps=1, learning_rate=6e-4))
    run = folder / f"seed-{seed}-{'with' if adapter else 'without'}"
    train_stage1(run, *sets, load_vae(vae), schedule, batch=Batch(unexpressed=0.1 if adapter else 1.0))
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return next(row for row in map(json.loads, reversed(lines)) if row["step"] == steps and "psnr" in row)


def main(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the runs.")],
    identities: Annotated[int, typer.Option(help="Avatars.")] = 4,
    frames: Annotated[int, typer.Option(help="Pictures of each to train on.")] = 100,
    steps: Annotated[int, typer.Option(help="Of every run, 15 pictures each.")] = 500,
    seeds: Annotated[int, typer.Option(help="Runs of every kind.")] = 3,
) -> None:
    """Train, measure on the held-out frames, and print a line for every pair of runs."""
    torch.set_num_threads(1)
    print("withheld  seed   PSNR with  without   gain   eyes with  without   gain   eyes, tokens taken away")
    for seed, share in product(range(seeds), SHARES):
        folder = output / f"{share:.0%}".rstrip("%")
        sets = drawn_sets(folder, share, identities, frames)
        given, plain = (trained(folder, sets, steps=steps, seed=seed, adapter=adapter) for adapter in (True, False))
        whole, eyes = ((given[name], plain[name]) for name in ("psnr", "psnr_eyes"))
        print(
            f"{share:8.0%}  {seed:4d}   {whole[0]:9.2f}  {whole[1]:7.2f}  {whole[0] - whole[1]:+5.2f}"
            f"   {eyes[0]:9.2f}  {eyes[1]:7.2f}  {eyes[0] - eyes[1]:+5.2f}   {given['psnr_eyes_unexpressed']:9.2f}",
            flush=True,
        )


if __name__ == "__main__":
    typer.run(main)
