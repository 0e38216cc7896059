"""Checks of a plugin as a whole, and the cases of everything that it registers."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module, metadata
from types import MappingProxyType
from typing import Any

from anifacediff.errors import AniFaceDiffError, PluginError
from anifacediff.registry import PROJECT, Catalogue, PluginStatus, registry
from anifacediff.testing.checks import Case, CheckFunction, NotApplicable, require

HEAVY = ("torch", "diffusers", "transformers")
IMPORT = "import sys, {module}; print(*sorted(set({heavy}) & set(sys.modules)))"


@dataclass(frozen=True)
class PluginCase(Case[PluginStatus]):
    """An installed plugin to check.

    Attributes:
        name: of its entry point.
        build: finds what became of it; leave it as it is made by :meth:`named`.
    """

    @classmethod
    def named(cls, name: str) -> "PluginCase":
        """The plugin with the entry point of a name."""
        return cls(name, partial(_status, name))

    @property
    def checks(self) -> tuple[CheckFunction, ...]:
        return CHECKS


def is_loaded(case: PluginCase) -> None:
    """The registry finds the plugin, and could load it."""
    status = case.made()
    require(status.status == "ok", f"the plugin was not loaded ({status.status}): {status.reason}.")
    require(status.components, "the plugin offers nothing; its hooks return empty mappings.")


def importing_it_is_light(case: PluginCase) -> None:
    """Importing the module of the entry point loads no torch, diffusers or transformers."""
    script = IMPORT.format(module=_module(case.name), heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    require(done.returncode == 0, f"importing it alone fails: {done.stderr.strip().splitlines()[-1:]}.")
    loaded = done.stdout.split()
    require(
        not loaded,
        f"importing {_module(case.name)} loads {', '.join(loaded)}; import inside the loaders, and for annotations "
        "under typing.TYPE_CHECKING.",
    )


def loaders_work_or_say_why(case: PluginCase) -> None:
    """Every component can be loaded, or its loader raises an error of the library: what is missing, and from where."""
    missing: list[str] = []
    for kind, name in case.made().components:
        try:
            _catalogue(kind)[f"{case.name}/{name}"]
        except PluginError as error:
            cause = error.__cause__ or error
            require(
                isinstance(cause, AniFaceDiffError),
                f"{kind}[{name!r}]: its loader raised {cause!r}; raise an error of anifacediff.errors that says what "
                "is missing and where it comes from.",
            )
            missing.append(f"{name}: {cause}")
    if missing:
        raise NotApplicable("; ".join(missing))


def components_say_what_they_do(case: PluginCase) -> None:
    """Classes and functions that build components have a docstring."""
    silent: list[str] = []
    for kind, name in case.made().components:
        try:
            component = _catalogue(kind)[f"{case.name}/{name}"]
        except PluginError:
            continue
        if not (component.__doc__ or "").strip():
            silent.append(f"{kind}[{name!r}]")
    require(not silent, f"{', '.join(silent)} have no docstring: say what they do, shapes, units, and the source.")


CHECKS: tuple[CheckFunction, ...] = (
    is_loaded,
    importing_it_is_light,
    loaders_work_or_say_why,
    components_say_what_they_do,
)


def plugin_cases(plugin: str, *own: Case[Any]) -> tuple[Case[Any], ...]:
    """The cases of an installed plugin: itself, and all that it registers, found without importing it.

    Components are built without arguments: models, trackers, rasterisers, identity encoders, metrics, marks and
    detectors by a plain call, renderers from the built-in head with maps of 64 pixels, adapters by ``for_unet``,
    reference nets by ``from_unet``, assemblies by ``untrained``. Where that is not possible, give a case of the
    component's name and kind.

    The names of the cases are ``plugin/component``.

    Args:
        plugin: the name of its entry point.
        own: take the places of those that would be made; named as the components are.

    Raises:
        PluginError: if there is no such plugin.
    """
    given = {(type(case), case.name): case for case in own}
    cases: list[Case[Any]] = [PluginCase.named(plugin)]
    for kind, name in _status(plugin).components:
        case_name, build = KINDS[kind]
        case_class = getattr(import_module("anifacediff.testing"), case_name)  # imports what this kind needs
        qualified = f"{plugin}/{name}"
        made = case_class(qualified, partial(build, _catalogue(kind), qualified))
        mine = given.pop((case_class, name), None)
        cases.append(made if mine is None else replace(mine, name=qualified))
    if given:
        unknown = ", ".join(f"{kind.__name__}({name!r})" for kind, name in given)
        raise PluginError(f"{unknown}: plugin {plugin!r} registers nothing of that kind and name.")
    return tuple(cases)


def _status(plugin: str) -> PluginStatus:
    found = [status for status in registry.plugins() if status.plugin == plugin]
    if not found:
        names = ", ".join(status.plugin for status in registry.plugins())
        raise PluginError(f"there is no plugin {plugin!r} among {names}; install its distribution: pip install -e .")
    return found[0]


def _module(plugin: str) -> str:
    if plugin == PROJECT:
        return f"{PROJECT}.components"
    return next(point.module for point in metadata.entry_points(group=PROJECT) if point.name == plugin)


def _catalogue(kind: str) -> Catalogue[Callable[..., Any]]:
    return getattr(registry, kind)


def _component(catalogue: Catalogue[Callable[..., Any]], name: str) -> Any:
    try:
        return catalogue[name]
    except PluginError as error:
        if isinstance(error.__cause__, AniFaceDiffError):
            raise NotApplicable(str(error)) from error
        raise


def _called(catalogue: Catalogue[Callable[..., Any]], name: str) -> Any:
    return _component(catalogue, name)()


def _renderer(catalogue: Catalogue[Callable[..., Any]], name: str) -> Any:
    from anifacediff.geometry.head import ParametricHead  # not for plugins that offer no renderer

    return _component(catalogue, name)(ParametricHead(), image_size=64)


def _method(method: str, catalogue: Catalogue[Callable[..., Any]], name: str, *parts: Any, **options: Any) -> Any:
    return getattr(_component(catalogue, name), method)(*parts, **options)


KINDS: Mapping[str, tuple[str, Callable[..., Any]]] = MappingProxyType(
    {
        "morphable_models": ("ModelCase", _called),
        "trackers": ("TrackerCase", _called),
        "rasterizers": ("RasterizerCase", _called),
        "control_renderers": ("RendererCase", _renderer),
        "attention_adapters": ("AdapterCase", partial(_method, "for_unet")),
        "identity_encoders": ("IdentityEncoderCase", _called),
        "reference_nets": ("ReferenceCase", partial(_method, "from_unet")),
        "temporal_modules": ("TemporalCase", partial(_method, "for_unet")),
        "assemblies": ("AssemblyCase", partial(_method, "untrained")),
        "metrics": ("MetricCase", _called),
        "marks": ("MarkCase", _called),
        "detectors": ("DetectorCase", _called),
        "assets": ("AssetCase", _called),
    }
)
