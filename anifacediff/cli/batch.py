"""``anifacediff batch``: many clips."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anifacediff.cli.options import Assembly, Debug, Device, Dtype, Model, Tracker
from anifacediff.cli.provenance import NoProvenance
from anifacediff.cli.report import INTERRUPTED, SOME_FAILED, note, reported_errors, reported_progress, warn

if TYPE_CHECKING:
    from anifacediff.batch import Batch, PipelineClips, Report
    from anifacediff.batch.run import Executor


def batch(
    manifest: Annotated[
        Path,
        typer.Argument(
            help="What is to be made: .csv with a header, or .jsonl, with the columns reference, driving, output, "
            "and if wanted seed, steps, preset.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder of the clips and of report.json.", file_okay=False)
    ],
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, help="Processes at work at once, on Ray; without it, this process alone."),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            "--ray", help="Address of a Ray cluster that is running, such as auto; --workers says how much of it."
        ),
    ] = None,
    model: Model = None,
    assembly: Assembly = None,
    tracker: Tracker = None,
    device: Device = None,
    dtype: Dtype = "float32",
    no_provenance: NoProvenance = False,
    debug: Debug = False,
) -> None:
    """Make the clips that a manifest lists, each of them once.

    Stopped or killed and started again, it goes on with what is missing; rows that have changed are made again. A
    clip that fails is told in report.json, and the others go on; then the exit code is 6.

    [bold]anifacediff batch clips.csv -o clips[/bold]

    [bold]anifacediff batch clips.csv -o clips --workers 2[/bold]

    [bold]anifacediff batch clips.csv -o /shared/clips --ray auto --workers 64 --model path/to/pipeline[/bold]
    """
    with reported_errors(debug):
        from anifacediff.batch import Batch, read_manifest

        rows = read_manifest(manifest)
        if model is not None and Path(model).exists():
            model = str(Path(model).absolute())  # workers have folders of their own
        build = partial(build_clips, model, assembly, tracker, device, dtype, not no_provenance)
        work = Batch(rows, output, build, name_of(model, assembly, tracker, dtype, not no_provenance))
        report = _run(work, _executor(workers, ray))
        note(f"{output}: {report}. Details: {output / 'report.json'}.")
        if report.failed:
            raise typer.Exit(SOME_FAILED)


def build_clips(
    model: str | None,
    assembly: str | None,
    tracker: str | None,
    device: str | None,
    dtype: str,
    provenance: bool = True,
) -> "PipelineClips":
    """Load what makes the clips, on the machine where they are made.

    Args:
        model: folder or Hub id, or None for the pipeline that comes with the package.
        assembly: registered name of the kind of pipeline.
        tracker: registered name, or None for the best one installed.
        device: where it runs, or None for the best one there.
        dtype: name of torch's type in which the networks compute.
        provenance: whether clips get mark and record.
    """
    from anifacediff import registry
    from anifacediff.batch import PipelineClips
    from anifacediff.cli.faces import find_device
    from anifacediff.cli.generate import load_pipeline

    pipe = load_pipeline(model, assembly, find_device(device), dtype=dtype)
    found = None if tracker is None else registry.trackers[tracker]()
    return PipelineClips(pipe, found, provenance=provenance)


def name_of(model: str | None, assembly: str | None, tracker: str | None, dtype: str, provenance: bool = True) -> str:
    """Name what makes the clips, with the contents of a model that lies here.

    Args:
        model: folder or Hub id.
        assembly: registered name of the kind of pipeline.
        tracker: registered name.
        dtype: name of torch's type in which the networks compute.
        provenance: whether clips get mark and record.
    """
    from anifacediff.assemblies.anifacediff import NANO
    from anifacediff.provenance import fingerprint

    if model is None:
        weights = "random" if assembly is not None else fingerprint(NANO)
    else:
        weights = fingerprint(Path(model)) if Path(model).exists() else model
    return repr((weights, assembly, tracker, dtype, provenance))


def _executor(workers: int | None, address: str | None) -> "Executor":
    from anifacediff.batch import OnRay
    from anifacediff.batch.run import in_this_process

    if workers is None and address is None:
        return in_this_process
    return OnRay(workers or 1, address)


def _run(work: "Batch", execute: "Executor") -> "Report":
    from anifacediff.batch import Result

    total, done = len(work.rows), 0

    def tell(result: Result) -> None:
        nonlocal done
        done += 1
        advance(done, total)
        if result.status == "failed":
            warn(f"{result.output}: {result.reason}")

    try:
        with reported_progress("Clips") as advance:
            return work.run(execute, tell)
    except KeyboardInterrupt:
        note(f"interrupted; what is finished stays in {work.folder}, and the same command goes on with the rest.")
        raise typer.Exit(INTERRUPTED) from None
