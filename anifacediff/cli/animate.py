"""``anifacediff animate``: the main job."""

from typing import Annotated, Literal

import typer

from anifacediff.cli.options import (
    Assembly,
    Compile,
    Debug,
    Device,
    Driving,
    DrivingFace,
    Dtype,
    Face,
    FramesPerSecond,
    MissingFaces,
    Model,
    Output,
    Reference,
    ReferenceBox,
    Smooth,
    Tracker,
)
from anifacediff.cli.provenance import MarkName, NoProvenance, find_mark, record_animation
from anifacediff.cli.report import note, reported_errors, warn

NANO = (
    "nano: a small model trained on drawn avatars; it begins from zeros, which gives one smooth answer whatever the "
    "seed (--start noise draws others). Photographs and paintings are outside of what it knows."
)


def animate(
    reference: Reference,
    driving: Driving,
    output: Output,
    compare: Annotated[
        bool, typer.Option("--compare", help="Write reference, driver, control map and result side by side.")
    ] = False,
    paste: Annotated[
        bool,
        typer.Option("--paste", help="Lay the animated face back into the whole of REFERENCE, at its full resolution."),
    ] = False,
    driver: Annotated[
        list[str] | None,
        typer.Option(
            "--driver",
            help="FACE=CLIP, such as 1=other.mp4: another face of REFERENCE, named as by --face or --box, and the clip "
            "that moves it; pastes all. May be given several times. DRIVING says how long the result is: a shorter "
            "CLIP rests in its last frame, a longer one is cut.",
        ),
    ] = None,
    model: Model = None,
    assembly: Assembly = None,
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, max=500, help="Denoising steps; what suits the model if not given.")
    ] = None,
    preset: Annotated[
        Literal["quality", "balanced", "fast", "preview", "lcm"] | None,
        typer.Option(
            "--preset",
            help="Fewer steps by a better scheduler (balanced), cached features besides (fast), fewest steps "
            "(preview), or steps for a latent consistency model (lcm). --steps goes before its number of steps.",
        ),
    ] = None,
    start: Annotated[
        Literal["noise", "shared", "zeros"] | None,
        typer.Option(
            "--start",
            help="Begin with noise for each frame, noise that all share, or zeros: one smooth answer, whatever the "
            "seed. What suits the model if not given.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same result.")] = 0,
    face: Face = None,
    box: ReferenceBox = None,
    driving_face: DrivingFace = None,
    missing: MissingFaces = "interpolate",
    smooth: Smooth = 1.0,
    fps: FramesPerSecond = None,
    tracker: Tracker = None,
    device: Device = None,
    dtype: Dtype = "float32",
    compiled: Compile = False,
    mark: MarkName = "spread",
    no_provenance: NoProvenance = False,
    debug: Debug = False,
) -> None:
    """Give an avatar the pose and expression of a driving clip.

    Frames per second and sound are the driving clip's. Frames are written as they are finished, so memory does
    not grow with the clip; the file appears when it is complete, and beside it OUTPUT.json, which says what made it
    from what. What is generated gets an invisible mark, which anifacediff mark detect finds.

    [bold]anifacediff animate avatar.png talk.mp4 -o out.mp4[/bold]

    [bold]anifacediff animate avatar.png talk.mp4 -o out.mp4 --compare --steps 10 --seed 3[/bold]

    [bold]anifacediff animate avatar.png talk.mp4 -o out.mp4 --preset fast[/bold]

    [bold]anifacediff animate group.png left.mp4 -o out.mp4 --paste --face 0 --driver 1=right.mp4[/bold]

    [bold]anifacediff animate avatar.png motion.safetensors -o out.mp4[/bold]   see anifacediff track

    [bold]anifacediff animate avatar.png frames/ -o out.gif --fps 12 --model path/to/pipeline[/bold]
    """
    with reported_errors(debug):
        from anifacediff.media import VideoWriter, check_writable

        check_writable(output, inputs=(reference, driving))
        from anifacediff.cli.faces import DriverRequest, Request, cast_requests, find_device, open_media, sound_of

        main = DriverRequest(driving, driving_face, missing, smooth, fps, tracker)
        requests = cast_requests(Request(reference, face, box, main), driver or ())
        check_writable(output, inputs=[request.driver.path for request in requests])
        media = [open_media(request) for request in requests]
        writer = VideoWriter(output, media[0].driver.fps, audio_from=sound_of(media[0].driver))
        left = None if no_provenance else find_mark(mark)
        where = find_device(device)
        from anifacediff.cli.generate import Drawing, find_cast, load_pipeline, write_animated

        drawing = Drawing(steps, preset, start, seed, compare, paste or driver is not None)
        pipe = load_pipeline(model, assembly, where, dtype=dtype)
        if compiled:
            pipe.compile_denoiser()
        if pipe.untrained_parts:
            warn(
                f"untrained: {', '.join(pipe.untrained_parts)}. These parts have random weights, so the result shows "
                "that everything runs, not a face; give trained weights with --model."
            )
        elif model is None:
            note(NANO)
        cast = find_cast(requests, media, pipe)
        if not no_provenance:
            writer.notes = record_animation(pipe, requests, drawing, mark=None if left is None else mark)
        write_animated(writer, cast, pipe, drawing, mark=left)
        note(f"Wrote {output}.")
