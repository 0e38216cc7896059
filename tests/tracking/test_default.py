"""Which tracker is used where none is named."""

from collections.abc import Mapping
from types import ModuleType

import pytest

from anifacediff import hookimpl
from anifacediff.errors import UnknownComponentError
from anifacediff.registry import ByNameOnly, Loader, PluginSource, Registry, installed_plugins, registry
from anifacediff.tracking import ManualTracker, default_tracker


def kept(tracker: ManualTracker) -> Loader[object]:
    """A loader of what builds this very tracker."""
    return lambda: lambda: tracker


def unusable() -> object:
    raise ImportError("it was loaded, and is not wanted")


def offer(monkeypatch: pytest.MonkeyPatch, **plugins: Mapping[str, object]) -> Registry:
    """Let plugins by these names offer trackers, and no others."""
    sources: list[PluginSource] = []
    for name, trackers in plugins.items():
        module = ModuleType(name)
        module.anifacediff_trackers = hookimpl(lambda trackers=trackers: trackers)  # pyright: ignore[reportAttributeAccessIssue]
        sources.append(PluginSource(name, f"{name}-trackers", "1", lambda module=module: module))
    made = Registry(lambda: sources)
    monkeypatch.setattr(registry, "trackers", made.trackers)
    return made


def test_dlib_is_preferred_to_trackers_that_come_first(monkeypatch: pytest.MonkeyPatch):
    wanted = ManualTracker(())
    offer(monkeypatch, a={"a": unusable}, z={"dlib": kept(wanted)})
    assert default_tracker() is wanted


def test_what_is_marked_is_used_by_its_name_alone(monkeypatch: pytest.MonkeyPatch):
    needy, wanted = ManualTracker(()), ManualTracker(())
    made = offer(monkeypatch, some={"a": ByNameOnly(kept(needy)), "b": ByNameOnly(unusable), "c": kept(wanted)})
    assert default_tracker() is wanted
    assert made.trackers.defaults() == ("c",)
    assert sorted(made.trackers) == ["a", "b", "c"]
    assert made.trackers["a"]() is needy


def test_a_name_offered_twice_is_a_default_by_its_whole_name(monkeypatch: pytest.MonkeyPatch):
    needy, wanted = ManualTracker(()), ManualTracker(())
    made = offer(monkeypatch, one={"a": ByNameOnly(kept(needy))}, two={"a": kept(wanted)})
    assert made.trackers.defaults() == ("two/a",)
    assert default_tracker() is wanted


@pytest.mark.parametrize("trackers", [{}, {"deca": ByNameOnly(unusable)}])
def test_without_a_tracker_the_error_says_how_to_install_one(
    monkeypatch: pytest.MonkeyPatch, trackers: Mapping[str, object]
):
    offer(monkeypatch, some=trackers)
    with pytest.raises(UnknownComponentError, match=r'pip install "anifacediff\[dlib\]".*-e plugins/anifacediff-dlib'):
        default_tracker()


def test_our_trackers_that_need_another_say_so():
    names = {name.rpartition("/")[2] for name in registry.trackers.defaults()}
    assert not names & {"drawn", "deca", "d3dfr-deep3d", "d3dfr-mimaface"}


def test_the_package_alone_has_no_default(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ANIFACEDIFF_PLUGINS", "")
    assert Registry(installed_plugins).trackers.defaults() == ()
