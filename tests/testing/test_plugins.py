"""Checks of whole plugins, and the cases that are made of what they register."""

import re
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from broken import complaint, conforms, names

from anifacediff.errors import PluginError
from anifacediff.registry import PluginSource, Registry
from anifacediff.testing import MetricCase, ModelCase, PluginCase, checks_of, plugin_cases, plugins
from anifacediff.testing.checks import NotApplicable
from anifacediff.testing.plugins import CHECKS

HEAD = """
from anifacediff import hookimpl
"""
HOOK = """

def load():
    {loader}


@hookimpl
def anifacediff_morphable_models():
    return {offered}
"""
LOADER = """from anifacediff.geometry import ParametricHead
    return ParametricHead"""
GOOD = HEAD + HOOK.format(loader=LOADER, offered='{"head": load}')
SOURCES = {
    "good": GOOD,
    "failing": "raise RuntimeError('written for another version')",
    "empty": HEAD + HOOK.format(loader="pass", offered="{}"),
    "heavy": "import torch\n" + GOOD,
    "untyped": HEAD + HOOK.format(loader="raise ModuleNotFoundError('no module dlib')", offered='{"head": load}'),
    "lacking": HEAD
    + "from anifacediff.errors import AssetError\n"
    + HOOK.format(loader="raise AssetError('head.pkl is not in place')", offered='{"head": load}'),
    "silent": HEAD + HOOK.format(loader="return type('Head', (), {})", offered='{"head": load}'),
}


def _listed(points: list[metadata.EntryPoint], *, group: str) -> list[metadata.EntryPoint]:
    return [point for point in points if point.group == group]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands for distributions of the sources above: modules can be imported, entry points are found."""
    for name, source in SOURCES.items():
        (tmp_path / f"kit_{name}.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    points = [metadata.EntryPoint(name, f"kit_{name}", "anifacediff") for name in SOURCES]
    found = Registry(lambda: [PluginSource(point.name, "kit", "1", point.load) for point in points])
    monkeypatch.setattr(plugins, "registry", found)
    monkeypatch.setattr(metadata, "entry_points", partial(_listed, points))


BROKEN = [
    ("is_loaded", "failing", r"the plugin was not loaded \(failed\): RuntimeError: written for another version"),
    ("is_loaded", "empty", "offers nothing"),
    ("importing_it_is_light", "heavy", "importing kit_heavy loads torch; import inside the loaders"),
    ("importing_it_is_light", "failing", "importing it alone fails: .*written for another version"),
    ("loaders_work_or_say_why", "untyped", r"raised ModuleNotFoundError\('no module dlib'\); raise an error of"),
    ("components_say_what_they_do", "silent", r"morphable_models\['head'\] have no docstring"),
]


def test_every_check_is_seen_to_fail():
    assert {name for name, _, _ in BROKEN} == names(CHECKS)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(("name", "plugin", "message"), BROKEN)
def test_a_broken_plugin_is_caught(name: str, plugin: str, message: str):
    found = complaint(PluginCase.named(plugin), name)
    assert re.search(message, found), found


@pytest.mark.usefixtures("installed")
def test_plugins_without_faults_conform():
    assert conforms(PluginCase.named("good")) == []
    assert conforms(PluginCase.named("lacking")) == ["loaders_work_or_say_why"]


@pytest.mark.usefixtures("installed")
def test_the_cases_of_a_plugin_are_itself_and_what_it_registers():
    plugin, head = plugin_cases("good")
    assert isinstance(plugin, PluginCase)
    assert isinstance(head, ModelCase)
    assert head.name == "good/head"
    assert head.made().num_expression > 0


@pytest.mark.usefixtures("installed")
def test_what_is_missing_is_told_by_every_check_of_the_component():
    _, head = plugin_cases("lacking")
    for check in checks_of(head):
        with pytest.raises(NotApplicable, match=r"head\.pkl is not in place"):
            check()


@pytest.mark.usefixtures("installed")
def test_a_case_of_ones_own_takes_the_place_of_the_one_that_is_made():
    def build() -> Any:
        return "mine"

    _, head = plugin_cases("good", ModelCase("head", build))
    assert (head.name, head.build()) == ("good/head", "mine")
    with pytest.raises(PluginError, match=r"MetricCase\('head'\): plugin 'good' registers nothing of that kind"):
        plugin_cases("good", MetricCase("head", build))


def test_a_plugin_that_is_not_installed_is_an_error():
    with pytest.raises(PluginError, match=r"no plugin 'absent' among anifacediff.*pip install -e"):
        plugin_cases("absent")
