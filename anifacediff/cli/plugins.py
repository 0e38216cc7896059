"""``anifacediff plugins``: what is installed."""

from rich.console import Console
from rich.markup import escape

from anifacediff.cli.options import Debug
from anifacediff.cli.report import reported_errors
from anifacediff.registry import PluginStatus

_results = Console(soft_wrap=True, highlight=False)


def plugins(debug: Debug = False) -> None:
    """List the plugins found, the components they offer, and why one is not loaded.

    A component is chosen by its name, or by [bold]plugin/name[/bold] where several plugins offer the same name:
    [bold]anifacediff align --tracker dlib ...[/bold]
    """
    with reported_errors(debug):
        from anifacediff import registry

        for plugin in registry.plugins():
            _print(plugin)


def _print(plugin: PluginStatus) -> None:
    """One line for the plugin, and one for each kind of component that it offers."""
    color = "green" if plugin.status == "ok" else "red"
    reason = f": {escape(plugin.reason)}" if plugin.reason else ""
    origin = escape(f"({plugin.distribution} {plugin.version})")
    _results.print(f"[bold]{escape(plugin.plugin)}[/bold] {origin} [{color}]{plugin.status}[/{color}]{reason}")
    for kind in dict.fromkeys(kind for kind, _ in plugin.components):
        names = ", ".join(name for other, name in plugin.components if other == kind)
        _results.print(f"    {kind.replace('_', ' '):<19} {escape(names)}")
