"""The same on Ray, with workers that die; where Ray is not installed, only that is told."""

import sys
from functools import partial
from pathlib import Path

import pytest
from quick_clips import QuickClips, write_rows

from anifacediff.batch import Batch, OnRay
from anifacediff.batch.animator import MOST_DEATHS
from anifacediff.errors import ConfigurationError
from anifacediff.media import VideoSource


def test_without_ray_it_is_told_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigurationError, match=r"anifacediff\[ray\]"):
        Batch(write_rows(tmp_path, 1), tmp_path / "out", QuickClips).run(OnRay(2))


def test_a_killed_worker_loses_nothing_and_a_deadly_clip_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    rows = (*write_rows(tmp_path, 4), *write_rows(tmp_path, 1, "once"), *write_rows(tmp_path, 1, "deadly"))
    report = Batch(rows, tmp_path / "out", partial(QuickClips, 0.0, tmp_path / "log")).run(OnRay(2))
    assert sorted(report.finished) == sorted(row.output for row in rows[:-1])
    assert report.failed == {rows[-1].output: f"{MOST_DEATHS} workers died of it; is there too little memory?"}
    assert all(len(list(VideoSource(tmp_path / "out" / name))) == 3 for name in report.finished)
    begun = (tmp_path / "log").read_text().split()
    assert {name: begun.count(name) for name in set(begun)} == {
        **dict.fromkeys((row.output for row in rows[:4]), 1),
        rows[4].output: 2,
        rows[5].output: MOST_DEATHS,
    }
