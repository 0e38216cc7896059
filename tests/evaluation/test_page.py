import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from suites import SIZE, scenes_of

from anifacediff.conditioning import FacialAlignment
from anifacediff.errors import OutputError
from anifacediff.evaluation import page
from anifacediff.evaluation.page import Gallery, Report
from anifacediff.evaluation.results import Row
from anifacediff.media import read_image, to_pictures
from anifacediff.synthetic import ExpressiveHead

ROW = Row("same", "model", "psnr", 20.0, 19.0, 21.0, 2, "dB")


def gallery(most: int = 6) -> Gallery:
    made = Gallery("model", FacialAlignment(ExpressiveHead(), image_size=SIZE), most=most)
    for scene in scenes_of("same"):
        made("truth", scene, scene.truth)
        made("model", scene, 1 - scene.truth)
    return made


def test_a_strip_shows_reference_driver_map_result_and_truth():
    scene = scenes_of("same")[1]
    strips = gallery().strips["same"][1]
    assert len(strips) == len(scene.truth)
    parts = np.split(strips[2][18:, np.arange(strips[2].shape[1]) % 162 < 160], 5, axis=1)
    small = [np.array(Image.fromarray(part).resize((SIZE, SIZE), Image.Resampling.BOX)).astype(int) for part in parts]
    driver, inverted = scene.driving_images[2], 1 - scene.truth[2]
    for found, image in zip(small, (scene.reference[0], driver, None, inverted, scene.truth[2]), strict=True):
        if image is not None:
            assert np.abs(found - to_pictures(image[None])[0]).mean() < 6
    assert (small[2][0, 0] == 0).all()
    assert small[2].max() > 200


def test_only_the_first_clips_of_the_arm_are_kept():
    assert len(gallery().strips["same"]) == 2
    assert len(gallery(most=1).strips["same"]) == 1


def test_a_report_is_complete_and_its_links_are_relative(tmp_path: Path):
    folder = tmp_path / "report"
    folder.mkdir()
    Report([ROW], ["Untrained & <strange>."], gallery(), fps=8).write(folder)
    assert [Row(**row) for row in json.loads((folder / "results.json").read_text())] == [ROW]
    assert "20.0 (19.0 to 21.0)" in (folder / "table.md").read_text()
    assert "Untrained & <strange>." in (folder / "table.md").read_text()
    html = (folder / "index.html").read_text()
    assert "Untrained &amp; &lt;strange&gt;." in html
    sources = re.findall(r'src="([^"]+)"', html)
    assert sources == ["pictures/same.webp", "pictures/same-0.png", "pictures/same-1.png"]
    assert np.array_equal(read_image(folder / sources[2]), gallery().strips["same"][1][1])
    with Image.open(folder / sources[0]) as moving:
        moving.load()
        assert (getattr(moving, "n_frames", 1), moving.info["duration"]) == (3, 125)
    assert list(tmp_path.iterdir()) == [folder]


def test_a_report_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(page, "write_image", full)
    with pytest.raises(OutputError, match="No space left"):
        Report([ROW], [], gallery(), fps=8).write(tmp_path / "report")
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_not_overwritten(tmp_path: Path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match=re.escape(str(tmp_path))):
        Report([ROW], [], gallery(), fps=8).write(tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_pictures_of_a_task_without_clips_are_left_out(tmp_path: Path):
    nobody = Gallery("model", FacialAlignment(ExpressiveHead(), image_size=SIZE))
    nobody("truth", scenes_of("same")[0], torch.zeros_like(scenes_of("same")[0].truth))
    Report([ROW], [], nobody, fps=8).write(tmp_path / "report")
    assert "<img" not in (tmp_path / "report" / "index.html").read_text()
