"""``anifacediff synthetic``: drawn avatars to look at, and to train and measure with."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from anifacediff.cli.options import Debug
from anifacediff.cli.report import note, reported_errors

_IMAGES = (".png", ".jpg", ".jpeg", ".webp")


def synthetic(
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="A sheet (.png, .jpg, .webp), or a clip (.mp4, .webm, .gif, a folder)."),
    ],
    avatars: Annotated[int, typer.Option("--avatars", min=1, help="How many: rows of a sheet, columns of a clip.")] = 6,
    frames: Annotated[
        int | None,
        typer.Option("--frames", min=1, help="Moments of each; 6 for a sheet and 100 for a clip if not given."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the first avatar; the next has the next.")] = 0,
    motion_seed: Annotated[
        int | None,
        typer.Option("--motion-seed", min=0, help="Seed of the motion that all avatars share; else each has its own."),
    ] = None,
    size: Annotated[int, typer.Option("--size", min=16, max=1024, help="Height of a picture in pixels.")] = 128,
    fps: Annotated[
        float | None, typer.Option("--fps", min=0.1, max=50, help="Frames per second; 0.5 in a sheet, 25 in a clip.")
    ] = None,
    style: Annotated[
        Literal["flat", "cel", "painted", "clay"] | None,
        typer.Option("--style", help="How all are drawn; the seed chooses if not given."),
    ] = None,
    maps: Annotated[bool, typer.Option("--maps", help="Show each picture's control map beside it.")] = False,
    debug: Debug = False,
) -> None:
    """Draw avatars made by chance, and their motion; the same seeds give the same pictures.

    [bold]anifacediff synthetic -o sheet.png --avatars 8 --maps[/bold]

    [bold]anifacediff synthetic -o clip.mp4 --avatars 4 --motion-seed 3 --size 256[/bold]
    """
    with reported_errors(debug):
        is_sheet = output.suffix.lower() in _IMAGES
        if not is_sheet:
            from anifacediff.media import check_writable

            check_writable(output)
        from anifacediff.cli.avatars import Cast, write_clip, write_sheet

        count = frames or (6 if is_sheet else 100)
        pace = fps or (0.5 if is_sheet else 25.0)
        cast = Cast.of(range(seed, seed + avatars), motion_seed, frames=count, fps=pace, size=size, style=style)
        if is_sheet:
            write_sheet(output, cast, maps=maps)
        else:
            write_clip(output, cast, fps=pace, maps=maps)
        note(f"Wrote {output}.")
