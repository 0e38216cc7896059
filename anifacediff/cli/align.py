"""``anifacediff align``: what the denoiser is told."""

from typing import Annotated, Literal

import typer

from anifacediff.cli.options import (
    Debug,
    Device,
    Driving,
    DrivingFace,
    Face,
    FramesPerSecond,
    MissingFaces,
    Output,
    Reference,
    ReferenceBox,
    Smooth,
    Tracker,
)
from anifacediff.cli.report import note, reported_errors


def align(
    reference: Reference,
    driving: Driving,
    output: Output,
    maps: Annotated[
        str, typer.Option("--maps", help="Which maps to draw, with commas between: normal, depth, shaded.")
    ] = "normal",
    size: Annotated[int, typer.Option("--size", min=16, max=2048, help="Height and width of a map in pixels.")] = 256,
    face: Face = None,
    box: ReferenceBox = None,
    driving_face: DrivingFace = None,
    missing: MissingFaces = "interpolate",
    smooth: Smooth = 1.0,
    fps: FramesPerSecond = None,
    anchor: Annotated[
        Literal["driving", "reference", "camera"],
        typer.Option(
            "--anchor",
            help="Whose face says where the aligned one stands; camera: every frame is seen as the reference is.",
        ),
    ] = "driving",
    no_align_shape: Annotated[
        bool, typer.Option("--no-align-shape", help="Leave the driver its shape, instead of the reference's.")
    ] = False,
    no_align_scale: Annotated[
        bool, typer.Option("--no-align-scale", help="Leave the driver its size, instead of the reference's.")
    ] = False,
    morphable_model: Annotated[
        str | None,
        typer.Option("--morphable-model", help="Name of a face model; parametric, or that of a tracked motion."),
    ] = None,
    tracker: Tracker = None,
    device: Device = None,
    debug: Debug = False,
) -> None:
    """Write the driving clip beside the control maps that Facial Alignment makes of it.

    The maps show the reference's head with the driver's pose and expression. Frames per second and sound are
    the driving clip's.

    [bold]anifacediff align avatar.png talk.mp4 -o maps.mp4[/bold]

    [bold]anifacediff align avatar.png talk.mp4 -o maps.gif --maps normal,depth,shaded --size 128[/bold]

    [bold]anifacediff align avatar.png talk.mp4 -o maps.mp4 --no-align-shape[/bold]   to see what alignment changes
    """
    with reported_errors(debug):
        from anifacediff.media import VideoWriter, check_writable

        check_writable(output, inputs=(reference, driving))
        from anifacediff.cli.faces import (
            DriverRequest,
            Request,
            find_device,
            find_faces,
            landmarked_model,
            open_media,
            sound_of,
        )
        from anifacediff.cli.strips import write_aligned
        from anifacediff.conditioning import FacialAlignment
        from anifacediff.tracking import Motion

        driver = DriverRequest(driving, driving_face, missing, smooth, fps, tracker)
        request = Request(reference, face, box, driver)
        media = open_media(request)
        writer = VideoWriter(output, media.driver.fps, audio_from=sound_of(media.driver))
        where = find_device(device)
        told = media.driver.model if isinstance(media.driver, Motion) else "parametric"
        model = landmarked_model(morphable_model or told)
        alignment = FacialAlignment(
            model.model,
            image_size=size,
            align_shape=not no_align_shape,
            align_scale=not no_align_scale,
            anchor=anchor,
            maps=tuple(name.strip() for name in maps.split(",")),
        )
        faces = find_faces(request, media, model, image_size=size)
        write_aligned(writer, faces, alignment.to(where), where)
        note(f"Wrote {output}.")
