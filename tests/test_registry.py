"""Hooks, catalogues, discovery, and what happens to plugins that are broken."""

import inspect
import sys
import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest

from anifacediff import hookimpl, registry
from anifacediff.errors import AmbiguousComponentError, PluginError, UnknownComponentError
from anifacediff.registry import KINDS, Catalogue, HookSpecs, PluginSource, PluginStatus, Registry, installed_plugins


def plugin(**hooks: Callable[..., object]) -> ModuleType:
    """A plugin module that implements hooks, given by their names without the prefix."""
    module = ModuleType("a_plugin")
    for kind, hook in hooks.items():
        setattr(module, f"anifacediff_{kind}", hookimpl(hook))
    return module


def same(component: object) -> object:
    return component


def offering(**components: object) -> ModuleType:
    """A plugin module with morphable models whose loaders return the given objects."""
    return plugin(morphable_models=lambda: {name: partial(same, component) for name, component in components.items()})


def source(name: str, module: object, distribution: str = "some-heads", version: str = "1.2") -> PluginSource:
    return PluginSource(name, distribution, version, lambda: module)


def registry_of(*sources: PluginSource) -> Registry:
    return Registry(lambda: sources)


class Head:
    pass


class OtherHead:
    pass


def raising(error: BaseException) -> Callable[[], object]:
    def load() -> object:
        raise error

    return load


# ---------------------------------------------------------------- looking things up


def test_a_name_is_looked_up_bare_and_qualified():
    models = registry_of(source("heads", offering(long=Head)), source("others", offering(short=OtherHead)))
    catalogue = models.morphable_models
    assert catalogue["long"] is catalogue["heads/long"] is Head
    assert catalogue["short"] is OtherHead
    assert list(catalogue) == ["long", "short"]
    assert len(catalogue) == 2
    assert "long" in catalogue
    assert "heads/long" in catalogue
    assert repr(catalogue) == "<morphable_models: long, short>"


def test_an_absent_name_behaves_as_in_any_mapping():
    catalogue = registry_of(source("heads", offering(long=Head))).morphable_models
    assert "other" not in catalogue
    assert catalogue.get("other") is None
    with pytest.raises(KeyError):
        catalogue["other"]
    assert repr(registry_of().trackers) == "<trackers: none>"


def test_an_ambiguous_name_names_its_candidates():
    catalogue = registry_of(
        source("heads", offering(long=Head)), source("others", offering(long=OtherHead))
    ).morphable_models
    with pytest.raises(AmbiguousComponentError, match="'long'; ask for one of 'heads/long', 'others/long'"):
        catalogue["long"]
    assert "long" not in catalogue
    assert list(catalogue) == ["heads/long", "others/long"]
    assert catalogue["others/long"] is OtherHead


def test_an_unknown_name_lists_close_names_first_and_plugins_that_failed():
    heads = source("heads", offering(alpha=Head, flames=Head, flame=Head))
    broken = PluginSource("broken", "broken-heads", "3", raising(ImportError("no module named flame_core")))
    with pytest.raises(UnknownComponentError) as caught:
        registry_of(heads, broken).morphable_models["flame2"]
    assert str(caught.value) == (
        "morphable models: nothing is called 'flame2'. Available: 'flame', 'flames', 'alpha'. "
        "Plugins that were not loaded: 'broken': ImportError: no module named flame_core."
    )
    with pytest.raises(UnknownComponentError, match=r"offers any\. A plugin that is not installed may offer it\.$"):
        registry_of(heads).trackers["flame"]


def test_nothing_is_imported_before_it_is_looked_up():
    loaded: list[str] = []

    def load() -> type[Head]:
        loaded.append("long")
        return Head

    catalogue = registry_of(source("heads", plugin(morphable_models=lambda: {"long": load}))).morphable_models
    assert "long" in catalogue
    assert list(catalogue) == ["long"]
    assert loaded == []
    assert catalogue["long"] is Head
    assert loaded == ["long"]


def test_a_loader_that_fails_is_named_with_its_plugin_distribution_and_cause():
    cause = ImportError("libhead.so not found")
    failing = plugin(rasterizers=lambda: {"fast": raising(cause), "slow": lambda: Head})
    rasterizers = registry_of(source("heads", failing)).rasterizers
    with pytest.raises(PluginError) as caught:
        rasterizers["fast"]
    assert caught.value.__cause__ is cause
    for part in ("registry.rasterizers", "'heads/fast'", "some-heads 1.2", "ImportError: libhead.so not found"):
        assert part in str(caught.value)
    assert rasterizers["slow"] is Head


def test_a_loader_that_returns_no_factory_is_refused():
    with pytest.raises(PluginError, match=r"'heads/long'.* returned 3, but must return a class or a function"):
        registry_of(source("heads", offering(long=3))).morphable_models["long"]


# ---------------------------------------------------------------- broken plugins


def misspelt() -> ModuleType:
    return plugin(morphable_modles=lambda: {"long": lambda: Head}, trackers=lambda: {"found": lambda: Head})


def with_argument() -> ModuleType:
    def hook(config: object) -> Mapping[str, object]:
        return {}

    return plugin(morphable_models=hook)


BROKEN: dict[str, tuple[PluginSource, str]] = {
    "import": (
        PluginSource("bad", "d", "1", raising(ImportError("no torch_scatter"))),
        "ImportError: no torch_scatter",
    ),
    "exit": (PluginSource("bad", "d", "1", raising(SystemExit(2))), "SystemExit: 2"),
    "no hook": (source("bad", ModuleType("empty")), "implements no hook"),
    "misspelt hook": (source("bad", misspelt()), "anifacediff_morphable_modles"),
    "hook with an argument": (source("bad", with_argument()), "config"),
    "hook that raises": (source("bad", plugin(trackers=raising(ValueError("no camera")))), "ValueError: no camera"),
    "no mapping": (source("bad", plugin(trackers=lambda: ["dlib"])), "must return a mapping .* returned \\['dlib'\\]"),
    "name with a slash": (
        source("bad", plugin(trackers=lambda: {"a/b": lambda: Head})),
        "without a slash, found 'a/b'",
    ),
    "name that is no string": (source("bad", plugin(trackers=lambda: {3: lambda: Head})), "without a slash, found 3"),
    "empty name": (source("bad", plugin(trackers=lambda: {"": lambda: Head})), "without a slash, found ''"),
    "loader that cannot be called": (
        source("bad", plugin(trackers=lambda: {"fine": lambda: Head, "dlib": "dlib:Tracker"})),
        "loader of 'dlib' must be callable, found 'dlib:Tracker'",
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_plugin_changes_nothing_but_the_listing(fault: str):
    broken, reason = BROKEN[fault]
    good = (source("early", offering(long=Head)), source("later", offering(short=Head)))
    with_it, without_it = registry_of(good[0], broken, good[1]), registry_of(*good)
    for kind in KINDS:
        assert list(getattr(with_it, kind)) == list(getattr(without_it, kind))
    assert with_it.morphable_models["short"] is Head
    early, listed, later = with_it.plugins()
    assert (early, later) == without_it.plugins()
    assert listed.plugin == "bad"
    assert listed.status == "failed"
    assert listed.components == ()
    with pytest.raises(UnknownComponentError, match=f"'bad': .*{reason}"):
        with_it.morphable_models["absent"]


def test_a_second_plugin_of_the_same_name_is_rejected_with_the_reason():
    plugins = registry_of(
        source("heads", offering(long=Head), "a-heads", "1"), source("heads", offering(short=OtherHead), "b-heads", "2")
    )
    assert list(plugins.morphable_models) == ["long"]
    assert [(status.distribution, status.status) for status in plugins.plugins()] == [
        ("a-heads", "ok"),
        ("b-heads", "rejected"),
    ]
    assert plugins.plugins()[1].reason == "the name is taken by distribution a-heads 1; uninstall one of the two"


def test_the_listing_says_what_each_plugin_offers():
    module = plugin(morphable_models=lambda: {"long": lambda: Head}, trackers=lambda: {"eye": lambda: Head})
    assert registry_of(source("heads", module)).plugins() == (
        PluginStatus("heads", "some-heads", "1.2", "ok", "", (("morphable_models", "long"), ("trackers", "eye"))),
    )


# ---------------------------------------------------------------- discovery


def install(site: Path, distribution: str, entry_points: Mapping[str, str]) -> None:
    """What pip leaves of a distribution that has entry points only."""
    info = site / f"{distribution.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    lines = [f"{name} = {value}" for name, value in entry_points.items()]
    (info / "entry_points.txt").write_text("\n".join(["[anifacediff]", *lines]))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed distributions; of what is installed beside it only our own components are kept."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("ANIFACEDIFF_PLUGINS", raising=False)
    (tmp_path / "registry_test_plugin.py").write_text(
        "from anifacediff import hookimpl\n\n@hookimpl\ndef anifacediff_trackers():\n    return {'eye': lambda: dict}\n"
    )
    monkeypatch.delitem(sys.modules, "registry_test_plugin", raising=False)
    install(tmp_path, "b-eyes", {"eyes": "registry_test_plugin", "ants": "registry_test_plugin"})
    install(tmp_path, "a-eyes", {"eyes": "registry_test_plugin", "gone": "module_that_is_not_there"})
    return tmp_path


def statuses(plugins: Registry) -> list[tuple[str, str, str]]:
    names = {"anifacediff", "b-eyes", "a-eyes"}
    return [(each.plugin, each.distribution, each.status) for each in plugins.plugins() if each.distribution in names]


@pytest.mark.usefixtures("site")
def test_installed_plugins_are_found_in_a_fixed_order_after_ours():
    assert statuses(Registry(installed_plugins)) == [
        ("anifacediff", "anifacediff", "ok"),
        ("ants", "b-eyes", "ok"),
        ("eyes", "a-eyes", "ok"),
        ("eyes", "b-eyes", "rejected"),
        ("gone", "a-eyes", "failed"),
    ]
    assert Registry(installed_plugins).trackers["ants/eye"] is dict


@pytest.mark.usefixtures("site")
@pytest.mark.parametrize(
    ("value", "loaded"), [("", set[str]()), ("ants", {"ants"}), (" eyes , ants", {"ants", "eyes"})]
)
def test_the_environment_restricts_which_plugins_are_loaded(
    value: str, loaded: set[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ANIFACEDIFF_PLUGINS", value)
    plugins = Registry(installed_plugins).plugins()
    assert {status.plugin for status in plugins if status.status == "ok"} == {"anifacediff", *loaded}
    assert all("ANIFACEDIFF_PLUGINS" in status.reason for status in plugins if status.plugin == "gone")
    assert ("registry_test_plugin" in sys.modules) == bool(loaded)


def test_plugins_are_loaded_once_whatever_the_threads():
    calls: list[int] = []
    barrier = threading.Barrier(8)

    def sources() -> list[PluginSource]:
        calls.append(1)
        threading.Event().wait(0.05)
        return [source("heads", offering(long=Head))]

    plugins = Registry(sources)
    found: list[list[str]] = []

    def look() -> None:
        barrier.wait()
        found.append(list(plugins.morphable_models))

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == [1]
    assert found == [["long"]] * 8


def test_a_plugin_that_reads_the_registry_while_it_is_imported_fails_alone():
    def curious() -> object:
        return plugins.morphable_models["long"]

    plugins = registry_of(source("heads", offering(long=Head)), PluginSource("curious", "d", "1", curious))
    assert plugins.morphable_models["long"] is Head
    assert "read while plugins are being loaded" in plugins.plugins()[1].reason


# ---------------------------------------------------------------- the hooks, and our own components


def test_every_hook_has_a_catalogue_and_a_docstring_of_one_line():
    catalogues = {name for name, value in vars(registry).items() if isinstance(value, Catalogue)}
    assert set(KINDS) == catalogues
    assert all(getattr(registry, kind).kind == kind for kind in KINDS)
    for kind in KINDS:
        docstring = inspect.getdoc(getattr(HookSpecs, f"anifacediff_{kind}"))
        assert docstring
        assert "\n" not in docstring


OURS = {
    "morphable_models": {"parametric", "expressive"},
    "trackers": {"drawn"},
    "rasterizers": {"span"},
    "control_renderers": {"facial_alignment"},
    "attention_adapters": {"expression"},
    "identity_encoders": set[str](),
    "reference_nets": {"reference_net"},
    "temporal_modules": {"animatediff"},
    "assemblies": {"anifacediff", "animate_anyone", "magicportrait", "mimaface"},
    "assets": set[str](),
    "detectors": set[str](),
    "marks": {"spread"},
    "metrics": {"psnr", "ssim", "temporal_error", "lpips", "fid", "fvd", "csim", "apd", "aed"},
}


def test_our_components_come_through_the_hooks():
    assert set(OURS) == set(KINDS)
    ours = registry.plugins()[0]
    assert ours.status == "ok"
    assert set(ours.components) == {(kind, name) for kind, names in OURS.items() for name in names}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in OURS.items() for name in sorted(names)])
def test_our_components_can_be_loaded(kind: str, name: str):
    component = getattr(registry, kind)[f"anifacediff/{name}"]
    assert inspect.isclass(component)
    assert component.__module__.startswith("anifacediff.")
