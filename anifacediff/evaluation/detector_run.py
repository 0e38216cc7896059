"""A detector of generated pictures on clips of which is known what they are."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from anifacediff.errors import OutputError
from anifacediff.evaluation.clips import LabelledClip, spread_frames
from anifacediff.evaluation.contracts import Detector
from anifacediff.evaluation.detection import frame_auc, video_auc
from anifacediff.media.pictures import to_images
from anifacediff.shapes import Float, Tensor, check_finite, check_shape
from anifacediff.writing import appearing

FRAMES = 32
"""Frames of a clip that are looked at, as in DeepfakeBench."""


@dataclass(frozen=True)
class ClipScore:
    """What a detector says about a clip.

    Attributes:
        clip: its name.
        generated: what it is.
        frames: how many were looked at.
        score: the mean over them; higher for what is held for generated.
    """

    clip: str
    generated: bool
    frames: int
    score: float


@dataclass(frozen=True)
class DetectorResults:
    """How well a detector tells clips apart.

    Attributes:
        detector: its name.
        frame_auc: over all frames, see :func:`~anifacediff.evaluation.frame_auc`.
        video_auc: over all clips, by their mean scores.
        clips: one by one.
    """

    detector: str
    frame_auc: float
    video_auc: float
    clips: Sequence[ClipScore]

    def write(self, path: Path) -> None:
        """Write all of it as JSON; the file appears whole, in place of one that is there.

        Raises:
            OutputError: if it cannot be written.
        """
        try:
            with appearing(path) as partial:
                partial.write_text(json.dumps(asdict(self), indent=1, allow_nan=False) + "\n", encoding="utf-8")
        except OSError as error:
            raise OutputError(f"{path}: writing failed ({error.strerror}).") from error


def run_detector(
    detector: Detector,
    clips: Sequence[LabelledClip],
    *,
    name: str,
    frames: int = FRAMES,
    on_progress: Callable[[int, int], None] | None = None,
) -> DetectorResults:
    """Score clips with a detector; one clip's frames are in memory at a time.

    Args:
        detector: the user's own.
        clips: real and generated ones.
        name: of the detector, for the results.
        frames: of each clip, spread evenly; all of a clip that has fewer.
        on_progress: called with how many clips are scored, and how many there are.

    Raises:
        InputError: if a score is not finite, or all clips are real, or all generated.
        ShapeError: if there is not one score for each frame.
        MediaError: if a clip cannot be read.
    """
    scores: list[Tensor] = []
    for number, clip in enumerate(clips):
        scores.append(_scores(detector, clip.path, frames))
        if on_progress is not None:
            on_progress(number + 1, len(clips))
    lengths = torch.tensor([len(each) for each in scores])
    together = torch.cat(scores)
    fake = torch.tensor([clip.generated for clip in clips]).repeat_interleave(lengths)
    videos = torch.arange(len(clips)).repeat_interleave(lengths)
    found = [
        ClipScore(clip.path.name, clip.generated, len(each), float(each.mean()))
        for clip, each in zip(clips, scores, strict=True)
    ]
    return DetectorResults(name, frame_auc(together, fake), video_auc(together, fake, videos), found)


@torch.no_grad()
def _scores(detector: Detector, path: Path, frames: int) -> Float[Tensor, "f"]:
    images = to_images(np.stack(list(spread_frames(path, frames))))
    scores = detector(images)
    name = f"{path.name}: scores of {type(detector).__name__}"
    check_shape(name, scores, "one for each frame", len(images))
    check_finite(name, scores)
    return scores.double().cpu()
