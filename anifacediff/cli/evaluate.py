"""``anifacediff evaluate``: a pipeline on drawn avatars, where the answer is known."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from anifacediff.cli.options import Debug, Device
from anifacediff.cli.report import note, reported_errors


def evaluate(
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", file_okay=False, help="Folder for the figures and the page; must be missing or empty."
        ),
    ],
    suite: Annotated[str, typer.Option("--suite", help="What is drawn; there is one suite, nano.")] = "nano",
    model: Annotated[
        str | None,
        typer.Option(
            "--model", help="Folder or Hub id of a pipeline; the one that comes with the package if not given."
        ),
    ] = None,
    identities: Annotated[int, typer.Option("--identities", min=1, help="Avatars that are animated.")] = 16,
    drivers: Annotated[int, typer.Option("--drivers", min=1, help="Drivers for each avatar; none is met twice.")] = 1,
    frames: Annotated[int, typer.Option("--frames", min=2, help="Judged frames of a clip.")] = 16,
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, max=500, help="Denoising steps; what suits the model if not given.")
    ] = None,
    start: Annotated[
        Literal["zeros", "noise", "shared"] | None,
        typer.Option("--start", help="What denoising starts from; what suits the model if not given."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the noise.")] = 0,
    arms: Annotated[str, typer.Option("--arms", help="Who is compared, with commas between; all if empty.")] = "",
    metrics: Annotated[str, typer.Option("--metrics", help="By what, with commas between; by all if empty.")] = "",
    device: Device = None,
    debug: Debug = False,
) -> None:
    """Measure a pipeline on drawn avatars that it has never seen, under their own motion and under others'.

    Writes results.json, table.md and index.html with pictures, all or nothing. Intervals hold 95 % by bootstrap over
    the avatars. An arm or a metric that there is not is answered with the names of all.

    [bold]anifacediff evaluate --suite nano -o evaluation[/bold]

    [bold]anifacediff evaluate -o quick --identities 4 --frames 8 --arms truth,copy,model --metrics psnr,ssim[/bold]
    """
    with reported_errors(debug):
        from anifacediff.media import check_writable

        check_writable(output)
        from anifacediff.cli.faces import find_device
        from anifacediff.cli.measure import Choice, measure, pipeline_to_judge
        from anifacediff.evaluation.animate import Sampling
        from anifacediff.evaluation.scenes import find_suite

        pipe = pipeline_to_judge(model, find_device(device))
        drawn = find_suite(
            suite, identities=identities, drivers=drivers, frames=frames, size=int(pipe.config["image_size"])
        )
        choice = Choice(_names(arms), _names(metrics), Sampling(steps, start, seed))
        measure(pipe, drawn, choice, model or "the pipeline of the package").write(output)
        note(f"Wrote {output / 'index.html'}.")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
