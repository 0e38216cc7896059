"""Compare face trackers on clips and pictures: how often the face is found, how well a model fits, how far they differ.

Prints for every tracker in how many frames it finds the face, the reprojection error of ``track_clip`` with the
built-in head (mean and worst, in shares of the face's width), and milliseconds a frame for finding faces; then the mean
distance between the landmarks of two trackers, in shares of the face's width, for the jaw line and for the rest::

    python benchmarks/trackers.py driving.mp4 portrait.jpg [--trackers dlib mediapipe]
"""

import argparse
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from anifacediff.errors import NoFaceError
from anifacediff.geometry import ParametricHead
from anifacediff.media.video import VideoSource
from anifacediff.registry import registry
from anifacediff.tracking import DetectedFace, Tracker, track_clip

JAW, REST = slice(0, 17), slice(17, 68)


@dataclass
class Watched:
    """A tracker that remembers the largest face of every frame, and the seconds it took."""

    tracker: Tracker
    seen: list[DetectedFace | None] = field(default_factory=list[DetectedFace | None])
    seconds: float = 0.0

    def __call__(self, image: np.ndarray) -> tuple[DetectedFace, ...]:
        start = time.perf_counter()
        faces = self.tracker(image)
        self.seconds += time.perf_counter() - start
        self.seen.append(faces[0] if faces else None)
        return faces


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", help="videos, pictures, or folders of pictures")
    parser.add_argument("--trackers", nargs="+", default=["dlib", "mediapipe"])
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    trackers = {name: registry.trackers[name]() for name in options.trackers}
    width = max(len(clip) for clip in options.clips)
    print(f"{'':{width}}  {'tracker':10}  found      error mean  worst  ms/frame")
    for clip in options.clips:
        watched = {name: Watched(tracker) for name, tracker in trackers.items()}
        for name, tracker in watched.items():
            print(f"{clip:{width}}  {name:10}  {followed(clip, tracker)}")
        for first, second in combinations(watched, 2):
            apart = distance(watched[first].seen, watched[second].seen)
            print(f"{clip:{width}}  {first} and {second} apart: {apart}")


def followed(clip: str, tracker: Watched) -> str:
    """Track a clip; return the row of figures."""
    try:
        tracked = track_clip(VideoSource(clip), tracker=tracker, model=ParametricHead(), face=0)
    except NoFaceError:
        return f"{0:4}/{len(tracker.seen):<4}"
    error = 100 * tracked.report.reprojection_error
    found = len(error) - len(tracked.report.missing)
    speed = 1000 * tracker.seconds / len(error)
    return f"{found:4}/{len(error):<4}  {error.mean():8.2f} %  {error.max():5.2f} %  {speed:6.1f}"


def distance(first: Sequence[DetectedFace | None], second: Sequence[DetectedFace | None]) -> str:
    """Mean distance of the landmarks of the frames in which both found the face."""
    pairs = [(one, other) for one, other in zip(first, second, strict=True) if one is not None and other is not None]
    if not pairs:
        return "no frame in common"
    apart = np.array([np.linalg.norm(one.landmarks - other.landmarks, axis=1) for one, other in pairs])
    width = np.array([np.ptp((one.landmarks + other.landmarks)[:, 0]) / 2 for one, other in pairs])
    share = 100 * apart / width[:, None]
    return f"jaw line {share[:, JAW].mean():.2f} %, rest {share[:, REST].mean():.2f} %"


if __name__ == "__main__":
    main()
