"""``anifacediff prepare``: from folders of videos to what training reads."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from anifacediff.cli.options import Debug, Device
from anifacediff.cli.report import note, progress, reported_errors

Model = Annotated[str, typer.Option("--model", help="Folder or Hub id of the pipeline that is to be trained.")]
Assembly = Annotated[str | None, typer.Option("--assembly", help="What kind of pipeline --model is.")]


def prepare(
    videos: Annotated[Path, typer.Argument(help="Folder of videos; its subfolders count, too.", exists=True)],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder of shards and reports.", file_okay=False)],
    model: Model,
    tracker: Annotated[str, typer.Option("--tracker", help="Name of a face tracker, see `anifacediff plugins`.")],
    assembly: Assembly = None,
    latents: Annotated[bool, typer.Option(help="Keep latents, so that training need not encode.")] = True,
    pose: Annotated[float, typer.Option(min=0, help="Most degrees that a head is turned away.")] = 60.0,
    sharpness: Annotated[float, typer.Option(min=0, help="Least variance of the crop's Laplacian.")] = 20.0,
    face: Annotated[float, typer.Option(min=0, help="Least size of the face in pixels of the video.")] = 96.0,
    misfit: Annotated[float, typer.Option(min=0, help="Most error of the landmarks, of the face's width.")] = 0.15,
    run: Annotated[int, typer.Option(min=2, help="Least number of such frames in a row.")] = 16,
    clip_frames: Annotated[int, typer.Option(min=2, help="Most frames in a clip; longer runs are cut.")] = 64,
    smooth: Annotated[float, typer.Option(min=0, help="How strongly the motion is smoothed, in frames.")] = 1.0,
    pictures: Annotated[Literal["png", "jpg"], typer.Option(help="How crops are kept; control maps are PNG.")] = "png",
    share: Annotated[int, typer.Option(min=0, help="Which of several processes this one is, from 0.")] = 0,
    shares: Annotated[int, typer.Option(min=1, help="How many processes work on the folder at once.")] = 1,
    device: Device = None,
    debug: Debug = False,
) -> None:
    """Track, crop and filter videos, and write shards that `anifacediff train full` and webdataset read.

    Stopped and started again, it goes on with the next video. What was left out and why is in report.json.

    [bold]anifacediff prepare videos/ -o data --model pipeline --tracker dlib[/bold]
    """
    with reported_errors(debug):
        import torch

        from anifacediff.cli.faces import find_device
        from anifacediff.cli.generate import load_pipeline
        from anifacediff.training.latents import fingerprint
        from anifacediff.training.preparation.reports import Summary, read_reports
        from anifacediff.training.preparation.settings import Limits, Preparation
        from anifacediff.training.preparation.videos import Studio, find_videos, prepare_videos, shared_out

        found = shared_out(find_videos(videos), share, shares)
        pipe = load_pipeline(model, assembly, torch.device("cpu"))
        pipe.free_reference_parts()  # only renderer and autoencoder are used; the denoiser stays in its file
        encoder: Any = pipe.vae
        encoder.to(find_device(device))
        preparation = Preparation(
            tracker,
            pipe.config["morphable_model"],
            pipe.config["image_size"],
            pipe.config.get("crop_margin", 1.8),
            pipe.config.get("convention", ""),
            fingerprint(pipe.vae) if latents else "",
            smooth,
            clip_frames,
            pictures,
            Limits(pose, sharpness, face, misfit, run),
        )
        studio = Studio(preparation, pipe)
        for report in progress(prepare_videos(found, videos, out, studio), "Preparing videos", len(found)):
            if report.refused is not None:
                note(f"{report.video}: left out ({report.refused}). {report.message}")
        summary = Summary.of(read_reports(out))
        summary.write(out)
        note(str(summary))
