"""Records of clips: written inside and beside, read strictly."""

import hashlib
import json
import tracemalloc
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from subprocess import run
from typing import Any

import numpy as np
import pytest

from anifacediff.errors import MediaError, OutputError, ProvenanceError
from anifacediff.media import VideoSource, VideoWriter, read_image
from anifacediff.media.comments import add_gif_comment
from anifacediff.provenance import ModelFacts, Record, fingerprint, installed_versions, read_record
from anifacediff.provenance.record import COMPOSITE, FORMAT

RECORD = Record(
    model=ModelFacts("AniFaceDiffPipeline", "ab" * 32),
    inputs={"reference": "01" * 32, "driving": "02" * 32},
    settings={"seed": 3, "steps": None, "smooth": 1.0, "start": "zeros", "paste": False, "note": 'ä \u2028 <&> \\ "'},
    versions=installed_versions(),
    mark="spread",
)
FRAMES = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)


def write(path: Path, notes: Record | None = RECORD) -> Path:
    with VideoWriter(path, Fraction(10), notes=notes) as writer:
        for frame in FRAMES:
            writer.write(frame)
    return path


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mov", "clip.webm", "clip.gif", "frames"])
def test_a_record_is_found_beside_the_clip_and_inside_of_it(tmp_path: Path, name: str):
    clip = write(tmp_path / name)
    beside = tmp_path / f"{name}.json"
    found = read_record(clip)
    assert found is not None
    assert (found.record, found.place) == (RECORD, "beside")
    beside.unlink()
    found = read_record(clip)
    assert found is not None
    assert (found.record, found.place) == (RECORD, "inside")
    assert len(list(VideoSource(clip))) == 3


def test_a_picture_of_a_folder_has_the_record_when_it_is_alone(tmp_path: Path):
    picture = write(tmp_path / "frames") / "000002.png"
    found = read_record(picture.rename(tmp_path / "alone.png"))
    assert found is not None
    assert found.record == RECORD
    np.testing.assert_array_equal(read_image(tmp_path / "alone.png"), FRAMES[2])


def test_a_long_comment_leaves_the_pictures_of_a_gif_as_they_are(tmp_path: Path):
    long = replace(RECORD, settings={"note": "x" * 1000})
    plain, noted = write(tmp_path / "plain.gif", None), write(tmp_path / "noted.gif", long)
    np.testing.assert_array_equal(list(VideoSource(plain)), list(VideoSource(noted)))
    (tmp_path / "noted.gif.json").unlink()
    found = read_record(noted)
    assert found is not None
    assert found.record == long


def test_without_notes_there_is_no_record(tmp_path: Path):
    clip = write(tmp_path / "clip.mp4", None)
    assert [file.name for file in tmp_path.iterdir()] == ["clip.mp4"]
    assert read_record(clip) is None
    (tmp_path / "notes.txt").write_text("hello")
    assert read_record(tmp_path / "notes.txt") is None


def test_a_clip_that_is_not_finished_leaves_no_record(tmp_path: Path):
    def interrupted():
        with VideoWriter(tmp_path / "clip.mp4", 10, notes=RECORD) as writer:
            writer.write(FRAMES[0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not list(tmp_path.iterdir())


def test_a_clip_that_cannot_take_its_place_takes_its_record_along(tmp_path: Path):
    def hindered():
        with VideoWriter(tmp_path / "clip.mp4", 10, notes=RECORD) as writer:
            writer.write(FRAMES[0])
            (tmp_path / "clip.mp4").mkdir()
            (tmp_path / "clip.mp4" / "in the way").touch()

    with pytest.raises(OutputError):
        hindered()
    assert [file.name for file in tmp_path.iterdir()] == ["clip.mp4"]


def test_a_folder_in_the_way_of_the_record_is_told_before_anything_is_written(tmp_path: Path):
    (tmp_path / "clip.mp4.json").mkdir()
    with pytest.raises(OutputError, match="a folder is in the way"):
        write(tmp_path / "clip.mp4")
    assert [file.name for file in tmp_path.iterdir()] == ["clip.mp4.json"]


def test_a_record_says_that_the_clip_is_generated_in_the_words_of_the_iptc():
    told = json.loads(RECORD.comment)
    assert told["generated"] is True
    assert told["digital_source_type"].startswith("http://cv.iptc.org/newscodes/digitalsourcetype/")
    assert told["digital_source_type"].endswith("/trainedAlgorithmicMedia")
    assert told["versions"]["torch"]
    assert Record.parse(replace(RECORD, digital_source_type=COMPOSITE).comment, "here").mark == "spread"


def test_a_record_of_another_clip_is_refused(tmp_path: Path):
    clip = write(tmp_path / "clip.mp4")
    clip.write_bytes(clip.read_bytes() + b"\0")
    with pytest.raises(ProvenanceError, match=r"another version of clip\.mp4"):
        read_record(clip)


CHANGES: list[tuple[dict[str, Any], str]] = [
    ({"generated": False}, "generated is False"),
    ({"mark": 3}, "mark is 3"),
    ({"inputs": {"reference": 1}}, "inputs is"),
    ({"inputs": {"reference": "ab", "driving": 5}}, "inputs is"),
    ({"inputs": {"driving": 5, "reference": "ab"}}, "inputs is"),
    ({"settings": {"seed": [1]}}, "settings is"),
    ({"settings": {"a": 1, "b": [1]}}, "settings is"),
    ({"settings": {"b": [1], "a": 1}}, "settings is"),
    ({"versions": {"torch": "2", "av": {}, "more": "1"}}, "versions is"),
    ({"format": "another"}, "format is 'another'"),
    ({"digital_source_type": "digitalCapture"}, "digital_source_type is"),
    ({"more": 1}, "no 'more'"),
    ({"model": {"assembly": "A"}}, "model: the record has no 'weights'"),
    ({"model": "nano"}, "model is 'nano'"),
]


@pytest.mark.parametrize(("change", "message"), CHANGES, ids=[message for _, message in CHANGES])
def test_a_changed_record_is_refused(change: dict[str, Any], message: str):
    told = {**json.loads(RECORD.comment), **change}
    with pytest.raises(ProvenanceError, match=message):
        Record.parse(json.dumps(told), "here")


def test_what_is_no_record_is_refused(tmp_path: Path):
    for text in ("", "[1]", RECORD.comment[:-5], "NaN", "[" * 100_000, '{"mark": "\\ud800"}'):
        with pytest.raises(ProvenanceError, match="here: the record is"):
            Record.parse(text, "here")
    told = json.loads(RECORD.comment)
    del told["mark"]
    with pytest.raises(ProvenanceError, match="'mark'"):
        Record.parse(json.dumps(told), "here")
    clip = write(tmp_path / "clip.mp4")
    with (tmp_path / "clip.mp4.json").open("ab") as beside:
        beside.write(b"\xff\xfe\x00")
    with pytest.raises(ProvenanceError, match="cannot be read"):
        read_record(clip)


FOREIGN = ['{"title": "p.png"}', '{"format": null}', "[1]", "", "[" * 100_000, '{"file": "anifacediff record 1"}']


@pytest.mark.parametrize("text", FOREIGN, ids=[text[:20] for text in FOREIGN])
def test_a_file_of_someone_else_beside_a_clip_is_passed_over_and_never_replaced(tmp_path: Path, text: str):
    clip, beside = write(tmp_path / "clip.gif"), tmp_path / "clip.gif.json"
    beside.write_text(text)
    found = read_record(clip)
    assert found is not None
    assert (found.record, found.place) == (RECORD, "inside")
    with pytest.raises(OutputError, match="no record of ours"):
        write(clip)
    assert read_record(clip) == found
    write(clip, None)
    assert beside.read_text() == text


def test_a_clip_written_again_has_its_own_record_or_none(tmp_path: Path):
    clip = write(tmp_path / "clip.gif")
    other = replace(RECORD, mark=None)
    write(clip, other)
    found = read_record(clip)
    assert found is not None
    assert found.record == other
    write(clip, None)
    assert [file.name for file in tmp_path.iterdir()] == ["clip.gif"]
    assert read_record(clip) is None


def test_a_name_that_leaves_no_room_for_the_record_is_told_before_anything_is_written(tmp_path: Path):
    with pytest.raises(OutputError, match="nothing can be noted there"):
        write(tmp_path / f"{'a' * 251}.gif")
    assert not list(tmp_path.iterdir())


def test_a_long_gif_gets_its_comment_without_being_held_in_memory(tmp_path: Path):
    content = b"GIF89a" + bytes(8_000_000)
    (tmp_path / "long.gif").write_bytes(content)
    tracemalloc.start()
    add_gif_comment(tmp_path / "long.gif", "x" * 300)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1_000_000
    comment = b"\x21\xfe\xff" + b"x" * 255 + b"\x2d" + b"x" * 45 + b"\0"
    assert (tmp_path / "long.gif").read_bytes() == content[:13] + comment + content[13:]


def test_a_damaged_record_inside_is_told_from_a_comment_of_someone_else(tmp_path: Path):
    class Notes:
        def __init__(self, comment: str) -> None:
            self.comment = comment

        def sidecar(self, file: Path) -> str:
            return "{}"

    for name, comment in (("own.mp4", f'{{"format": "{FORMAT}"}}'), ("other.mp4", "my holidays")):
        with VideoWriter(tmp_path / name, 10, notes=Notes(comment)) as writer:
            writer.write(FRAMES[0])
        (tmp_path / f"{name}.json").unlink()
    assert read_record(tmp_path / "other.mp4") is None
    with pytest.raises(ProvenanceError, match=r"own\.mp4: the record has no"):
        read_record(tmp_path / "own.mp4")


def test_fingerprints_are_those_of_sha256sum(tmp_path: Path):
    for name, content in (
        ("b.safetensors", b"2"),
        ("a/c.safetensors", b"1"),
        ("a/d.json", b"3"),
        ("a b.safetensors", b"4"),
    ):
        file = tmp_path / "model" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    assert fingerprint(tmp_path / "model" / "b.safetensors") == hashlib.sha256(b"2").hexdigest()
    told = "find -L . -type f -name '*.safetensors' -printf '%P\\0' | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum"
    expected = run(["sh", "-c", told], cwd=tmp_path / "model", capture_output=True, text=True, check=True).stdout
    assert fingerprint(tmp_path / "model", "*.safetensors") == expected.split()[0]
    with pytest.raises(MediaError, match="cannot be read"):
        fingerprint(tmp_path / "none")
