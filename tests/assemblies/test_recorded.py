"""What the record of a pipeline says."""

from pathlib import Path

import pytest

from anifacediff.assemblies import AniFaceDiffPipeline, record_of
from anifacediff.errors import MediaError
from anifacediff.provenance import fingerprint


@pytest.fixture(scope="module")
def nano() -> AniFaceDiffPipeline:
    return AniFaceDiffPipeline.nano()


def test_weights_are_those_of_the_files_that_were_loaded(nano: AniFaceDiffPipeline, tmp_path: Path):
    (tmp_path / "a.png").write_bytes(b"1")
    record = record_of(nano, {"reference": tmp_path / "a.png"}, {"seed": 1, "preset": None}, mark=None)
    assert nano.folder is not None
    assert record.model.weights == fingerprint(nano.folder, "*.safetensors")
    assert record.inputs == {"reference": fingerprint(tmp_path / "a.png")}
    own = {"steps": nano.config["num_inference_steps"], "start": nano.config["start"], "dtype": "float32"}
    assert record.settings == {"seed": 1, **own}
    assert record.mark is None
    assert record_of(AniFaceDiffPipeline.untrained(image_size=32), {}, {}, mark=None).model.weights is None


def test_what_was_chosen_goes_before_what_suits(nano: AniFaceDiffPipeline):
    chosen = {"steps": 3, "start": "noise"}
    assert record_of(nano, {}, chosen, mark="m").settings == {**chosen, "dtype": "float32"}
    assert "steps" not in record_of(nano, {}, {"preset": "fast"}, mark="m").settings  # a preset has its own


def test_an_input_that_is_gone_is_told(nano: AniFaceDiffPipeline, tmp_path: Path):
    with pytest.raises(MediaError, match="cannot be read"):
        record_of(nano, {"driving": tmp_path / "gone.mp4"}, {}, mark=None)
