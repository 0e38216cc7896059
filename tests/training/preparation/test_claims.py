from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import pytest

from anifacediff.errors import ConfigurationError
from anifacediff.training.preparation.settings import Preparation

TOGETHER = 4
HOW = Preparation("drawn", "parametric", 64, 1.8)


def test_several_begin_one_folder_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """All find it empty before any of them writes."""
    barrier, rename = Barrier(TOGETHER), Path.replace

    def meet(source: Path, target: Path) -> Path:
        barrier.wait(10)
        return rename(source, target)

    monkeypatch.setattr(Path, "replace", meet)
    with ThreadPoolExecutor(TOGETHER) as pool:
        list(pool.map(HOW.claim, [tmp_path / "data"] * TOGETHER))
    assert Preparation.of(tmp_path / "data") == HOW
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["prepare.json"]


def test_who_is_overtaken_by_other_settings_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    rename = Path.replace

    def overtaken(source: Path, target: Path) -> Path:
        rename(source, target)
        monkeypatch.setattr(Path, "replace", rename)
        target.unlink()
        replace(HOW, margin=1.5).claim(tmp_path)
        return target

    monkeypatch.setattr(Path, "replace", overtaken)
    with pytest.raises(ConfigurationError, match="another folder"):
        HOW.claim(tmp_path)
