"""AnimateAnyone's published window order; provenance stands in the data's ``peer`` field."""

import json
from pathlib import Path

import pytest

from anifacediff.sampling import closed_windows

TABLES: dict[str, list[list[int]]] = json.loads(
    (Path(__file__).parent / "data/animate_anyone/context_windows.json").read_text()
)["windows"]


@pytest.mark.parametrize("key", TABLES)
def test_closed_windows_are_the_published_ones(key: str):
    num_frames, size, overlap = map(int, key.split("_"))
    assert [list(window) for window in closed_windows(num_frames, size, overlap)] == TABLES[key]
