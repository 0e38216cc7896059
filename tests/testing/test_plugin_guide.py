"""What docs/plugins.md shows is run as it stands there, and conforms."""

import ast
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from broken import conforms

from anifacediff import testing
from anifacediff.media import read_image
from anifacediff.registry import PluginSource, Registry
from anifacediff.testing import AdapterCase, AssetCase, Case, MetricCase, ModelCase, RasterizerCase, TrackerCase

ROOT = Path(__file__).parents[2]
EGG = ROOT / "examples/anifacediff-egg"
GUIDE = (ROOT / "docs/plugins.md").read_text()
BLOCKS = re.findall(r"```(?:python|toml)\n(.*?)```", GUIDE, re.DOTALL)
FILES = (
    "pyproject.toml",
    "src/anifacediff_egg/__init__.py",
    "src/anifacediff_egg/model.py",
    "tests/test_egg_conforms.py",
)
LONGEST = 60


def block(name: str) -> dict[str, Any]:
    """The names of the block that defines a class or function."""
    (source,) = (each for each in BLOCKS[len(FILES) :] if re.search(rf"^(?:class|def) {name}\b", each, re.MULTILINE))
    names: dict[str, Any] = {"__name__": "guide"}
    exec(source, names)
    return names


@pytest.mark.parametrize(("shown", "file"), list(zip(BLOCKS, FILES, strict=False)), ids=FILES)
def test_the_guide_shows_the_example_as_it_is(shown: str, file: str):
    assert shown == (EGG / file).read_text()


def test_the_face_model_takes_fewer_than_sixty_lines_of_its_author():
    written = sum(statements(EGG / file) for file in FILES[1:])
    assert written < LONGEST


def statements(path: Path) -> int:
    """Lines of code: neither empty, nor comments or docstrings."""
    source = path.read_text()
    documents = {
        line
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    lines = enumerate(source.splitlines(), start=1)
    return sum(1 for number, line in lines if line.strip() and number not in documents and line.strip()[0] != "#")


CASES: dict[str, Any] = {
    "NoddingEgg": ModelCase,
    "MiddleTracker": TrackerCase,
    "PlainRasterizer": RasterizerCase,
    "Brightness": MetricCase,
    "ShiftAdapter": AdapterCase,
    "egg_scan": AssetCase,
}


@pytest.mark.parametrize("name", CASES)
def test_every_component_of_the_guide_conforms(name: str):
    component = block(name)[name]
    case: Case[Any] = CASES[name](name, getattr(component, "for_unet", component))
    assert all(skipped.startswith(("landmarks", "estimate")) for skipped in conforms(case))


def test_the_egg_is_drawn_as_the_guide_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import anifacediff_egg

    found = Registry(lambda: [PluginSource("egg", "anifacediff-egg", "0.1.0", lambda: anifacediff_egg)])
    monkeypatch.setattr("anifacediff.registry", found)
    monkeypatch.chdir(tmp_path)
    (source,) = (each for each in BLOCKS if "write_image(" in each)
    exec(source, {})
    picture = read_image(tmp_path / "egg.png")
    assert picture.shape == (256, 256, 3)
    covered = (picture.max(2) > 0).mean()
    assert 0.25 < covered < 0.6
    assert np.abs(picture[:, :128].astype(float) - picture[:, 255:127:-1]).mean() > 5, "it is turned"


def test_the_tests_of_the_guide_are_collected_and_pass():
    names = block("test_conforms")
    checks = [parameter.values[0] for parameter in names["test_conforms"].pytestmark[0].args[1]]
    ran = 0
    for check in checks:
        try:
            names["test_conforms"](check)
            ran += 1
        except pytest.skip.Exception:
            continue
    assert ran == len(checks) - 1  # an egg has no landmarks


def test_the_guide_names_every_case():
    public: list[str] = vars(testing)["__all__"]
    cases = [name for name in public if name.endswith("Case") and name != "Case"]
    assert [name for name in cases if name not in GUIDE] == []
