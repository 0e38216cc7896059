from pathlib import Path

import pytest

from anifacediff.errors import MediaError
from anifacediff.writing import appearing


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path):
    target = tmp_path / "report.json"

    def break_off() -> None:
        with appearing(target) as partial:
            partial.write_text("half of it")
            raise MediaError("the video breaks off")

    with pytest.raises(MediaError):
        break_off()
    assert list(target.parent.iterdir()) == []
    with appearing(target) as partial:
        partial.write_text("whole")
        assert not target.exists()
    assert target.read_text() == "whole"
