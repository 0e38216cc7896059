"""``anifacediff ui``."""

import asyncio
import sys
from pathlib import Path
from urllib.request import urlopen

import gradio as gr
import pytest
from typer.testing import CliRunner

from anifacediff.assemblies import AniFaceDiffPipeline
from anifacediff.cli import app
from anifacediff.cli.report import BAD_COMPONENT, BAD_INPUT
from anifacediff.web.page import as_uploaded


def run(*options: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["ui", *map(str, options)])
    return result.exit_code, " ".join(result.stderr.split())


def test_the_page_is_there_until_it_is_interrupted_and_only_for_this_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    AniFaceDiffPipeline.untrained(image_size=64).save_pretrained(tmp_path / "mine")
    pages: list[str] = []

    def look() -> None:
        with urlopen(told()) as answer:
            pages.append(answer.read().decode())

    monkeypatch.setattr(sys.modules["anifacediff.cli.ui"], "_wait", look)
    notes: list[str] = []

    def told() -> str:
        return next(word for note in notes for word in note.split() if word.startswith("http://127.0.0.1:"))

    monkeypatch.setattr(sys.modules["anifacediff.cli.ui"], "note", notes.append)
    code, words = run("--model", tmp_path / "mine", "--device", "cpu")
    assert code == 0, words
    assert "anifacediff" in pages[0]
    assert "untrained" in pages[0]
    assert str(tmp_path) not in pages[0]
    with pytest.raises(OSError, match="refused"):
        urlopen(told())


def test_what_is_wrong_is_said_before_anybody_visits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert run("--model", tmp_path)[0] == BAD_COMPONENT
    code, words = run("--model", tmp_path / "a" / "same", "--model", tmp_path / "b" / "same")
    assert (code, "cannot be told apart" in words) == (BAD_INPUT, True)
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.delitem(sys.modules, "anifacediff.web.serve", raising=False)
    monkeypatch.delitem(sys.modules, "anifacediff.web.page", raising=False)
    code, words = run()
    assert (code, 'pip install "anifacediff[ui]"' in words) == (BAD_INPUT, True), words


def test_links_are_not_followed():
    component = as_uploaded(gr.Image(type="filepath"))
    with pytest.raises(gr.Error, match="Links are not followed"):
        asyncio.run(component.async_move_resource_to_block_cache("http://127.0.0.1:9/x.png"))
