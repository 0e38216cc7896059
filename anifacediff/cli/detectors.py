"""``anifacediff detectors``: how well detectors tell generated clips from real ones."""

from pathlib import Path
from typing import Annotated

import typer

from anifacediff.cli.options import Debug
from anifacediff.cli.report import note, reported_errors, reported_progress

detectors = typer.Typer(
    help="Run detectors of generated faces, which plugins bring, on clips of yours; or write the clips as a data set "
    "that DeepfakeBench reads.",
    no_args_is_help=True,
)

Real = Annotated[Path, typer.Option("--real", help="Folder of real clips: videos, or folders of images.")]
Generated = Annotated[Path, typer.Option("--fake", help="Folder of generated clips.")]
Frames = Annotated[int, typer.Option("--frames", min=1, help="Frames of each clip, spread evenly.")]


@detectors.command(no_args_is_help=True)
def run(
    detector: Annotated[str, typer.Argument(help="Name of a detector, see `anifacediff plugins`.", show_default=False)],
    real: Real,
    fake: Generated,
    output: Annotated[Path, typer.Option("-o", "--output", help="Where the results go, as JSON.", dir_okay=False)],
    frames: Frames = 32,
    debug: Debug = False,
) -> None:
    """Score clips with a detector: area under the ROC curve over frames, and over videos by their mean scores.

    [bold]anifacediff detectors run mydetector --real recorded/ --fake generated/ -o results.json[/bold]
    """
    with reported_errors(debug):
        from anifacediff import registry
        from anifacediff.evaluation.clips import labelled_clips
        from anifacediff.evaluation.detector_run import run_detector
        from anifacediff.media import check_writable

        check_writable(output, suffixes=(".json",))
        clips = labelled_clips(real, fake)
        chosen = registry.detectors[detector]()
        with reported_progress("Detecting (clips)") as tell:
            results = run_detector(chosen, clips, name=detector, frames=frames, on_progress=tell)
        results.write(output)
        note(f"{detector}: frame AUC {results.frame_auc:.3f}, video AUC {results.video_auc:.3f}, {len(clips)} clips.")
        note(f"Wrote {output}.")


@detectors.command(no_args_is_help=True)
def export(
    real: Real,
    fake: Generated,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder to be made; must be missing or empty.", file_okay=False)
    ],
    name: Annotated[str, typer.Option("--name", help="Of the data set.")] = "anifacediff",
    frames: Frames = 32,
    debug: Debug = False,
) -> None:
    """Write clips as a data set in the layout that DeepfakeBench reads.

    [bold]anifacediff detectors export --real recorded/ --fake generated/ -o export[/bold]
    """
    with reported_errors(debug):
        from anifacediff.evaluation.clips import labelled_clips
        from anifacediff.evaluation.deepfakebench import export_clips, labels_of
        from anifacediff.media import check_writable

        check_writable(output)
        clips = labelled_clips(real, fake)
        with reported_progress("Writing (clips)") as tell:
            export_clips(clips, output, name=name, frames=frames, on_progress=tell)
        real_label, fake_label = labels_of(name)
        note(
            f"Wrote {output}. Copy {name}/ into DeepfakeBench's datasets/, {name}.json into its dataset_json_folder, "
            f"and add to label_dict of its test_config.yaml: {real_label}: 0 and {fake_label}: 1."
        )
