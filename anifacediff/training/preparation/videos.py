"""Prepare videos one after another; a finished one is never done again."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float as ArrayFloat
from jaxtyping import UInt8

from anifacediff.assemblies.pipeline import AnimationPipeline
from anifacediff.conditioning.contracts import ControlRenderer
from anifacediff.errors import InputError, MediaError
from anifacediff.geometry.contracts import LandmarkedModel
from anifacediff.geometry.faces import FaceParameters
from anifacediff.media.pictures import to_pictures
from anifacediff.media.video import VideoSource
from anifacediff.registry import registry
from anifacediff.shapes import Float, Tensor
from anifacediff.tracking.contracts import Tracker
from anifacediff.tracking.track import track_clip
from anifacediff.tracking.tracked import TrackedClip
from anifacediff.training.preparation.reports import FOLDER as NOTES
from anifacediff.training.preparation.reports import REASONS, VideoReport, reason_of
from anifacediff.training.preparation.screening import clips, faults, sharpness
from anifacediff.training.preparation.settings import Preparation
from anifacediff.training.preparation.shards import FOLDER as SHARDS
from anifacediff.training.preparation.shards import PreparedClip, write_shard

VIDEO_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".gif"})
_ENCODED_AT_ONCE = 8


class Studio:
    """Prepares videos for a pipeline: crops of its size, its own control maps, latents of its autoencoder.

    Args:
        preparation: how.
        pipe: whose renderer draws the control maps; encodes the crops if ``preparation`` asks for latents.
        tracker: finds the faces; the registered one of the preparation's name if None.

    Raises:
        InputError: if the face model cannot be fitted.
    """

    def __init__(self, preparation: Preparation, pipe: AnimationPipeline, tracker: Tracker | None = None) -> None:
        self.preparation = preparation
        self._pipe = pipe
        self._tracker = registry.trackers[preparation.tracker]() if tracker is None else tracker
        model = registry.morphable_models[preparation.morphable_model]()
        if not isinstance(model, LandmarkedModel):
            raise InputError(f"morphable_model: {type(model).__name__} has no landmarks and cannot be fitted.")
        self._model = model
        self._renderer: ControlRenderer = pipe.renderer(torch.device("cpu"))

    def prepare(self, path: Path, name: str, key: str, shard: Path) -> VideoReport:
        """Track a video, choose among its frames, and write what is left as a shard.

        Args:
            path: the video.
            name: what it is called in reports.
            key: its name among the shards.
            shard: the file to write.

        Raises:
            OutputError: if the shard cannot be written.
        """
        try:
            source = VideoSource(path)
            tracked = self._tracked(source)
            limits, sharp = self.preparation.limits, self._sharpness(source, tracked)
            wrong = faults(tracked, sharp, self._model.joint_names, limits)
            cuts = [shot.first for shot in tracked.later_shots]
            kept = clips(wrong, limits, self.preparation.clip_frames, cuts)
            digest = self._write(source, tracked, kept, name, key, shard) if kept else ""
        except tuple(REASONS) as error:
            return VideoReport(name, key, refused=reason_of(error), message=str(error))
        reasons = Counter(fault for fault in wrong if fault is not None)
        short = wrong.count(None) - sum(map(len, kept))
        left_out = {**reasons, **({"short": short} if short else {})}
        refused = None if kept else "nothing_left"
        return VideoReport(name, key, len(wrong), [len(clip) for clip in kept], left_out, refused, "", digest)

    @property
    def _size(self) -> int:
        return self.preparation.image_size

    def _tracked(self, source: VideoSource) -> TrackedClip:
        how = self.preparation
        return track_clip(
            source,
            tracker=self._tracker,
            model=self._model,
            smoothing=how.smoothing,
            margin=how.margin,
            image_size=how.image_size,
        )

    def _sharpness(self, source: VideoSource, tracked: TrackedClip) -> ArrayFloat[np.ndarray, "f"]:
        return np.array([sharpness(tracked.crop_at(n).apply(frame, self._size)) for n, frame in enumerate(source)])

    def _write(
        self, source: VideoSource, tracked: TrackedClip, kept: Sequence[range], name: str, key: str, shard: Path
    ) -> str:
        def made() -> Iterator[PreparedClip]:
            frames, position = iter(source), 0
            for number, clip in enumerate(kept):
                wanted = islice(frames, clip.start - position, clip.stop - position)
                crop = tracked.crop_at(clip.start)
                pictures = np.stack([crop.apply(frame, self._size) for frame in wanted])
                position = clip.stop
                parameters = tracked.parameters[clip.start : clip.stop]
                maps, latents = control_maps(self._renderer, parameters), self._latents(pictures)
                yield PreparedClip(f"{key}-{number:04d}", name, clip.start, pictures, maps, parameters, latents)

        return write_shard(shard, made(), self.preparation.pictures)

    @torch.no_grad()
    def _latents(self, pictures: UInt8[np.ndarray, "f h w 3"]) -> Float[Tensor, "f c h2 w2"] | None:
        if not self.preparation.vae:
            return None
        images = torch.from_numpy(pictures).permute(0, 3, 1, 2).to(self._pipe.vae.device, self._pipe.vae.dtype) / 255
        return torch.cat([self._pipe.encode(part) for part in images.split(_ENCODED_AT_ONCE)])


def control_maps(renderer: ControlRenderer, parameters: FaceParameters) -> Mapping[str, UInt8[np.ndarray, "f h w 3"]]:
    """Draw the control maps of a clip, of every kind that the renderer knows.

    Args:
        renderer: of the pipeline to be trained.
        parameters: the face in every frame.
    """
    drawn = renderer.render(renderer.plan(parameters[:1], parameters[:1]), parameters)
    kinds = {"normal": drawn.normal, "depth": drawn.depth, "shaded": drawn.shaded}
    return {kind: to_pictures(maps) for kind, maps in kinds.items() if maps is not None}


def find_videos(folder: Path) -> list[Path]:
    """The videos in a folder and its subfolders, in the order of their names.

    Raises:
        MediaError: if there is none.
    """
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file())
    if not found:
        raise MediaError(f"{folder}: no videos ({', '.join(sorted(VIDEO_SUFFIXES))}) in this folder or below it.")
    return found


def shared_out(videos: Sequence[Path], share: int, shares: int) -> list[Path]:
    """The videos of one of several processes.

    Args:
        videos: of all.
        share: which process, from 0.
        shares: how many there are.

    Raises:
        InputError: if there is no such process.
    """
    if not 0 <= share < shares:
        raise InputError(f"share: processes are counted from 0 to {shares - 1} if there are {shares}, found {share}.")
    return list(videos[share::shares])


def prepare_videos(videos: Sequence[Path], root: Path, folder: Path, studio: Studio) -> Iterator[VideoReport]:
    """Prepare videos one after another; those that are finished are only reported.

    Args:
        videos: the files.
        root: the folder that they are named from.
        folder: receives shards and reports.
        studio: does it.

    Raises:
        ConfigurationError: if the folder was begun in another way.
        OutputError: if a shard cannot be written.
    """
    studio.preparation.claim(folder)
    for path in videos:
        name, key = path.relative_to(root).as_posix(), _key(path, root)
        note = folder / NOTES / f"{key}.json"
        if note.is_file():
            yield VideoReport.read(note)
            continue
        report = studio.prepare(path, name, key, folder / SHARDS / f"{key}.tar")
        report.write(folder)
        yield report


def _key(path: Path, root: Path) -> str:
    """A name without dots, which would end a sample's key; another one if the file's size changes."""
    name = path.relative_to(root).as_posix()
    digest = hashlib.sha256(f"{name}:{path.stat().st_size}".encode()).hexdigest()[:8]
    return f"{re.sub('[^A-Za-z0-9_-]', '_', path.stem)}-{digest}"
