"""Arguments and options that several commands share."""

import math
from pathlib import Path
from typing import Annotated, Literal

import typer

Missing = Literal["hold", "interpolate", "raise"]


def _finite(value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is no number of frames.")
    return value


Reference = Annotated[Path, typer.Argument(help="The avatar: an image that shows a face.", show_default=False)]
Driving = Annotated[
    Path,
    typer.Argument(
        help="Whose face moves: a video, GIF, folder of images, still image, or motion (see anifacediff track).",
        show_default=False,
    ),
]
Output = Annotated[
    Path,
    typer.Option(
        "-o",
        "--output",
        help="What to write: .mp4, .webm, .gif, or no suffix for a folder of PNG images; a file there is replaced.",
    ),
]
Face = Annotated[
    int | None,
    typer.Option("--face", min=0, help="Which face of REFERENCE, the largest is 0; asked for where there are several."),
]
ReferenceBox = Annotated[
    str | None,
    typer.Option("--box", help="Where REFERENCE's face is if it is not found: LEFT,TOP,RIGHT,BOTTOM in pixels."),
]
DrivingFace = Annotated[int | None, typer.Option("--driving-face", min=0, help="Which face of DRIVING.")]
MissingFaces = Annotated[
    Missing, typer.Option("--missing", help="What to do about driving frames in which no face is found.")
]
Smooth = Annotated[
    float,
    typer.Option("--smooth", min=0, callback=_finite, help="How strongly the motion is smoothed, in frames; 0 is off."),
]
FramesPerSecond = Annotated[
    float | None,
    typer.Option("--fps", min=0.1, callback=_finite, help="Speed of a folder of images or a still (25 if not given)."),
]
Tracker = Annotated[str | None, typer.Option("--tracker", help="Name of a face tracker, see `anifacediff plugins`.")]
Device = Annotated[str | None, typer.Option("--device", help="cpu, cuda, mps, ...; the best one found if not given.")]
Model = Annotated[
    str | None,
    typer.Option("--model", help="Folder or Hub id of a pipeline; if not given, nano, which knows drawn avatars."),
]
Assembly = Annotated[
    str | None,
    typer.Option(
        "--assembly",
        help="What kind of pipeline --model is, such as magicportrait (see anifacediff plugins); without --model, "
        "a small one with random weights shows that it runs.",
    ),
]
Dtype = Annotated[
    Literal["float32", "bfloat16", "float16"],
    typer.Option("--dtype", help="Precision of the networks; bfloat16 halves their memory."),
]
Compile = Annotated[
    bool,
    typer.Option("--compile", help="Compile the denoiser: its first window waits long, later ones are faster."),
]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
