"""How checks are run: alone, by pytest, with failures that are expected."""

from pathlib import Path
from typing import Any

import pytest

from anifacediff.errors import AniFaceDiffError, AssetError, ConformanceError, InputError
from anifacediff.geometry import SpanRasterizer
from anifacediff.testing import NotApplicable, RasterizerCase, checks_of, parametrize_with_checks
from anifacediff.testing.rasterizers import CHECKS

FILE = """
from anifacediff.errors import AssetError
from anifacediff.geometry import SpanRasterizer
from anifacediff.testing import RasterizerCase, parametrize_with_checks


class FarWins(SpanRasterizer):
    def __call__(self, screen, triangles, **options):
        turned = screen if options.get("perspective") else screen * screen.new_tensor([1, 1, -1])
        return super().__call__(turned, triangles, **options)


def missing():
    raise AssetError("the file is missing")


@parametrize_with_checks(
    RasterizerCase("near", SpanRasterizer), RasterizerCase("far", FarWins), expected_failures={expected!r}
)
def test_conforms(check):
    check()


@parametrize_with_checks(RasterizerCase("absent", missing))
def test_absent(check):
    check()
"""
REASON = "depth is turned around in this renderer"


def run(folder: Path, expected: dict[str, str]) -> dict[str, str]:
    """The outcome of each test of the file above: passed, failed, skipped, xfailed."""
    path = folder / f"test_of_{folder.name}.py"  # a name of its own: modules stay loaded
    path.write_text(FILE.replace("{expected!r}", repr(expected)))
    outcomes = Outcomes()
    pytest.main([str(path), "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), "-c", "/dev/null"], [outcomes])
    return outcomes.found


class Outcomes:
    def __init__(self):
        self.found: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when == "call" or report.skipped:
            name = report.nodeid.split("[")[1].removesuffix("]")
            self.found[name] = "xfailed" if hasattr(report, "wasxfail") else report.outcome


def test_pytest_runs_every_check_of_every_case(tmp_path: Path):
    found = run(tmp_path, {"far-nearer_triangle_wins": REASON})
    names = [check.__name__ for check in CHECKS]
    assert set(found) == {f"{case}-{name}" for case in ("near", "far", "absent") for name in names}
    assert found.pop("far-nearer_triangle_wins") == "xfailed"
    assert {outcome for name, outcome in found.items() if name.startswith("absent")} == {"skipped"}
    assert {outcome for name, outcome in found.items() if not name.startswith("absent")} == {"passed"}


def test_a_failure_that_is_expected_and_does_not_come_fails(tmp_path: Path):
    found = run(tmp_path, {"nearer_triangle_wins": REASON})
    assert found["far-nearer_triangle_wins"] == "xfailed"
    assert found["near-nearer_triangle_wins"] == "failed"


def test_an_expected_failure_of_no_check_is_refused():
    with pytest.raises(InputError, match=r"no check 'nearest_wins'; there are centre_of_the_first_pixel"):
        parametrize_with_checks(RasterizerCase("span", SpanRasterizer), expected_failures={"nearest_wins": REASON})


def test_two_cases_of_one_name_are_refused():
    with pytest.raises(InputError, match="names that differ"):
        parametrize_with_checks(RasterizerCase("span", SpanRasterizer), RasterizerCase("span", SpanRasterizer))


def test_checks_run_without_pytest():
    for check in checks_of(RasterizerCase("span", SpanRasterizer)):
        check()


def test_whatever_a_component_raises_names_the_check_and_the_component():
    def build() -> SpanRasterizer:
        raise KeyError("vertices")

    check = next(checks_of(RasterizerCase("mine", build)))
    with pytest.raises(ConformanceError, match="mine-covers_the_known_pixels: a KeyError was raised") as caught:
        check()
    assert isinstance(caught.value, AssertionError | AniFaceDiffError)


def test_missing_files_are_no_failure():
    def build() -> SpanRasterizer:
        raise AssetError("flame.pkl is not in place; get it from ...")

    check = next(checks_of(RasterizerCase("mine", build)))
    with pytest.raises(NotApplicable, match=r"mine cannot be built here: flame\.pkl is not in place"):
        check()
