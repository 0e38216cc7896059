"""``anifacediff track``: a driver's motion for later."""

from pathlib import Path
from typing import Annotated

import typer

from anifacediff.cli.options import (
    Assembly,
    Debug,
    DrivingFace,
    FramesPerSecond,
    MissingFaces,
    Model,
    Smooth,
    Tracker,
)
from anifacediff.cli.report import note, reported_errors


def track(
    driving: Annotated[
        Path, typer.Argument(help="Whose face moves: a video, GIF, folder of images, or still.", show_default=False)
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="What to write: a .safetensors file; one that is there is replaced.")
    ],
    model: Model = None,
    assembly: Assembly = None,
    driving_face: DrivingFace = None,
    missing: MissingFaces = "interpolate",
    smooth: Smooth = 1.0,
    fps: FramesPerSecond = None,
    tracker: Tracker = None,
    debug: Debug = False,
) -> None:
    """Track the face of a driving clip and keep its motion, to be replayed without the clip.

    The file holds pose, expression and place of the face in every frame, and no picture of it. It suits pipelines
    that draw the same face model as --model does.

    [bold]anifacediff track talk.mp4 -o talk.safetensors[/bold]

    [bold]anifacediff animate avatar.png talk.safetensors -o out.mp4[/bold]
    """
    with reported_errors(debug):
        from anifacediff.media import VideoSource
        from anifacediff.tracking import Motion, write_motion
        from anifacediff.tracking.motion_files import check_motion_path

        check_motion_path(output, inputs=(driving,))
        from anifacediff.cli.faces import DriverRequest, find_device, find_driver, landmarked_model, open_driver
        from anifacediff.errors import InputError

        request = DriverRequest(driving, driving_face, missing, smooth, fps, tracker)
        if request.tracked:
            raise InputError(f"{driving}: this is a motion already; give the clip.")
        source = open_driver(request)
        assert isinstance(source, VideoSource)
        from anifacediff.cli.generate import load_pipeline

        pipe = load_pipeline(model, assembly, find_device("cpu"))
        face = landmarked_model(pipe.config["morphable_model"])
        size, margin = max(256, pipe.config["image_size"]), pipe.config["crop_margin"]
        clip = find_driver(request, source, face.model, size, margin)
        write_motion(output, Motion(clip, source.fps, face.name))
        note(f"Wrote {output}.")
