import json
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

import anifacediff
from anifacediff import hookimpl
from anifacediff.assemblies.published import systems
from anifacediff.assets.contracts import Asset, AssetFile, Converted, Licence
from anifacediff.cli import app
from anifacediff.cli.report import BAD_COMPONENT, BAD_OUTPUT
from anifacediff.errors import InputError
from anifacediff.registry import PluginSource, Registry

cli_assets = import_module("anifacediff.cli.assets")  # the package's attribute of that name is the command

HEADS = Asset(
    "heads-2020",
    "the face model [heads]",
    "https://heads.example",
    Licence("Heads licence", "no", "https://heads.example/licence"),
    (AssetFile("model.pkl"),),
    lambda paths: Converted({"v": np.arange(3.0)}, {"bytes": paths[0].stat().st_size}),
)
TASK = Asset("task", "a tracker", "https://task.example", Licence("MIT", "yes", "https://mit"), (AssetFile("*.task"),))


def _broken() -> Asset:
    raise ZeroDivisionError("no [bold]reason")


def _unimportable() -> Callable[[], Asset]:
    raise ImportError("no module named heads")


def _hostile_name() -> Asset:
    return Asset("../up", "", "", TASK.licence, ())


OFFERED: dict[str, Callable[[], Callable[[], object]]] = {
    "heads-2020": lambda: lambda: HEADS,
    "task": lambda: lambda: TASK,
    "broken": lambda: _broken,
    "strange": lambda: lambda: 3,
    "up": lambda: _hostile_name,
    "unimportable": _unimportable,
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of all assets; the registry holds those above only."""
    plugin = SimpleNamespace(anifacediff_assets=hookimpl(lambda: OFFERED, specname="anifacediff_assets"))
    monkeypatch.setattr(
        anifacediff, "registry", Registry(lambda: [PluginSource("heads", "heads", "1", lambda: plugin)])
    )
    monkeypatch.setenv("ANIFACEDIFF_ASSETS", str(tmp_path / "assets"))
    return tmp_path / "assets"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "model.pkl").write_bytes(b"weights")
    return tmp_path / "model.pkl"


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["assets", *map(str, arguments)])
    return result.exit_code, " ".join(result.stdout.split()), " ".join(result.stderr.split())


@pytest.mark.parametrize("arguments", [(), ("list",)])
def test_all_are_listed_with_what_is_wrong_with_broken_ones(arguments: tuple[str, ...], folder: Path):
    code, text, told = run(*arguments)
    assert code == 0, told
    assert "heads-2020 not in place: the face model [heads] files model.pkl from https://heads.example" in text
    assert "licence Heads licence, https://heads.example/licence; commercial use: no" in text
    assert str(folder / "heads-2020") in text
    assert "broken broken: broken: its plugin cannot describe it (ZeroDivisionError: no [bold]reason)" in text
    assert "strange broken: strange: its plugin must describe it by an Asset" in text
    assert "unimportable broken" in text
    assert "up broken: an asset cannot be called" in text


def test_programs_get_json(model: Path, folder: Path):
    assert run("convert", "heads-2020", model)[0] == 0
    code, text, _ = run("list", "--json")
    found = {entry["name"]: entry for entry in json.loads(text)}
    assert (code, set(found)) == (0, set(OFFERED))
    assert found["heads-2020"] == {
        "name": "heads-2020",
        "purpose": "the face model [heads]",
        "in_place": True,
        "folder": str(folder / "heads-2020"),
        "source": "https://heads.example",
        "licence": {"name": "Heads licence", "commercial": "no", "url": "https://heads.example/licence"},
        "files": [{"name": "model.pkl", "sha256": None, "most_bytes": 2**30}],
    }
    assert not found["task"]["in_place"]
    assert "ZeroDivisionError" in found["broken"]["error"]


def test_converting_checking_and_damage(model: Path, folder: Path):
    code, _, told = run("convert", "heads-2020", model)
    assert code == 0
    assert f"Wrote {folder / 'heads-2020'}. Licence: Heads licence" in told
    assert "commercial use: no" in told
    assert "heads-2020 in place" in run("list")[1]
    code, text, _ = run("check")
    assert (code, text) == (0, f"heads-2020 ok ({folder / 'heads-2020'})")

    (folder / "heads-2020" / "model.safetensors").write_bytes(b"damaged")
    code, text, told = run("check", "heads-2020")
    assert code == BAD_COMPONENT
    assert "heads-2020 broken:" in text
    assert "model.safetensors: has the sha256" in text
    assert "1 of 1 cannot be used: heads-2020." in told


def test_files_that_are_kept(tmp_path: Path, folder: Path):
    (tmp_path / "a.task").write_bytes(b"networks")
    assert run("convert", "task", tmp_path)[0] == 0
    assert (folder / "task" / "a.task").read_bytes() == b"networks"
    assert run("check", "task")[0] == 0


def test_another_folder(model: Path, tmp_path: Path, folder: Path):
    assert run("convert", "heads-2020", model, "-o", tmp_path / "other")[0] == 0
    assert not folder.exists()
    assert "heads-2020 in place" in run("list", "-o", tmp_path / "other")[1]
    assert run("check", "heads-2020", "-o", tmp_path / "other")[0] == 0


def test_nothing_in_place():
    code, _, told = run("check")
    assert (code, "None is in place" in told) == (0, True)
    code, text, _ = run("check", "heads-2020")
    assert code == BAD_COMPONENT
    assert "Get model.pkl from https://heads.example" in text


@pytest.mark.parametrize(
    ("name", "says"),
    [("head", "nothing is called 'head'. Available: 'heads-2020'"), ("broken", "ZeroDivisionError"), ("up", "called")],
)
def test_names_that_cannot_be_converted(model: Path, folder: Path, name: str, says: str):
    code, _, told = run("convert", name, model)
    assert code == BAD_COMPONENT
    assert says in told
    assert not folder.exists()


def test_sources_that_cannot_be_converted(tmp_path: Path):
    code, _, told = run("convert", "heads-2020", tmp_path / "none.pkl")
    assert code == BAD_COMPONENT
    assert "none.pkl: cannot be read (No such file or directory)" in told
    (tmp_path / "file").write_text("")
    (tmp_path / "model.pkl").write_text("")
    code, _, told = run("convert", "heads-2020", tmp_path / "model.pkl", "-o", tmp_path / "file" / "assets")
    assert (code, "cannot be written" in told) == (BAD_OUTPUT, True)


def test_an_input_error_of_a_plugin_is_one(model: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(_: tuple[Path, ...]) -> Converted:
        raise InputError("a cyclic joint tree")

    odd = Asset("odd", "", "", TASK.licence, (AssetFile("*"),), refuse)
    monkeypatch.setitem(OFFERED, "odd", lambda: lambda: odd)
    code, _, told = run("convert", "odd", model)
    assert (code, "a cyclic joint tree" in told) == (3, True)


def test_a_published_system_is_converted_part_by_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def convert(files: dict[str, Path], folder: Path) -> dict[str, tuple[str, ...]]:
        (folder / "unet").mkdir(parents=True)
        return {"unet": ("attentions.0.weight",), "modulation": ()}

    monkeypatch.setitem(systems.SYSTEMS, "mimaface", replace(systems.SYSTEMS["mimaface"], convert=convert))
    (tmp_path / "mim.pth").touch()
    code, _, told = run("convert", "mimaface", tmp_path / "mim.pth", "-o", tmp_path / "out")
    assert code == 0, told
    assert f"mim: {tmp_path / 'mim.pth'}" in told
    assert "unet: 1 weights of the files are used nowhere, such as attentions.0.weight." in told
    assert f"Wrote modulation, unet into {tmp_path / 'out' / 'mimaface'}" in told


def test_every_published_system_is_known_by_name():
    assert set(cli_assets._SYSTEMS) == set(systems.SYSTEMS)
