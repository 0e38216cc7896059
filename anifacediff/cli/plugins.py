"""``anifacediff plugins``: what is installed."""

from rich.console import Console
from rich.table import Table

from anifacediff.cli.options import Debug
from anifacediff.cli.report import reported_errors
from anifacediff.registry import PluginStatus


def plugins(debug: Debug = False) -> None:
    """List the plugins found, the components they offer, and why one is not loaded.

    A component is chosen by its name, or by [bold]plugin/name[/bold] where several plugins offer the same name:
    [bold]anifacediff align --tracker dlib ...[/bold]
    """
    with reported_errors(debug):
        from anifacediff import registry

        table = Table(title="Plugins", title_justify="left")
        for column in ("plugin", "distribution", "version", "kind", "names", "status"):
            table.add_column(column, overflow="fold")
        for plugin in registry.plugins():
            _add(table, plugin)
        Console().print(table)


def _add(table: Table, plugin: PluginStatus) -> None:
    status = f"{plugin.status}: {plugin.reason}" if plugin.reason else plugin.status
    head = (plugin.plugin, plugin.distribution, plugin.version)
    kinds = dict.fromkeys(kind for kind, _ in plugin.components)
    rows = [(kind, ", ".join(name for other, name in plugin.components if other == kind)) for kind in kinds]
    for index, (kind, names) in enumerate(rows or [("", "")]):
        first = index == 0
        table.add_row(*(head if first else ("", "", "")), kind, names, status if first else "")
    table.add_section()
