"""Detectors on folders of clips, and the export of clips for DeepfakeBench."""

import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from anifacediff import registry
from anifacediff.cli import app
from anifacediff.errors import InputError, MediaError, OutputError, ShapeError
from anifacediff.evaluation import export_clips, labelled_clips, run_detector
from anifacediff.evaluation.clips import spread_frames
from anifacediff.media import VideoWriter, read_image, write_image


class Brightness:
    """Holds bright frames for generated."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def __call__(self, images: torch.Tensor) -> Any:
        self.seen.append(len(images))
        return images.mean((1, 2, 3))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two real clips, one of them a folder of images, and two generated ones; grey levels overlap."""
    folder = tmp_path_factory.mktemp("clips")
    levels = {"real/a": range(0, 100, 10), "real/b": range(60, 90, 10), "fake/a": range(40, 140, 10), "fake/c": [100]}
    for name, greys in levels.items():
        (folder / name).mkdir(parents=True)
        for number, grey in enumerate(greys):
            write_image(folder / name / f"{number}.png", np.full((16, 20, 3), grey, np.uint8))
    (folder / "fake/a.json").write_text("{}")  # a record, as it lies beside clips
    return folder


def test_figures_are_those_of_pairs_of_frames_and_of_pairs_of_clips(folders: Path):
    clips = labelled_clips(folders / "real", folders / "fake")
    results = run_detector(Brightness(), clips, name="brightness")
    real = [*range(0, 100, 10), *range(60, 90, 10)]
    fake = [*range(40, 140, 10), 100]
    wins = [(one > other) + 0.5 * (one == other) for one in fake for other in real]
    assert results.frame_auc == pytest.approx(np.mean(wins))
    assert results.video_auc == 1  # means 45 and 70 against 85 and 100
    assert [(clip.clip, clip.generated, clip.frames) for clip in results.clips] == [
        ("a", False, 10),
        ("b", False, 3),
        ("a", True, 10),
        ("c", True, 1),
    ]
    assert results.clips[1].score == pytest.approx(70 / 255)


def test_frames_are_spread_evenly_from_the_first(folders: Path):
    greys = [int(frame[0, 0, 0]) for frame in spread_frames(folders / "real/a", 4)]
    assert greys == [0, 20, 50, 70]
    assert len(list(spread_frames(folders / "real/b", 4))) == 3
    detector = Brightness()
    run_detector(detector, labelled_clips(folders / "real", folders / "fake"), name="b", frames=4)
    assert detector.seen == [4, 3, 4, 1]


def test_videos_are_clips_too(tmp_path: Path):
    for name, grey in (("real", 30), ("fake", 200)):
        (tmp_path / name).mkdir()
        with VideoWriter(tmp_path / name / "clip.mp4", 8) as writer:
            writer.write(np.full((16, 16, 3), grey, np.uint8))
    assert run_detector(Brightness(), labelled_clips(tmp_path / "real", tmp_path / "fake"), name="b").video_auc == 1


@pytest.mark.parametrize(
    ("detector", "error", "message"),
    [
        (lambda images: images.mean(), ShapeError, "a: scores of function"),  # pyright: ignore[reportUnknownLambdaType]
        (lambda images: images.mean((1, 2, 3)) / 0, InputError, "NaN or infinite"),  # pyright: ignore[reportUnknownLambdaType]
    ],
)
def test_what_is_no_score_for_each_frame_is_refused(
    detector: Callable[..., Any], error: type[Exception], message: str, folders: Path
):
    with pytest.raises(error, match=message):
        run_detector(detector, labelled_clips(folders / "real", folders / "fake"), name="odd")


def test_bad_folders_are_refused(folders: Path, tmp_path: Path):
    with pytest.raises(MediaError, match="no such folder"):
        labelled_clips(folders / "real", folders / "none")
    with pytest.raises(InputError, match="holds no clips"):
        labelled_clips(folders / "real", tmp_path)
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(MediaError, match=r"notes\.txt"):
        run_detector(Brightness(), labelled_clips(tmp_path, folders / "fake"), name="b")


def as_deepfakebench_reads(file: Path, name: str, split: str, labels: dict[str, int]) -> dict[str, tuple[int, int]]:
    """By the name of a folder of frames, as its metrics group them: label and frames, after the rules of its loader."""
    found: dict[str, set[tuple[int, int]]] = defaultdict(set)
    for told in json.loads(file.read_text())[name].values():
        for video in told[split].values():
            frames = sorted(video["frames"], key=lambda path: int(path.split("/")[-1].split(".")[0]))
            assert all(path[0] == "." for path in frames)
            found[frames[0].split("/")[-2]].add((labels[video["label"]], len(frames)))
    assert all(len(each) == 1 for each in found.values())  # no two clips are taken for one
    return {clip: next(iter(each)) for clip, each in found.items()}


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_the_export_is_read_as_deepfakebench_reads_it(folders: Path, tmp_path: Path, split: str):
    export_clips(labelled_clips(folders / "real", folders / "fake"), tmp_path / "out", name="ours", frames=4)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["ours", "ours.json"]
    found = as_deepfakebench_reads(tmp_path / "out/ours.json", "ours", split, {"ours_real": 0, "ours_fake": 1})
    assert sorted(found.values()) == [(0, 3), (0, 4), (1, 1), (1, 4)]
    listed = json.loads((tmp_path / "out/ours.json").read_text())["ours"]["ours_fake"]["test"]
    for video in listed.values():
        for path in video["frames"]:
            assert (tmp_path / "out" / path.removeprefix("./datasets/")).is_file()
    first = tmp_path / "out/ours/real/frames/real-0000-a/001.png"
    np.testing.assert_array_equal(read_image(first), read_image(folders / "real/a/2.png"))


def test_an_export_appears_whole_or_not_at_all(folders: Path, tmp_path: Path):
    (tmp_path / "notes.txt").write_text("hello")
    clips = labelled_clips(tmp_path, folders / "fake")
    with pytest.raises(MediaError):
        export_clips(clips, tmp_path / "out", name="ours", frames=4)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    with pytest.raises(InputError, match="letters, digits"):
        export_clips(clips[1:], tmp_path / "out", name="../ours", frames=4)
    with pytest.raises(OutputError):
        export_clips(clips[1:], tmp_path / "none/out", name="ours", frames=4)


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["detectors", *map(str, arguments)])
    return result.exit_code, " ".join(result.stderr.split())


def test_the_commands(folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(registry, "detectors", {"brightness": Brightness})
    both = ("--real", folders / "real", "--fake", folders / "fake")
    code, told = run("run", "brightness", *both, "-o", tmp_path / "results.json")
    assert (code, "video AUC 1.000, 4 clips" in told) == (0, True), told
    results = json.loads((tmp_path / "results.json").read_text())
    assert (results["detector"], results["video_auc"], len(results["clips"])) == ("brightness", 1, 4)
    code, told = run("export", *both, "-o", tmp_path / "export", "--frames", 2)
    assert (code, "anifacediff_fake: 1" in told) == (0, True), told
    assert len(list((tmp_path / "export").rglob("*.png"))) == 7
    assert run("export", *both, "-o", tmp_path / "export")[0] == 4
    assert run("run", "brightness", *both, "-o", tmp_path / "none/results.json")[0] == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["export", "results.json"]
    monkeypatch.undo()
    assert run("run", "nobody", *both, "-o", tmp_path / "more.json")[0] == 5
