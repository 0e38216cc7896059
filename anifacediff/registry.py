"""Every kind of component that can be plugged in, and where to look one up.

A plugin is a module named by an entry point of the group ``anifacediff``. It implements any of the
hooks in :class:`HookSpecs`; each returns loaders by name, and a loader imports its component when
it is called::

    # pyproject.toml
    [project.entry-points.anifacediff]
    myheads = "myheads.plugin"

    # myheads/plugin.py
    from anifacediff import hookimpl

    def _long_head():
        from myheads.long import LongHead
        return LongHead

    @hookimpl
    def anifacediff_morphable_models():
        return {"long": _long_head}

``registry.morphable_models["long"]()`` then builds one. Where two plugins offer the same name, it
is looked up as ``"myheads/long"``. The environment variable ``ANIFACEDIFF_PLUGINS`` restricts which
plugins are loaded: names separated by commas, none if it is empty, all if it is not set.

``anifacediff.registry`` is the registry itself; import other names of this module with
``from anifacediff.registry import ...``.
"""

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module, metadata
from typing import TYPE_CHECKING, Generic, Literal, TypeAlias, TypeVar

from pluggy import HookimplMarker, HookspecMarker, PluginManager

from anifacediff.errors import AmbiguousComponentError, PluginError, UnknownComponentError

if TYPE_CHECKING:
    from diffusers.pipelines.pipeline_utils import DiffusionPipeline

    from anifacediff.assets.contracts import Asset
    from anifacediff.backbone.contracts import ReferenceNetwork, TemporalNetwork
    from anifacediff.conditioning.contracts import AttentionAdapter, ControlRenderer, IdentityEncoder
    from anifacediff.evaluation.contracts import ClipMetric, Detector, SetMetric
    from anifacediff.geometry.contracts import MorphableModel, Rasterizer
    from anifacediff.provenance.contracts import Mark
    from anifacediff.tracking import Tracker

T = TypeVar("T")
Loader: TypeAlias = Callable[[], T]

PROJECT = "anifacediff"
_MORE = "A plugin that is not installed may offer it."
PLUGINS_VARIABLE = "ANIFACEDIFF_PLUGINS"


@dataclass(frozen=True)
class ByNameOnly(Generic[T]):
    """Marks a component that is used where it is asked for by its name, and never chosen by default.

    A hook returns it in place of the loader, for instance of a tracker that needs another tracker to find the face::

        return {"deca": ByNameOnly(_deca_tracker)}

    Attributes:
        load: the loader.
    """

    load: Loader[T]

    def __call__(self) -> T:
        """Load the component."""
        return self.load()


hookspec = HookspecMarker(PROJECT)
hookimpl = HookimplMarker(PROJECT)


class HookSpecs:
    """The hooks; a loader returns the component's class, or where ``Callable`` stands a function that builds one."""

    @hookspec
    def anifacediff_morphable_models(self) -> Mapping[str, Loader[Callable[..., "MorphableModel"]]]:
        """Offer 3D face models: coefficients become vertices."""
        ...

    @hookspec
    def anifacediff_trackers(self) -> Mapping[str, Loader[Callable[..., "Tracker"]]]:
        """Offer face trackers: an image becomes boxes and landmarks."""
        ...

    @hookspec
    def anifacediff_rasterizers(self) -> Mapping[str, Loader[Callable[..., "Rasterizer"]]]:
        """Offer rasterisers: which triangle is seen at each pixel."""
        ...

    @hookspec
    def anifacediff_control_renderers(self) -> Mapping[str, Loader[Callable[..., "ControlRenderer"]]]:
        """Offer renderers of control maps from a reference face and a driving clip."""
        ...

    @hookspec
    def anifacediff_attention_adapters(self) -> Mapping[str, Loader[type["AttentionAdapter"]]]:
        """Offer adapters that add attention to a denoiser."""
        ...

    @hookspec
    def anifacediff_identity_encoders(self) -> Mapping[str, Loader[Callable[..., "IdentityEncoder"]]]:
        """Offer networks that say whose face a picture shows."""
        ...

    @hookspec
    def anifacediff_reference_nets(self) -> Mapping[str, Loader[type["ReferenceNetwork"]]]:
        """Offer networks whose features carry the reference's appearance."""
        ...

    @hookspec
    def anifacediff_temporal_modules(self) -> Mapping[str, Loader[type["TemporalNetwork"]]]:
        """Offer modules that let the frames of a window see each other."""
        ...

    @hookspec
    def anifacediff_assemblies(self) -> Mapping[str, Loader[type["DiffusionPipeline"]]]:
        """Offer whole pipelines."""
        ...

    @hookspec
    def anifacediff_metrics(self) -> Mapping[str, Loader[Callable[..., "ClipMetric | SetMetric"]]]:
        """Offer measures of how good animations are: of one clip, or of a set of clips."""
        ...

    @hookspec
    def anifacediff_marks(self) -> Mapping[str, Loader[Callable[..., "Mark"]]]:
        """Offer invisible marks: a clip gets one, and it is found again."""
        ...

    @hookspec
    def anifacediff_detectors(self) -> Mapping[str, Loader[Callable[..., "Detector"]]]:
        """Offer detectors of generated pictures: how sure each frame is held for one."""
        ...

    @hookspec
    def anifacediff_assets(self) -> Mapping[str, Loader[Callable[[], "Asset"]]]:
        """Offer descriptions of files that users obtain themselves, and how they are converted."""
        ...


KINDS = tuple(name.removeprefix(f"{PROJECT}_") for name in vars(HookSpecs) if name.startswith(PROJECT))


@dataclass(frozen=True)
class PluginSource:
    """A plugin that can be loaded.

    Attributes:
        plugin: its name, before the slash in ``plugin/component``.
        distribution: the installed distribution that brings it.
        version: of that distribution.
        load: imports the module or object that implements the hooks.
    """

    plugin: str
    distribution: str
    version: str
    load: Loader[object]


@dataclass(frozen=True)
class PluginStatus:
    """What became of a plugin.

    Attributes:
        plugin: its name.
        distribution: the installed distribution that brings it.
        version: of that distribution.
        status: ``ok``; ``failed``: it is broken; ``rejected``: it was not loaded.
        reason: why it is not ``ok``, else empty.
        components: kind and name of everything it offers.
    """

    plugin: str
    distribution: str
    version: str
    status: Literal["ok", "failed", "rejected"]
    reason: str = ""
    components: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class _Offer:
    """One component of one plugin."""

    source: PluginSource
    kind: str
    name: str
    load: Loader[Callable[..., object]]

    @property
    def qualified(self) -> str:
        return f"{self.source.plugin}/{self.name}"


@dataclass(frozen=True)
class _Discovery:
    """Everything found in one pass over the plugins."""

    offers: tuple[_Offer, ...]
    plugins: tuple[PluginStatus, ...]


class Catalogue(Mapping[str, T], Generic[T]):
    """The components of one kind by name: ``name`` where only one plugin offers it, ``plugin/name`` always.

    Looking a component up imports it; iterating and ``in`` do not. ``T`` is what a loader of the kind returns.

    Args:
        kind: as in the hook's name.
        discover: finds the components of all kinds, once.

    Raises:
        UnknownComponentError: on a lookup of a name that nothing has; also a ``KeyError``.
        AmbiguousComponentError: on a lookup of a bare name that several plugins have.
        PluginError: on a lookup of a component that cannot be imported.
    """

    def __init__(self, kind: str, discover: Callable[[], _Discovery]):
        self.kind = kind
        self._discover = discover

    def __getitem__(self, name: str) -> T:
        offer = self._find(name)
        try:
            component = offer.load()
        except Exception as error:
            raise PluginError(f"{self._describe(offer)} cannot be loaded: {_summary(error)}") from error
        if not callable(component):
            raise PluginError(
                f"{self._describe(offer)}: its loader returned {component!r}, but must return a class or a function "
                "that builds the component."
            )
        return component  # pyright: ignore[reportReturnType] -- the hook's annotation is a plugin's promise

    def __iter__(self) -> Iterator[str]:
        offers = self._offers()
        count = Counter(offer.name for offer in offers)
        return iter([offer.name if count[offer.name] == 1 else offer.qualified for offer in offers])

    def __len__(self) -> int:
        return len(self._offers())

    def __contains__(self, name: object) -> bool:
        return len(self._matching(name)) == 1

    def defaults(self) -> tuple[str, ...]:
        """The names of those that may be chosen by default, which are all but :class:`ByNameOnly`; imports none."""
        offers = zip(self, self._offers(), strict=True)
        return tuple(name for name, offer in offers if not isinstance(offer.load, ByNameOnly))

    def __repr__(self) -> str:
        return f"<{self.kind}: {', '.join(self) or 'none'}>"

    def _offers(self) -> tuple[_Offer, ...]:
        return tuple(offer for offer in self._discover().offers if offer.kind == self.kind)

    def _matching(self, name: object) -> tuple[_Offer, ...]:
        return tuple(offer for offer in self._offers() if name in (offer.name, offer.qualified))

    def _find(self, name: str) -> _Offer:
        matching = self._matching(name)
        if len(matching) > 1:
            choices = ", ".join(repr(offer.qualified) for offer in matching)
            raise AmbiguousComponentError(
                f"registry.{self.kind}: several plugins offer {name!r}; ask for one of {choices}."
            )
        if not matching:
            raise UnknownComponentError(
                f"{self.kind.replace('_', ' ')}: nothing is called {name!r}. {self._candidates(name)}"
            )
        return matching[0]

    def _candidates(self, name: str) -> str:
        known = list(self)
        close = get_close_matches(name, known, n=len(known) or 1)
        ordered = close + [other for other in known if other not in close]
        available = f"Available: {', '.join(map(repr, ordered))}." if known else "No installed plugin offers any."
        absent = [f"{status.plugin!r}: {status.reason}" for status in self._discover().plugins if status.status != "ok"]
        return f"{available} Plugins that were not loaded: {'; '.join(absent)}." if absent else f"{available} {_MORE}"

    def _describe(self, offer: _Offer) -> str:
        source = offer.source
        return (
            f"registry.{self.kind}[{offer.qualified!r}], of plugin {source.plugin!r} "
            f"in distribution {source.distribution} {source.version},"
        )


class Registry:
    """The catalogues of all kinds, filled on first use.

    Args:
        sources: the plugins, in the order in which a name is given away; called once, on first use.
    """

    def __init__(self, sources: Callable[[], Iterable[PluginSource]]):
        self._sources = sources
        self._lock = threading.RLock()
        self._discovery: _Discovery | None = None
        self._discovering = False
        self.morphable_models = Catalogue[Callable[..., "MorphableModel"]]("morphable_models", self._discover)
        self.trackers = Catalogue[Callable[..., "Tracker"]]("trackers", self._discover)
        self.rasterizers = Catalogue[Callable[..., "Rasterizer"]]("rasterizers", self._discover)
        self.control_renderers = Catalogue[Callable[..., "ControlRenderer"]]("control_renderers", self._discover)
        self.attention_adapters = Catalogue[type["AttentionAdapter"]]("attention_adapters", self._discover)
        self.identity_encoders = Catalogue[Callable[..., "IdentityEncoder"]]("identity_encoders", self._discover)
        self.reference_nets = Catalogue[type["ReferenceNetwork"]]("reference_nets", self._discover)
        self.temporal_modules = Catalogue[type["TemporalNetwork"]]("temporal_modules", self._discover)
        self.assemblies = Catalogue[type["DiffusionPipeline"]]("assemblies", self._discover)
        self.metrics = Catalogue[Callable[..., "ClipMetric | SetMetric"]]("metrics", self._discover)
        self.marks = Catalogue[Callable[..., "Mark"]]("marks", self._discover)
        self.detectors = Catalogue[Callable[..., "Detector"]]("detectors", self._discover)
        self.assets = Catalogue[Callable[[], "Asset"]]("assets", self._discover)

    def plugins(self) -> tuple[PluginStatus, ...]:
        """List every plugin found, with what it offers or why it is not loaded."""
        return self._discover().plugins

    def _discover(self) -> _Discovery:
        with self._lock:
            if self._discovering:
                raise PluginError("the registry was read while plugins are being loaded; read it in a loader instead.")
            if self._discovery is None:
                self._discovering = True
                try:
                    self._discovery = _load_all(self._sources())
                finally:
                    self._discovering = False
            return self._discovery


def installed_plugins() -> Iterator[PluginSource]:
    """Find our own components and the plugins of every installed distribution, by name, then distribution."""
    yield PluginSource(PROJECT, PROJECT, metadata.version(PROJECT), lambda: import_module(f"{PROJECT}.components"))
    found = [_from_entry_point(point) for point in metadata.entry_points(group=PROJECT)]
    yield from sorted(found, key=lambda source: (source.plugin, source.distribution))


def _from_entry_point(point: metadata.EntryPoint) -> PluginSource:
    distribution, version = (point.dist.name, point.dist.version) if point.dist else ("unknown", "")
    return PluginSource(point.name, distribution, version, point.load)


def _load_all(sources: Iterable[PluginSource]) -> _Discovery:
    wanted = _wanted_plugins()
    taken: dict[str, PluginSource] = {}
    offers: list[_Offer] = []
    plugins: list[PluginStatus] = []
    for source in sources:
        refusal = _refusal(source, taken, wanted)
        taken.setdefault(source.plugin, source)
        found, status = ((), _status(source, "rejected", refusal)) if refusal else _load(source)
        offers += found
        plugins.append(status)
    return _Discovery(tuple(offers), tuple(plugins))


def _wanted_plugins() -> frozenset[str] | None:
    names = os.environ.get(PLUGINS_VARIABLE)
    return None if names is None else frozenset(name.strip() for name in names.split(","))


def _refusal(source: PluginSource, taken: Mapping[str, PluginSource], wanted: frozenset[str] | None) -> str:
    first = taken.get(source.plugin)
    if first is not None:
        return f"the name is taken by distribution {first.distribution} {first.version}; uninstall one of the two"
    if wanted is not None and source.plugin not in wanted | {PROJECT}:
        return f"left out by the environment variable {PLUGINS_VARIABLE}"
    return ""


def _load(source: PluginSource) -> tuple[tuple[_Offer, ...], PluginStatus]:
    try:
        offers = tuple(_offers(source))
    except (Exception, SystemExit) as error:  # an entry point runs code that is not ours
        return (), _status(source, "failed", _summary(error))
    return offers, _status(source, "ok", "", offers)


def _offers(source: PluginSource) -> Iterator[_Offer]:
    manager = PluginManager(PROJECT)
    manager.add_hookspecs(HookSpecs)
    manager.register(source.load(), source.plugin)
    manager.check_pending()
    hooks = {kind: getattr(manager.hook, f"{PROJECT}_{kind}") for kind in KINDS}
    if not any(hook.get_hookimpls() for hook in hooks.values()):
        raise PluginError("it implements no hook; mark its functions with anifacediff.hookimpl")
    for kind, hook in hooks.items():
        for loaders in hook():
            yield from _checked(source, kind, loaders)


def _checked(source: PluginSource, kind: str, loaders: object) -> Iterator[_Offer]:
    from beartype.door import is_bearable  # here, because it takes 0.1 s

    hook = f"{PROJECT}_{kind}"
    if not is_bearable(loaders, Mapping[object, object]):
        raise PluginError(f"{hook} must return a mapping of names to loaders, but returned {loaders!r}")
    for name, load in loaders.items():
        if not is_bearable(name, str) or not name or "/" in name:
            raise PluginError(f"{hook}: a component's name must be a string without a slash, found {name!r}")
        if not is_bearable(load, Callable[[], Callable[..., object]]):
            raise PluginError(f"{hook}: the loader of {name!r} must be callable, found {load!r}")
        yield _Offer(source, kind, name, load)


def _status(
    source: PluginSource, status: Literal["ok", "failed", "rejected"], reason: str, offers: Iterable[_Offer] = ()
) -> PluginStatus:
    components = tuple((offer.kind, offer.name) for offer in offers)
    return PluginStatus(source.plugin, source.distribution, source.version, status, reason, components)


def _summary(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


registry = Registry(installed_plugins)
