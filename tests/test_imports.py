"""What imports load, and the lazily exported names."""

import ast
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import anifacediff

ROOT = Path(anifacediff.__file__).parent
HEAVY = {"torch", "diffusers", "transformers", "numpy", "beartype", "jaxtyping"}
REPORT = """
import json, sys, time
start = time.process_time()
{statement}
print(json.dumps([time.process_time() - start, sorted(sys.modules)]))
"""


def run(statement: str) -> tuple[float, set[str]]:
    """Seconds of processor time that a statement takes in a fresh interpreter, and the heavy packages it loads."""
    script = REPORT.format(statement=statement)
    answer = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    seconds, modules = json.loads(answer.splitlines()[-1])
    return seconds, HEAVY & set(modules)


def test_the_measurement_sees_what_it_must():
    assert run("import numpy")[1] == {"numpy"}
    assert run("import time; spin = time.process_time()\nwhile time.process_time() < spin + 0.25: pass")[0] > 0.2


def test_importing_the_package_is_quick_and_loads_nothing_heavy():
    seconds, heavy = min(run("import anifacediff") for _ in range(3))
    assert heavy == set()
    assert seconds < 0.2


def test_listing_the_plugins_loads_no_framework(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ANIFACEDIFF_PLUGINS", "")
    _, heavy = run("import anifacediff; anifacediff.registry.plugins(); list(anifacediff.registry.assemblies)")
    assert heavy == {"beartype"}


def test_facial_alignment_loads_torch_alone():
    _, heavy = run("from anifacediff.conditioning import FacialAlignment")
    assert "torch" in heavy
    assert heavy.isdisjoint({"diffusers", "transformers"})


PACKAGES = sorted(path.parent.name for path in ROOT.glob("*/__init__.py") if "lazy_exports" in path.read_text())


def declared(package: str) -> dict[str, str]:
    """The public names that type checkers see, and the module that each is imported from."""
    tree = ast.parse((ROOT / package / "__init__.py").read_text())
    blocks = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    imports = [node for block in blocks for node in block.body if isinstance(node, ast.ImportFrom)]
    return {name.asname or name.name: node.module or "" for node in imports for name in node.names}


def test_every_package_exports_lazily():
    assert set(PACKAGES) >= {"assemblies", "backbone", "conditioning", "geometry", "media", "sampling", "tracking"}


@pytest.mark.parametrize("package", PACKAGES)
def test_type_checkers_and_the_interpreter_see_the_same_names(package: str):
    module = import_module(f"anifacediff.{package}")
    assert module.__all__ == sorted(declared(package))
    for name, home in declared(package).items():
        assert getattr(module, name) is getattr(import_module(home), name)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"module 'anifacediff.geometry' has no attribute 'Foo'"):
        _ = import_module("anifacediff.geometry").Foo


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_alone_loads_nothing_heavy(package: str):
    assert run(f"import anifacediff.{package}")[1] == set()
