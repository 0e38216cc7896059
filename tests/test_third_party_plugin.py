"""The example plugin, installed beside a broken one, offers an egg that FacialAlignment draws, and conforms."""

import json
import math
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

PYPROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "{distribution}"
version = "0.4"

[project.entry-points.anifacediff]
{plugin} = "{module}.plugin"

[tool.setuptools]
packages = ["{module}"]
"""

EGG = Path(__file__).parents[1] / "examples/anifacediff-egg"

BROKEN = "raise RuntimeError('this plugin was written for another version')\n"

SCRIPT = """
import json, sys

from anifacediff import registry

plugins = [[s.plugin, s.distribution, s.version, s.status, s.reason, s.components] for s in registry.plugins()]
light = "torch" not in sys.modules

import torch
from anifacediff.conditioning import FacialAlignment
from anifacediff.geometry import Box, FaceParameters, MorphableModel, WeakPerspective


def face(num_frames, width, expression):
    return FaceParameters(
        shape=torch.tensor([[width, 0.0, 0.0]]).expand(num_frames, 3),
        expression=torch.full((num_frames, 2), expression),
        pose=torch.zeros(num_frames, 1, 3),
        camera=WeakPerspective(torch.full((num_frames,), 250.0), torch.full((num_frames, 2), 32.0)),
        box=Box(torch.tensor([[10.0, 4.0, 54.0, 60.0]]).expand(num_frames, 4)),
        canvas=(64, 64),
    )


egg = registry.morphable_models["egg"]()
align = FacialAlignment(egg, image_size=64)
maps, still = (align(face(1, 1.0, 0.0), face(3, -1.0, expression)) for expression in (1.0, 0.0))
rows, columns = maps.mask[0].nonzero().float().mean(0).tolist()
print(json.dumps({
    "plugins": plugins,
    "light": light,
    "is_model": isinstance(egg, MorphableModel),
    "names": {kind: list(getattr(registry, kind)) for kind in ("morphable_models", "rasterizers", "assemblies")},
    "shape": list(maps.normal.shape),
    "area": maps.mask.sum((1, 2)).tolist(),
    "centre": [rows, columns],
    "moved": [float(part.abs().max()) for part in (maps.normal - still.normal)],
    "checksum": float(maps.normal.double().square().sum()),
}))
"""


def write_distribution(folder: Path, *, distribution: str, plugin: str, module: str, files: dict[str, str]) -> Path:
    package = folder / module
    package.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(
        PYPROJECT.format(distribution=distribution, plugin=plugin, module=module), encoding="utf-8"
    )
    for name, text in {"__init__.py": "", **files}.items():
        (package / name).write_text(text, encoding="utf-8")
    return folder


class Environment:
    """A clean virtual environment that sees what is installed here; made and filled without a network."""

    def __init__(self, folder: Path):
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
        paths = {"base": str(folder), "platbase": str(folder)}
        self._site = sysconfig.get_path("purelib", "venv", vars=paths)
        scripts = Path(sysconfig.get_path("scripts", "venv", vars=paths))
        self._python = scripts / Path(sys.executable).name
        here = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
        lines = [f"import site; site.addsitedir({path!r})" for path in here]
        Path(self._site, "running_environment.pth").write_text("\n".join(lines), encoding="utf-8")

    def install(self, distribution: Path) -> None:
        options = ["--isolated", "--disable-pip-version-check", "--quiet", "--no-index", "--no-deps"]
        target = ["--no-build-isolation", "--target", self._site, str(distribution)]
        subprocess.run([sys.executable, "-m", "pip", "install", *options, *target], check=True)

    def run(self, *arguments: str, folder: Path) -> str:
        variables = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "ANIFACEDIFF_PLUGINS")}
        command = [str(self._python), *arguments]
        done = subprocess.run(command, cwd=folder, env=variables, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def report(self, folder: Path) -> dict[str, Any]:
        return json.loads(self.run("-c", SCRIPT, folder=folder).splitlines()[-1])


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """With the egg installed from a copy, since building leaves files behind."""
    folder = tmp_path_factory.mktemp("egg")
    environment = Environment(folder / "environment")
    environment.install(shutil.copytree(EGG, folder / "egg", ignore=shutil.ignore_patterns("__pycache__", "build")))
    return environment


@pytest.fixture(scope="module")
def reports(environment: Environment, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], ...]:
    """What the script reports with the egg alone, and after the broken plugin has been installed beside it."""
    folder = tmp_path_factory.mktemp("broken")
    before = environment.report(folder)
    broken = write_distribution(
        folder / "broken",
        distribution="broken-heads",
        plugin="broken",
        module="broken_heads",
        files={"plugin.py": BROKEN},
    )
    environment.install(broken)
    return before, environment.report(folder)


def test_the_egg_conforms_by_its_own_tests(environment: Environment):
    said = environment.run("-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "addopts=", "tests", folder=EGG)
    assert "17 passed, 1 skipped" in said, said  # an egg has no landmarks


def test_the_egg_is_found_and_drawn(reports: tuple[dict[str, Any], ...]):
    report = reports[0]
    assert report["light"], "listing plugins must not load torch"
    assert report["is_model"]
    assert ["egg", "anifacediff-egg", "0.1.0", "ok", "", [["morphable_models", "egg"]]] in report["plugins"]
    assert {"egg", "parametric"} <= set(report["names"]["morphable_models"])

    assert report["shape"] == [3, 3, 64, 64]
    ellipse = math.pi * (0.08 * 1.1 * 250) * (0.11 * 250)  # pixels: the reference's width, though the driver is slim
    assert report["area"] == pytest.approx([ellipse] * 3, rel=0.02)
    assert report["centre"] == pytest.approx([32 - 0.5, 32 - 0.5], abs=0.25)
    assert min(report["moved"]) > 0.1, "the expression changes the picture"


def test_a_broken_plugin_beside_it_changes_nothing_but_the_listing(reports: tuple[dict[str, Any], ...]):
    before, after = reports
    reason = "RuntimeError: this plugin was written for another version"
    added = ["broken", "broken-heads", "0.4", "failed", reason, []]
    assert added in after["plugins"]
    after["plugins"].remove(added)
    assert after == before
