"""How one clip is made: with a pipeline, a tracker and a face model that were built once."""

import warnings
from fractions import Fraction
from pathlib import Path

from anifacediff.assemblies.exchange import UntrainedWarning
from anifacediff.assemblies.face_finder import FaceFinder
from anifacediff.assemblies.pipeline import AnimationPipeline
from anifacediff.assemblies.recorded import record_of
from anifacediff.batch.rows import Row
from anifacediff.geometry.faces import FaceParameters
from anifacediff.media.images import read_image
from anifacediff.media.video import VideoSource
from anifacediff.media.writer import VideoWriter
from anifacediff.provenance import Record, SpreadMark
from anifacediff.sampling import sampling_options
from anifacediff.tracking import Tracker, default_tracker, read_motion
from anifacediff.tracking.motion_files import SUFFIX as MOTION_SUFFIX


class PipelineClips:
    """Makes clips with a pipeline: faces found by a tracker, the driver's speed and sound; or a motion's, replayed.

    Clips get the open mark and a record of where they come from. That a pipeline is untrained is told once.

    Args:
        pipe: the pipeline.
        tracker: finds the faces; the best one installed if not given.
        provenance: whether clips get mark and record.

    Raises:
        InputError: if the pipeline's face model cannot be fitted to landmarks.
    """

    def __init__(self, pipe: AnimationPipeline, tracker: Tracker | None = None, *, provenance: bool = True) -> None:
        pipe.set_progress_bar_config(disable=True)
        if pipe.untrained_parts:
            warnings.warn(f"No trained weights: {', '.join(pipe.untrained_parts)}.", UntrainedWarning, stacklevel=2)
        self._pipe = pipe
        self._mark = SpreadMark() if provenance else None
        self._finder = FaceFinder.of(pipe, default_tracker() if tracker is None else tracker)

    def __call__(self, row: Row, path: Path) -> None:
        reference = self._finder.in_picture(read_image(row.reference))
        driving, fps, sound = self._driver(row.driving)
        options = sampling_options(self._pipe, row.preset, row.steps)
        notes = None if self._mark is None else self._record(row)
        with warnings.catch_warnings(), VideoWriter(path, fps, audio_from=sound, notes=notes) as video:
            warnings.simplefilter("ignore", UntrainedWarning)
            for frame in self._pipe.stream(reference, driving, seed=row.seed, mark=self._mark, **options):
                video.write(frame.image)

    def _driver(self, path: Path) -> tuple[FaceParameters, Fraction, Path | None]:
        """The driver's motion, its speed, and where its sound is: of a clip, or of a motion tracked before."""
        if path.suffix.lower() != MOTION_SUFFIX:
            source = VideoSource(path)
            return self._finder.in_clip(source).parameters, source.fps, path
        motion = read_motion(path)
        motion.check_model(self._pipe.config["morphable_model"])
        return motion.clip.parameters, motion.fps, None

    def _record(self, row: Row) -> Record:
        inputs = {"reference": row.reference, "driving": row.driving}
        settings = {"seed": row.seed, "steps": row.steps, "preset": row.preset}
        return record_of(self._pipe, inputs, settings, mark="spread")
