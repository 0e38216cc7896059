import json
import math
from dataclasses import asdict

import pytest

from anifacediff.evaluation.results import Row, to_json, to_tables

ROWS = [
    Row("same", "truth", "psnr", 100.0, 99.5, 100.0, 4, "dB"),
    Row("same", "truth", "ssim", 0.98765, 0.9, 1.0, 4, ""),
    Row("same", "<copy>", "psnr", 1.23456, None, None, 4, "dB"),
    Row("cross", "truth", "psnr", -12.34, -13.0, -11.96, 4, "dB"),
]


def test_rows_are_read_back_as_they_were():
    assert [Row(**row) for row in json.loads(to_json(ROWS))] == ROWS
    assert json.loads(to_json(ROWS))[2] == {**asdict(ROWS[2]), "low": None}


def test_what_no_reader_of_json_knows_is_not_written():
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json([Row("same", "model", "psnr", math.nan, None, None, 1, "dB")])


def test_a_task_has_a_table_of_arms_and_metrics():
    same, cross = to_tables(ROWS)
    assert same.markdown().splitlines() == [
        "## same",
        "",
        "| arm | psnr [dB] | ssim |",
        "| --- | ---: | ---: |",
        "| truth | 100.0 (99.5 to 100.0) | 0.988 (0.900 to 1.000) |",
        "| <copy> | 1.23 |  |",
    ]
    assert cross.lines == [["truth", "-12.3 (-13.0 to -12.0)"]]
    assert to_tables([]) == []


def test_the_page_shows_names_as_they_are():
    html = to_tables(ROWS)[0].html()
    assert "<td>&lt;copy&gt;</td><td>1.23</td><td></td>" in html
    assert html.count("<tr>") == 3
