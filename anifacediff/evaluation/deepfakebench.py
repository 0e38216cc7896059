"""Clips as a data set that DeepfakeBench reads: frames in folders, and a JSON file that lists them."""

import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from anifacediff.errors import InputError, MediaError, OutputError
from anifacediff.evaluation.clips import LabelledClip, spread_frames
from anifacediff.media.images import write_image

DATA = "./datasets"
"""Where DeepfakeBench, started in its own folder, looks for data sets; paths without the dot it does not find."""

SPLITS = ("train", "val", "test")


def labels_of(name: str) -> tuple[str, str]:
    """The labels of real and of generated clips, which have to be added to ``label_dict`` as 0 and 1."""
    return f"{name}_real", f"{name}_fake"


def export_clips(
    clips: Sequence[LabelledClip],
    folder: Path,
    *,
    name: str,
    frames: int,
    data: str = DATA,
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write ``NAME/real/frames/CLIP/000.png``, the same under ``fake``, and ``NAME.json``, all or nothing.

    ``NAME`` goes into DeepfakeBench's ``datasets``, the JSON file into its ``dataset_json_folder``. All clips are
    listed in every split. Frames are written as they are: DeepfakeBench's own preparation cuts faces out.

    Args:
        clips: real and generated ones.
        folder: to be made, or empty.
        name: of the data set, letters, digits, ``-`` and ``_``.
        frames: of each clip, spread evenly.
        data: what the paths in the JSON file start with.
        on_progress: called with how many clips are written, and how many there are.

    Raises:
        InputError: if the name cannot be used.
        MediaError: if a clip cannot be read.
        OutputError: if the folder cannot be written.

    Source: SCLBD/DeepfakeBench at 8a4a7bf, ``preprocessing/rearrange.py`` and ``training/dataset/abstract_dataset.py``.
    """
    if not name.replace("-", "").replace("_", "").isalnum() or not name.isascii():
        raise InputError(f"name: {name!r} has other characters than letters, digits, - and _.")
    try:
        partial = Path(tempfile.mkdtemp(prefix=".", suffix=".partial", dir=folder.parent))
        try:
            listed = _write_frames(clips, partial / name, frames, f"{data}/{name}", on_progress)
            (partial / f"{name}.json").write_text(json.dumps({name: _by_label(name, listed)}), encoding="utf-8")
            partial.chmod(0o755)
            partial.replace(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except MediaError:  # which is an OSError, too
        raise
    except OSError as error:
        raise OutputError(f"{folder}: writing failed ({error.strerror or error}). Is the disk full?") from error


_Listed = tuple[bool, str, list[str]]
"""Whether a clip is generated, its name, the paths of its frames."""


def _write_frames(
    clips: Sequence[LabelledClip], folder: Path, frames: int, place: str, tell: Callable[[int, int], None] | None
) -> list[_Listed]:
    listed: list[_Listed] = []
    for number, clip in enumerate(clips):
        kind = "fake" if clip.generated else "real"
        unique = (
            f"{kind}-{number:04d}-{clip.path.stem}"  # DeepfakeBench groups frames by the name of their folder alone
        )
        inside = f"{kind}/frames/{unique}"
        (folder / inside).mkdir(parents=True)
        paths: list[str] = []
        for index, frame in enumerate(spread_frames(clip.path, frames)):
            paths.append(f"{place}/{inside}/{index:03d}.png")
            write_image(folder / inside / f"{index:03d}.png", frame)
        listed.append((clip.generated, unique, paths))
        if tell is not None:
            tell(number + 1, len(clips))
    return listed


def _by_label(name: str, listed: Sequence[_Listed]) -> dict[str, object]:
    told: dict[str, object] = {}
    for generated, label in enumerate(labels_of(name)):
        clips = {
            clip: {"label": label, "frames": paths} for is_generated, clip, paths in listed if is_generated == generated
        }
        told[label] = dict.fromkeys(SPLITS, clips)
    return told
