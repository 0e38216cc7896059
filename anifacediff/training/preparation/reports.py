"""What became of each video, in words that a program can read, too."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from anifacediff.errors import AniFaceDiffError, InputError, MediaError, NoFaceError, SeveralFacesError
from anifacediff.writing import appearing

Reason = Literal["unreadable", "no_face", "several_faces", "unusable", "nothing_left"]
REASONS: Mapping[type[AniFaceDiffError], Reason] = {
    MediaError: "unreadable",
    NoFaceError: "no_face",
    SeveralFacesError: "several_faces",
    InputError: "unusable",  # last: the two above are input errors, too
}
FOLDER = "videos"


@dataclass(frozen=True)
class VideoReport:
    """What became of a video.

    Attributes:
        video: its path inside the folder of videos.
        key: its name among the shards.
        frames: how many could be read.
        clips: the number of frames of each clip that was kept.
        left_out: how many frames were not kept, by reason; ``"short"`` are those in too short a run.
        refused: why nothing was kept, if so.
        message: what was said about it.
        digest: of the shard.
    """

    video: str
    key: str
    frames: int = 0
    clips: Sequence[int] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    refused: Reason | None = None
    message: str = ""
    digest: str = ""

    def write(self, folder: Path) -> None:
        """Note that the video is finished; the note appears whole."""
        (folder / FOLDER).mkdir(parents=True, exist_ok=True)
        with appearing(folder / FOLDER / f"{self.key}.json") as partial:
            partial.write_text(json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def read(cls, path: Path) -> "VideoReport":
        """Read a note.

        Raises:
            InputError: if it is none.
        """
        try:
            return cls(**json.loads(path.read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"{path}: is no note about a video ({error}); remove it to do the video again.") from error


@dataclass(frozen=True)
class Summary:
    """What became of all videos.

    Attributes:
        videos: how many there are.
        clips: that were kept.
        frames: in those.
        left_out: frames that were not kept, by reason.
        refused: the videos of which nothing was kept, by reason.
    """

    videos: int
    clips: int
    frames: int
    left_out: Mapping[str, int]
    refused: Mapping[str, Sequence[str]]

    @classmethod
    def of(cls, reports: Sequence[VideoReport]) -> "Summary":
        """Add up the reports."""
        left_out: Counter[str] = Counter()
        refused: dict[str, list[str]] = {}
        for report in reports:
            left_out.update(report.left_out)
            if report.refused is not None:
                refused.setdefault(report.refused, []).append(report.video)
        kept = [frames for report in reports for frames in report.clips]
        return cls(len(reports), len(kept), sum(kept), dict(sorted(left_out.items())), refused)

    def write(self, folder: Path) -> None:
        """Write ``report.json``, which appears whole."""
        with appearing(folder / "report.json") as partial:
            partial.write_text(json.dumps(asdict(self), indent=2) + "\n")

    def __str__(self) -> str:
        frames = ", ".join(f"{count} {reason}" for reason, count in self.left_out.items()) or "none"
        videos = "; ".join(f"{reason}: {', '.join(names)}" for reason, names in self.refused.items()) or "none"
        return (
            f"{self.clips} clips with {self.frames} frames from {self.videos} videos. Frames left out: {frames}. "
            f"Videos left out: {videos}."
        )


def read_reports(folder: Path) -> list[VideoReport]:
    """The notes about all finished videos, in the order of their keys.

    Raises:
        InputError: if one cannot be read.
    """
    return [VideoReport.read(path) for path in sorted((folder / FOLDER).glob("*.json"))]


def reason_of(error: AniFaceDiffError) -> Reason:
    """Why a video that raised this error is left out."""
    return next(reason for kind, reason in REASONS.items() if isinstance(error, kind))
