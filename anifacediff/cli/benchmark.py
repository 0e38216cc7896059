"""``anifacediff benchmark``: where the time and the memory of a clip go."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from anifacediff.cli.options import Assembly, Compile, Debug, Device, Dtype, Model
from anifacediff.cli.report import note, reported_errors


def benchmark(
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", file_okay=False, help="Folder for benchmark.json and benchmark.png."),
    ] = None,
    model: Model = None,
    assembly: Assembly = None,
    size: Annotated[
        Literal["small", "full"],
        typer.Option("--size", help="full: Stable Diffusion 1.5's size with random weights, instead of --model."),
    ] = "small",
    frames: Annotated[int, typer.Option("--frames", min=2, help="Frames of the clip.")] = 24,
    steps: Annotated[int, typer.Option("--steps", min=1, max=500, help="Denoising steps.")] = 4,
    image_size: Annotated[
        int | None, typer.Option("--image-size", min=8, help="Pixels; of models with random weights only.")
    ] = None,
    guidance: Annotated[
        float | None, typer.Option("--guidance", help="Guidance scale; what suits the assembly if not given.")
    ] = None,
    dtype: Dtype = "float32",
    device: Device = None,
    compiled: Compile = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    debug: Debug = False,
) -> None:
    """Time an animation stage by stage, beside the least that its counted work could take on this device.

    A drawn avatar is driven by a drawn clip. The floor is the counted number of floating-point operations over the
    rate of a large matrix product, measured in the same run. With a busy machine trust the ratios, not the seconds.

    [bold]anifacediff benchmark[/bold]

    [bold]anifacediff benchmark --size full --frames 24 --steps 20 --dtype bfloat16 --compile -o figures[/bold]
    """
    with reported_errors(debug):
        from anifacediff.cli.faces import find_device
        from anifacediff.cli.profiled import Choice, made, measure, print_table, to_json, write

        folder = None if output is None else made(output)
        choice = Choice(model, assembly, size, image_size, dtype, find_device(device))
        figures = measure(choice, frames=frames, steps=steps, guidance=guidance, compiled=compiled)
        if as_json:
            typer.echo(to_json(figures))
        else:
            print_table(figures)
        if folder is not None:
            write(figures, folder)
            note(f"Wrote {folder / 'benchmark.json'} and benchmark.png.")
