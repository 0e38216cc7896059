"""Clips are made once, appear whole, and whatever happens to one leaves the others alone."""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from quick_clips import FRAMES, QuickClips, shade

from anifacediff.batch import Animator, Batch, ClipMaker, Result, Row
from anifacediff.errors import InputError, OutputError
from anifacediff.media import VideoSource


@pytest.fixture
def rows(tmp_path: Path) -> tuple[Row, ...]:
    (tmp_path / "drive.txt").write_text("1")
    for number, name in enumerate(("ann", "bob", "faceless", "broken")):
        (tmp_path / f"{name}.txt").write_text(str(number))
    return tuple(
        Row(tmp_path / f"{name}.txt", tmp_path / "drive.txt", f"{name}/clip.mp4", seed=3)
        for name in ("ann", "faceless", "broken", "bob")
    )


def batch(rows: Sequence[Row], folder: Path, name: str = "") -> Batch:
    return Batch(rows, folder / "out", partial(QuickClips, 0.0, folder / "log"), name)


def begun(folder: Path) -> list[str]:
    return (folder / "log").read_text().split() if (folder / "log").exists() else []


def intact(row: Row, folder: Path) -> bool:
    frames = list(VideoSource(folder / "out" / row.output))
    return len(frames) == FRAMES and all(abs(int(frame.mean()) - shade(row)) <= 2 for frame in frames)


def test_failures_are_told_and_the_rest_is_made(tmp_path: Path, rows: tuple[Row, ...]) -> None:
    told: list[Result] = []
    report = batch(rows, tmp_path).run(on_result=told.append)
    assert [result.output for result in told] == [row.output for row in rows]
    assert (report.finished, report.skipped) == (["ann/clip.mp4", "bob/clip.mp4"], [])
    assert report.failed == {
        "faceless/clip.mp4": "No face was found.",
        "broken/clip.mp4": "ZeroDivisionError: broken",
    }
    assert str(report) == "2 finished, 2 failed"
    assert json.loads((tmp_path / "out/report.json").read_text())["failed"] == report.failed
    assert intact(rows[0], tmp_path)
    assert intact(rows[3], tmp_path)
    assert [path.name for path in (tmp_path / "out/faceless").iterdir()] == []
    assert sorted(path.name for path in (tmp_path / "out/.batch").iterdir()) == ["lock", "records"]


def test_what_is_finished_is_not_made_again(tmp_path: Path, rows: tuple[Row, ...]) -> None:
    good = (rows[0], rows[3])
    batch(good, tmp_path).run()
    before = [(tmp_path / "out" / row.output).stat() for row in good]
    report = batch(good, tmp_path).run()
    assert (list(report.skipped), report.finished) == ([row.output for row in good], [])
    assert begun(tmp_path) == [row.output for row in good]
    assert [(tmp_path / "out" / row.output).stat().st_mtime_ns for row in good] == [each.st_mtime_ns for each in before]


@pytest.mark.parametrize("change", ["seed", "input", "name", "damage", "removed", "record"])
def test_what_has_changed_is_made_again_and_said_so(tmp_path: Path, rows: tuple[Row, ...], change: str) -> None:
    first, second = rows[0], rows[3]
    batch((first, second), tmp_path).run()
    path = tmp_path / "out" / first.output
    name = ""
    if change == "seed":
        first = replace(first, seed=9)
    if change == "input":
        first.reference.write_text("5")
    if change == "name":
        name = "another model"
    if change == "damage":
        path.write_bytes(path.read_bytes()[:-1])
    if change == "removed":
        path.unlink()
    if change == "record":
        for record in (tmp_path / "out/.batch/records").iterdir():
            record.write_text("{")
    report = batch((first, second), tmp_path, name).run()
    states = {"damage": {first.output: "damaged"}, "removed": {}}
    changed = [first.output, second.output] if change in ("name", "record") else [first.output]
    assert report.finished == changed
    assert report.anew == states.get(change, dict.fromkeys(changed, "changed"))
    assert intact(first, tmp_path)


def test_missing_inputs_fail_alone(tmp_path: Path, rows: tuple[Row, ...]) -> None:
    lost = replace(rows[3], driving=tmp_path / "lost.mp4")
    report = batch((rows[0], lost), tmp_path).run()
    assert report.finished == [rows[0].output]
    assert "lost.mp4: cannot be read" in report.failed[lost.output]


def test_a_link_that_leads_out_is_refused(tmp_path: Path, rows: tuple[Row, ...]) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out/ann").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="leads out of"):
        batch(rows, tmp_path).run()
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_inputs_are_not_replaced(tmp_path: Path, rows: tuple[Row, ...]) -> None:
    (tmp_path / "out/ann").mkdir(parents=True)
    clip = tmp_path / "out/ann/clip.mp4"
    clip.write_text("1")
    with pytest.raises(InputError, match="is an input, too"):
        batch((rows[0], replace(rows[3], driving=clip)), tmp_path).run()
    assert clip.read_text() == "1"


def test_clips_do_not_go_into_a_folder_of_images_that_drives_one(tmp_path: Path, rows: tuple[Row, ...]) -> None:
    (tmp_path / "frames").mkdir()
    with pytest.raises(InputError, match=r"ann/clip\.mp4 would lie inside of an input, .*frames"):
        batch((replace(rows[0], driving=tmp_path / "frames"),), tmp_path / "frames").run()
    assert not list((tmp_path / "frames").rglob("*.mp4"))


def test_what_cannot_be_looked_at_fails_alone(tmp_path: Path, rows: tuple[Row, ...]) -> None:
    deep = replace(rows[3], output="a/" * 2500 + "clip.mp4")
    report = batch((rows[0], deep), tmp_path).run()
    assert report.finished == [rows[0].output]
    assert "too long" in report.failed[deep.output]


def test_errors_of_the_work_are_not_those_of_the_folder(tmp_path: Path, rows: tuple[Row, ...]) -> None:
    def lost() -> QuickClips:
        raise ConnectionError("the model is far away")

    with pytest.raises(ConnectionError, match="far away"):
        Batch(rows, tmp_path / "out", lost).run()
    assert len(json.loads((tmp_path / "out/report.json").read_text())["waiting"]) == len(rows)
    (tmp_path / "out/report.json").unlink()
    (tmp_path / "out/report.json").mkdir()
    with pytest.raises(OutputError, match="cannot be written to"):
        batch(rows[:1], tmp_path).run()


def test_two_batches_do_not_share_a_folder(tmp_path: Path, rows: tuple[Row, ...]) -> None:
    ours = batch(rows, tmp_path)
    ours.run()
    with FileLock(tmp_path / "out/.batch/lock"), pytest.raises(OutputError, match="another batch is at work"):
        ours.run()


def test_a_folder_that_is_a_file_is_told(tmp_path: Path, rows: tuple[Row, ...]) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(OutputError):
        batch(rows, tmp_path).run()


def test_an_interrupted_run_says_what_is_waiting(tmp_path: Path, rows: tuple[Row, ...]) -> None:
    def stop(_: Result) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        batch(rows, tmp_path).run(on_result=stop)
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert (report["finished"], len(report["waiting"])) == ([rows[0].output], 3)


def test_files_written_beside_a_clip_go_with_it(tmp_path: Path, rows: tuple[Row, ...]) -> None:
    def make(row: Row, path: Path) -> None:
        QuickClips()(row, path)
        path.with_suffix(".json").write_text("{}")

    Batch(rows[:1], tmp_path / "out", lambda: make).run()
    assert sorted(path.name for path in (tmp_path / "out/ann").iterdir()) == ["clip.json", "clip.mp4"]


def test_the_record_of_a_clip_does_not_outlive_it_and_other_files_do(tmp_path: Path, rows: tuple[Row, ...]) -> None:
    told = '{"format": "anifacediff record 1"}'
    beside = tmp_path / "out/ann/clip.mp4.json"

    def noted(row: Row, path: Path) -> None:
        QuickClips()(row, path)
        path.with_name("clip.mp4.json").write_text(told)

    def runs(make: ClipMaker) -> dict[str, str]:
        (tmp_path / "out/ann/clip.mp4").unlink(missing_ok=True)
        return dict(Batch(rows[:1], tmp_path / "out", lambda: make).run().failed)

    assert not runs(noted)
    assert beside.read_text() == told
    assert not runs(QuickClips())
    assert not beside.exists()
    beside.write_text("{}")
    assert not runs(QuickClips())
    assert "clip.mp4.json: this file is no record of ours" in runs(noted)["ann/clip.mp4"]
    assert beside.read_text() == "{}"


def test_a_maker_that_writes_nothing_or_cannot_read_is_told_as_it_is(tmp_path: Path, rows: tuple[Row, ...]) -> None:
    def nothing(row: Row, path: Path) -> None: ...

    def forbidden(row: Row, path: Path) -> None:
        raise PermissionError("closed")

    found = [Animator(tmp_path / "out", lambda made=made: made).animate(rows[0]) for made in (nothing, forbidden)]
    assert "cannot be put in its place" in found[0].reason
    assert found[1].reason == "PermissionError: closed"


def test_a_clip_of_which_workers_die_is_given_up(tmp_path: Path, rows: tuple[Row, ...]) -> None:
    def dies(row: Row, path: Path) -> None:
        raise SystemExit  # as os._exit, for whoever looks at the files

    def without_cleaning(rows: Sequence[Row], batch: Batch) -> Iterator[Result]:
        animator = Animator(batch.folder, lambda: dies)
        for row in rows:
            while True:
                mark = animator._ledger._begun(row.output)
                count = animator._ledger.deaths(row.output)
                try:
                    yield animator.animate(row)
                    break
                except SystemExit:
                    mark.write_bytes(b"." * (count + 1))  # killed before it could tidy up

    report = Batch(rows[:1], tmp_path / "out", lambda: dies).run(without_cleaning)
    assert "6 workers died of it" in report.failed[rows[0].output]
    assert batch(rows[:1], tmp_path).run().finished == [rows[0].output], "the next run tries again"


def test_the_animator_takes_columns_and_gives_columns(tmp_path: Path, rows: tuple[Row, ...]) -> None:
    columns = {
        "reference": [str(row.reference) for row in rows],
        "driving": np.array([str(row.driving) for row in rows]),
        "output": [row.output for row in rows[:3]] + ["../out.mp4"],
        "seed": np.array([3.0, np.nan, 3.0, 3.0]),
    }
    animator = Animator(tmp_path / "out", QuickClips)
    found = animator(columns)
    assert found["status"].tolist() == ["finished", "failed", "failed", "failed"]
    assert "row 3 of the batch, column output" in found["reason"][3]
    assert intact(rows[0], tmp_path)
    assert animator(columns)["status"].tolist() == ["skipped", "failed", "failed", "failed"]


def test_a_full_disk_fails_the_clip_and_leaves_nothing(
    tmp_path: Path, rows: tuple[Row, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", full)
        (result,) = [Animator(tmp_path / "out", QuickClips).animate(rows[0])]
    assert (result.status, "clip.mp4" in result.reason) == ("failed", True)
    assert not list((tmp_path / "out").rglob("*.mp4"))
    assert batch(rows[:1], tmp_path).run().finished == [rows[0].output]
