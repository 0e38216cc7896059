"""A distribution of somebody else's, installed beside a broken one, offers a head that FacialAlignment draws."""

import json
import os
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

PLUGIN = """
from anifacediff import hookimpl


def _octahedron():
    from thirdparty_heads.octahedron import Octahedron

    return Octahedron


@hookimpl
def anifacediff_morphable_models():
    return {"octahedron": _octahedron}
"""

OCTAHEDRON = '''
import torch


class Octahedron:
    """A head with six vertices: the first shape coefficient makes it larger, the first expression moves it up."""

    num_shape = 2
    num_expression = 3
    joint_names = ("global",)
    triangles = torch.tensor(
        [[0, 2, 4], [2, 1, 4], [1, 3, 4], [3, 0, 4], [2, 0, 5], [1, 2, 5], [3, 1, 5], [0, 3, 5]]
    )

    def __call__(self, shape, expression, pose):
        axes = torch.eye(3)
        corners = torch.stack([axes, -axes], dim=1).flatten(0, 1)
        up = expression[:, :1, None] * axes[1]
        return corners * (1 + shape[:, :1, None]) + up
'''

BROKEN = "raise RuntimeError('this plugin was written for another version')\n"

SCRIPT = """
import json, sys

from anifacediff import registry

plugins = [[s.plugin, s.distribution, s.version, s.status, s.reason, s.components] for s in registry.plugins()]
light = "torch" not in sys.modules

import torch
from anifacediff.conditioning import FacialAlignment
from anifacediff.geometry import Box, FaceParameters, MorphableModel, WeakPerspective


def face(num_frames, size, expression):
    return FaceParameters(
        shape=torch.full((num_frames, 2), size),
        expression=torch.full((num_frames, 3), expression),
        pose=torch.zeros(num_frames, 1, 3),
        camera=WeakPerspective(torch.full((num_frames,), 8.25), torch.full((num_frames, 2), 32.0)),
        box=Box(torch.tensor([[20.0, 20.0, 44.0, 44.0]]).expand(num_frames, 4)),
        canvas=(64, 64),
    )


head = registry.morphable_models["octahedron"]()
maps = FacialAlignment(head, image_size=64)(face(1, 1.0, 0.0), face(3, 0.0, 0.5))
rows, columns = maps.mask[0].nonzero().float().mean(0).tolist()
print(json.dumps({
    "plugins": plugins,
    "light": light,
    "is_model": isinstance(head, MorphableModel),
    "names": {kind: list(getattr(registry, kind)) for kind in ("morphable_models", "rasterizers", "assemblies")},
    "shape": list(maps.normal.shape),
    "area": maps.mask.sum((1, 2)).tolist(),
    "centre": [rows, columns],
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

    def run(self, script: str, folder: Path) -> dict[str, Any]:
        variables = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "ANIFACEDIFF_PLUGINS")}
        command = [str(self._python), "-c", script]
        done = subprocess.run(command, cwd=folder, env=variables, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the script reports with the good plugin alone, and after the broken one has been installed beside it."""
    folder = tmp_path_factory.mktemp("third_party")
    good = write_distribution(
        folder / "good",
        distribution="thirdparty-heads",
        plugin="thirdparty",
        module="thirdparty_heads",
        files={"plugin.py": PLUGIN, "octahedron.py": OCTAHEDRON},
    )
    broken = write_distribution(
        folder / "broken",
        distribution="broken-heads",
        plugin="broken",
        module="broken_heads",
        files={"plugin.py": BROKEN},
    )
    environment = Environment(folder / "environment")
    environment.install(good)
    before = environment.run(SCRIPT, folder)
    environment.install(broken)
    return before, environment.run(SCRIPT, folder)


def test_a_third_party_head_is_found_and_drawn(reports: tuple[dict[str, Any], dict[str, Any]]):
    report = reports[0]
    assert report["light"], "listing plugins must not load torch"
    assert report["is_model"]
    listed = ["thirdparty", "thirdparty-heads", "0.4", "ok", "", [["morphable_models", "octahedron"]]]
    assert listed in report["plugins"]
    assert {"octahedron", "parametric"} <= set(report["names"]["morphable_models"])

    assert report["shape"] == [3, 3, 64, 64]
    radius = 8.25 * 2  # pixels: the camera's scale times the reference's size; the driver is half as large
    assert report["area"] == pytest.approx([2 * radius**2] * 3, abs=radius)  # a diamond
    assert report["centre"] == pytest.approx([32 - 8.25 * 0.5 - 0.5, 32 - 0.5], abs=0.25)  # the expression moved it up


def test_a_broken_plugin_beside_it_changes_nothing_but_the_listing(
    reports: tuple[dict[str, Any], dict[str, Any]],
):
    before, after = reports
    reason = "RuntimeError: this plugin was written for another version"
    added = ["broken", "broken-heads", "0.4", "failed", reason, []]
    assert added in after["plugins"]
    after["plugins"].remove(added)
    assert after == before
