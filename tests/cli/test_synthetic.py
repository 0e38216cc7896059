from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from anifacediff.cli import app
from anifacediff.cli.report import BAD_OUTPUT
from anifacediff.media import VideoSource, read_image


def run(*arguments: str) -> int:
    return CliRunner().invoke(app, ["synthetic", *arguments]).exit_code


def test_a_sheet_has_a_row_for_each_avatar_and_a_column_for_each_moment(tmp_path: Path):
    sheet = tmp_path / "sheet.png"
    assert run("-o", str(sheet), "--avatars", "2", "--frames", "3", "--size", "32", "--seed", "5") == 0
    picture = read_image(sheet)
    assert picture.shape == (64, 96, 3)
    assert run("-o", str(tmp_path / "one.png"), "--avatars", "1", "--frames", "3", "--size", "32", "--seed", "6") == 0
    assert np.array_equal(read_image(tmp_path / "one.png"), picture[32:])


def test_maps_stand_beside_the_pictures(tmp_path: Path):
    assert run("-o", str(tmp_path / "a.png"), "--avatars", "1", "--frames", "1", "--size", "32", "--maps") == 0
    picture = read_image(tmp_path / "a.png")
    assert picture.shape == (32, 64, 3)
    assert (picture[0, -1] == 0).all()


def test_a_clip_shows_all_avatars_side_by_side(tmp_path: Path):
    clip = tmp_path / "clip.mp4"
    assert run("-o", str(clip), "--avatars", "2", "--frames", "9", "--size", "32", "--motion-seed", "1") == 0
    frames = list(VideoSource(clip))
    assert len(frames) == 9
    assert frames[0].shape == (32, 64, 3)


@pytest.mark.parametrize("name", ["clip.xyz", "missing/clip.mp4", "missing/sheet.png"])
def test_what_cannot_be_written_is_reported(tmp_path: Path, name: str):
    assert run("-o", str(tmp_path / name), "--avatars", "1", "--frames", "1", "--size", "32") == BAD_OUTPUT


@pytest.mark.parametrize("wrong", [("--avatars", "0"), ("--size", "3"), ("--style", "oil"), ("--seed", "-1")])
def test_wrong_usage_is_refused(tmp_path: Path, wrong: tuple[str, str]):
    assert run("-o", str(tmp_path / "a.png"), *wrong) == 2
