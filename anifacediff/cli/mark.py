"""``anifacediff mark``: is a clip marked, and where does it come from?"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from anifacediff.cli.options import Debug, Output
from anifacediff.cli.report import NOT_FOUND, note, progress, reported_errors
from anifacediff.errors import ProvenanceError

if TYPE_CHECKING:
    from anifacediff.media import VideoSource
    from anifacediff.provenance import Mark, MarkEvidence, Record

mark = typer.Typer(
    help="Find the invisible mark that `animate` leaves, and the record of where a clip comes from; or mark a clip "
    "that was made otherwise. The open mark is an aid and no proof: everyone can find it, and so can imitate or "
    "remove it.",
    no_args_is_help=True,
)

Registered = Annotated[str, typer.Option("--mark", help="Name of a mark, see `anifacediff plugins`.")]

_results = Console(soft_wrap=True, highlight=False)


@dataclass(frozen=True)
class _Finding:
    """What there is to say about one file.

    Attributes:
        file: its name.
        evidence: of the mark.
        record: None if there is none.
        trouble: why the record cannot be believed, else empty.
    """

    file: Path
    evidence: "MarkEvidence"
    record: "Record | None"
    trouble: str = ""

    def told(self) -> dict[str, object]:
        """For other programs."""
        return {
            "file": str(self.file),
            "marked": self.evidence.found,
            "score": self.evidence.score,
            "threshold": self.evidence.threshold,
            "false_alarms": self.evidence.false_alarms,
            "place": self.evidence.place,
            "record": None if self.record is None else asdict(self.record),
            "record_trouble": self.trouble or None,
        }


@mark.command(no_args_is_help=True)
def detect(
    files: Annotated[list[Path], typer.Argument(help="Videos, GIFs, images or folders of images.", show_default=False)],
    name: Registered = "spread",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")] = False,
    debug: Debug = False,
) -> None:
    """Say whether files are marked, how sure that is, and what their records say.

    The score is minus the decimal logarithm of how often a clip without a mark would look as marked, or more: of
    100,000 of them at most one scores 5. The exit code is 0 if all files are marked, 7 if one is not.

    [bold]anifacediff mark detect out.mp4[/bold]
    """
    with reported_errors(debug):
        from anifacediff import registry
        from anifacediff.media import VideoSource

        finder, clips = registry.marks[name](), [VideoSource(file) for file in files]
        findings: list[_Finding] = []
        for clip in clips:
            findings.append(_look(finder, clip))
            if not as_json:
                _print(findings[-1])
        if as_json:
            _results.out(json.dumps([finding.told() for finding in findings], indent=1))
        if not all(finding.evidence.found for finding in findings):
            raise typer.Exit(NOT_FOUND)


@mark.command(no_args_is_help=True)
def add(
    source: Annotated[Path, typer.Argument(help="A video, GIF, image or folder of images.", show_default=False)],
    output: Output,
    name: Registered = "spread",
    debug: Debug = False,
) -> None:
    """Mark a clip that was made otherwise; it is encoded anew, with its speed and sound, and gets no record.

    [bold]anifacediff mark add made-elsewhere.mp4 -o marked.mp4[/bold]
    """
    with reported_errors(debug):
        from anifacediff import registry
        from anifacediff.media import VideoSource, VideoWriter
        from anifacediff.provenance import marked

        clip = VideoSource(source)
        frames = progress(clip, "Marking", clip.num_frames)
        with VideoWriter(output, clip.fps, audio_from=source) as writer:
            for frame in marked(frames, registry.marks[name]()):
                writer.write(frame)
        note(f"Wrote {output}.")


def _look(finder: "Mark", clip: "VideoSource") -> _Finding:
    from anifacediff.provenance import read_record

    file = clip.path
    evidence = finder.detect(progress(clip, f"Looking at {file.name}", clip.num_frames))
    try:
        found = read_record(file)
    except ProvenanceError as error:
        return _Finding(file, evidence, None, str(error))
    return _Finding(file, evidence, None if found is None else found.record)


def _print(finding: _Finding) -> None:
    evidence = finding.evidence
    verdict = "[bold green]marked[/bold green]" if evidence.found else "[bold]no mark found[/bold]"
    left, top, right, bottom = (round(edge) for edge in evidence.place)
    where = f", in {left},{top} to {right},{bottom}" if evidence.found else ""
    _results.print(
        f"{escape(str(finding.file))}: {verdict}, score {evidence.score:.1f} (marked from {evidence.threshold:g} on, "
        f"which at most 1 in {1 / evidence.false_alarms:,.0f} unmarked clips reaches){where}"
    )
    if finding.trouble:
        _results.print(f"  [yellow]record:[/yellow] {escape(finding.trouble)}")
    if finding.record is not None:
        _print_record(finding.record)


def _print_record(record: "Record") -> None:
    weights = "no files of weights" if record.model.weights is None else f"weights {record.model.weights[:16]}"
    kind = record.digital_source_type.rsplit("/", 1)[1]
    lines = {
        "record": f"generated ({kind}) by {record.model.assembly}, {weights}",
        "inputs": ", ".join(f"{role} {digest[:16]}" for role, digest in record.inputs.items()),
        "settings": ", ".join(f"{name} {value}" for name, value in record.settings.items()),
        "versions": ", ".join(f"{name} {version}" for name, version in record.versions.items()),
    }
    for name, line in lines.items():
        _results.print(f"  {name}: {escape(line)}")
