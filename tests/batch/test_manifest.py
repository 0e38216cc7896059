"""The manifest is read strictly."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anifacediff.batch import Row, read_manifest
from anifacediff.errors import InputError


def written(folder: Path, text: str, name: str = "clips.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_table_becomes_rows(tmp_path: Path) -> None:
    text = '\ufeffreference,driving,output,seed,preset\n"a, b.png",talk.mp4,one/a.mp4,7,fast\n\nc.png,/d.gif,c.webm,,\n'
    first, second = read_manifest(written(tmp_path, text))
    assert first == Row(tmp_path / "a, b.png", tmp_path / "talk.mp4", "one/a.mp4", 7, None, "fast")
    assert second == Row(tmp_path / "c.png", Path("/d.gif"), "c.webm")


def test_json_lines_say_the_same(tmp_path: Path) -> None:
    cells = {"reference": "a.png", "driving": "talk.mp4", "output": "./a.mp4", "steps": 3, "seed": None}
    (row,) = read_manifest(written(tmp_path, json.dumps(cells) + "\n\n", "clips.jsonl"))
    assert row == Row(tmp_path / "a.png", tmp_path / "talk.mp4", "a.mp4", 0, 3)


HEADER = "reference,driving,output,seed,steps,preset\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "lists no clips"),
        (HEADER, "lists no clips"),
        (f"{HEADER}a,b,c.mp4,,\n", "line 2: has 5 cells, the header 6"),
        (f"{HEADER}a,,c.mp4,,,\n", "line 2, column driving: is empty or missing"),
        ("reference,driving\na,b\n", "line 2, column output: is empty or missing"),
        ("reference,driving,output,speed\na,b,c.mp4,\n", "line 2, column 'speed': there is no such column"),
        ("reference,driving,output,seed,seed\n", "line 1: the column seed is there twice"),
        (f"{HEADER}a,b,c.mp4,,,\na,b,c.mp4,-1,,\n", "line 3, column seed: expected a whole number from 0"),
        (f"{HEADER}a,b,c.mp4,1.5,,\n", "line 2, column seed"),
        (f"{HEADER}a,b,c.mp4,1_0,,\n", "line 2, column seed"),
        (f"{HEADER}a,b,c.mp4,,0,\n", "line 2, column steps: expected a whole number from 1 to 500, found '0'"),
        (f"{HEADER}a,b,c.mp4,,,fastest\n", "line 2, column preset: expected one of quality"),
        (f"{HEADER}a,b,c.xyz,,,\n", "line 2, column output: 'c.xyz' has to end in one of .gif"),
        (f"{HEADER}a,b,frames,,,\n", "line 2, column output: 'frames' has to end in"),
        (f"{HEADER}a,b,c.mp4,,,\na,b,./c.mp4,,,\n", "line 3, column output: c.mp4 is that of line 2"),
        (f"{HEADER}a,b,c.mp4,,,\na,b,{'ä' * 124}.mp4,,,\n", "line 3, column output: a name of 252 bytes is too long"),
        (f"{HEADER}a,b,{'a' * 251}/c.mp4,,,\n", "line 2, column output: a name of 251 bytes is too long"),
        (f'{HEADER}a,b,"c.mp4,,,\n', "is no CSV"),
        (f"{HEADER}a\0,b,c.mp4,,,\n", "line 2"),
    ],
)
def test_what_is_wrong_is_told_with_its_line_and_column(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(InputError) as caught:
        read_manifest(written(tmp_path, text))
    assert told in str(caught.value)


OUTSIDE = ["/etc/c.mp4", "../c.mp4", "a/../../c.mp4", "a\\..\\c.mp4", "C:c.mp4", ".batch/c.mp4"]


@pytest.mark.parametrize("output", OUTSIDE)
def test_outputs_stay_in_the_folder(tmp_path: Path, output: str) -> None:
    with pytest.raises(InputError, match=r"line 2, column output: .* may not leave"):
        read_manifest(written(tmp_path, f"{HEADER}a,b,{output},,,\n"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "line 1: is no JSON"),
        ("[1]", "line 1: expected an object in braces"),
        ('{"reference": 1, "driving": "b", "output": "c.mp4"}', "line 1, column reference: expected text, found 1"),
        ('{"reference": "a", "driving": "b", "output": "c.mp4", "seed": true}', "line 1, column seed"),
        ("[" * 100_000, "line 1: is no JSON"),
        (
            '{"reference": "a", "driving": "b", "output": "\\ud800.gif"}',
            "line 1, column output: '\\ud800.gif' holds half",
        ),
        (
            '{"reference": "\\ud800", "driving": "b", "output": "c.gif"}',
            "line 1, column reference: '\\ud800' holds half",
        ),
    ],
)
def test_json_that_is_wrong_is_told_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(InputError) as caught:
        read_manifest(written(tmp_path, text, "clips.jsonl"))
    assert told in str(caught.value)


def test_files_that_are_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_manifest(tmp_path / "none.csv")
    with pytest.raises(InputError, match=r"\.csv or \.jsonl"):
        read_manifest(tmp_path / "clips.xlsx")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="UTF-8"):
        read_manifest(tmp_path / "bytes.csv")


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60), st.sampled_from(["reference", "driving", "output", "seed", "steps", "preset"]))
def test_any_cell_gives_a_row_inside_the_folder_or_an_error(text: str, column: str) -> None:
    cells = {"reference": "a", "driving": "b", "output": "c.mp4"} | {column: text}
    try:
        row = Row.read(cells, Path("/base"), "line 2")
    except InputError as error:
        assert str(error).startswith("line 2, column")  # noqa: PT017
    else:
        assert Path("/out", row.output).resolve().is_relative_to("/out")
