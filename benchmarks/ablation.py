"""What the Expression Adapter is worth, against the share of the expression that the control mesh does not carry.

Small models are trained with and without the adapter on the same drawn avatars, with the same steps and seeds, and
drawn at half of nano's size. Share 0: the mesh carries all of the expression that it can; 1: none of it. Finished runs
are kept, so that it can be stopped and gone on with::

    python benchmarks/ablation.py -o out/ablation
"""

import json
import random
from itertools import product
from pathlib import Path
from typing import Annotated

import torch
import typer

from anifacediff.cli.report import progress
from anifacediff.synthetic.expression import COMPONENTS
from anifacediff.training.dataset import Casting, DrawnSet, draw_identities
from anifacediff.training.run import Schedule
from anifacediff.training.stage1 import Batch, train_stage1
from anifacediff.training.vae import load_vae, train_vae

SIZE, HELD_OUT = 64, 64
SHARES = (0.0, 0.5, 1.0)


def withheld(share: float) -> tuple[str, ...]:
    """Choose some components; those of a smaller share are among those of a larger one."""
    shuffled = random.Random(0).sample(COMPONENTS, len(COMPONENTS))
    return tuple(shuffled[: round(share * len(COMPONENTS))])


def drawn_sets(folder: Path, share: float, identities: int) -> tuple[DrawnSet, DrawnSet]:
    """Draw the avatars to train on, and those that are held out."""
    sets: list[DrawnSet] = []
    for first_seed, count in ((30_000, identities), (35_000, HELD_OUT)):
        casting = Casting(first_seed, count, size=SIZE, references=3, withheld=withheld(share))
        drawn = DrawnSet.create(folder / str(first_seed), casting)
        missing = drawn.missing()
        for _ in progress(draw_identities(drawn, missing), f"Drawing, {share:.0%} withheld", len(missing)):
            pass
        sets.append(drawn)
    return sets[0], sets[1]


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
    identities: Annotated[int, typer.Option(help="Avatars to train on.")] = 300,
    steps: Annotated[int, typer.Option(help="Of every run, 15 pictures each.")] = 600,
    seeds: Annotated[int, typer.Option(help="Runs of every kind.")] = 3,
) -> None:
    """Train, measure on 64 held-out avatars, and print a line for every pair of runs."""
    torch.set_num_threads(1)
    print("withheld  seed   PSNR with  without   gain   eyes with  without   gain   eyes, tokens taken away")
    for seed, share in product(range(seeds), SHARES):
        folder = output / f"{share:.0%}".rstrip("%")
        sets = drawn_sets(folder, share, identities)
        given, plain = (trained(folder, sets, steps=steps, seed=seed, adapter=adapter) for adapter in (True, False))
        whole, eyes = ((given[name], plain[name]) for name in ("psnr", "psnr_eyes"))
        print(
            f"{share:8.0%}  {seed:4d}   {whole[0]:9.2f}  {whole[1]:7.2f}  {whole[0] - whole[1]:+5.2f}"
            f"   {eyes[0]:9.2f}  {eyes[1]:7.2f}  {eyes[0] - eyes[1]:+5.2f}   {given['psnr_eyes_unexpressed']:9.2f}"
        )


if __name__ == "__main__":
    typer.run(main)
