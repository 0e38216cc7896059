"""``anifacediff assets``: files that users obtain themselves, put in place and checked."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from typer.core import TyperGroup

from anifacediff.cli.options import Debug
from anifacediff.cli.report import note, reported_errors
from anifacediff.errors import AniFaceDiffError, AssetError, PluginError

if TYPE_CHECKING:
    from anifacediff.assets.contracts import Asset


class _ListsByDefault(TyperGroup):
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, args or ["list"])


assets = typer.Typer(
    help="Files that plugins need and may not bring along: face models, trackers. List what there is and where to get "
    "it, convert it, check it. They lie in the folder named by ANIFACEDIFF_ASSETS, or among the user's data.",
    cls=_ListsByDefault,
)

_results = Console(soft_wrap=True, highlight=False)
_SYSTEMS = ("magicportrait", "mimaface", "moore-animateanyone", "aniportrait")
_COLORS = {"yes": "green", "ask": "yellow", "no": "red"}

Folder = Annotated[
    Path | None,
    typer.Option("-o", "--out", help="Folder of all assets, if not ANIFACEDIFF_ASSETS.", file_okay=False),
]


@dataclass(frozen=True)
class _Entry:
    """An asset, or why a plugin does not say what it is."""

    name: str
    asset: "Asset | None"
    error: str = ""


@assets.command("list")
def list_assets(
    out: Folder = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")] = False,
    debug: Debug = False,
) -> None:
    """List what there is, whether it is in place, its licence, and where to get it."""
    with reported_errors(debug):
        entries = _entries()
        if as_json:
            typer.echo(json.dumps([_facts(entry, out) for entry in entries], indent=2))
            return
        for entry in entries:
            _print(entry, out)
        if not entries:
            note("No installed plugin needs any.")


@assets.command()
def check(
    names: Annotated[
        list[str] | None, typer.Argument(help="Which; all that are in place if not given.", show_default=False)
    ] = None,
    out: Folder = None,
    debug: Debug = False,
) -> None:
    """Check that what is in place is whole and unchanged, and of a version that is known; exit code 5 if not."""
    with reported_errors(debug):
        from anifacediff.assets.places import is_in_place

        known = [entry.asset for entry in _entries() if entry.asset is not None]
        chosen = [_asset(name) for name in names] if names else [asset for asset in known if is_in_place(asset, out)]
        broken = [asset.name for asset in chosen if not _is_sound(asset, out)]
        if broken:
            raise AssetError(f"{len(broken)} of {len(chosen)} cannot be used: {', '.join(broken)}.")
        if not chosen:
            note("None is in place; `anifacediff assets list` says where to get them.")


@assets.command(no_args_is_help=True)
def convert(
    name: Annotated[
        str,
        typer.Argument(
            help="Of the asset, see `anifacediff assets list`; or a published system: magicportrait, mimaface, "
            "moore-animateanyone, aniportrait.",
            show_default=False,
        ),
    ],
    sources: Annotated[list[Path], typer.Argument(help="Its files, or a folder that holds them.", show_default=False)],
    out: Folder = None,
    debug: Debug = False,
) -> None:
    """Put files in place, without running what is in them; what was there of the same name is replaced.

    Of a published system, the parts are written in the layout of diffusers, into a new folder.

    [bold]anifacediff assets convert flame-2020 generic_model.pkl[/bold]

    [bold]anifacediff assets convert magicportrait pretrained_weights/ -o converted/[/bold]
    """
    with reported_errors(debug):
        if name in _SYSTEMS:
            _convert_system(name, sources, out)
            return
        from anifacediff.assets.store import place

        asset = _asset(name)
        placed = place(asset, sources, out)
        terms = asset.licence
        note(f"Wrote {placed}. Licence: {terms.name}, {terms.url}; commercial use: {terms.commercial}.")


def _convert_system(name: str, sources: list[Path], out: Path | None) -> None:
    from anifacediff.assemblies.published.systems import SYSTEMS
    from anifacediff.assets.places import assets_folder

    system, folder = SYSTEMS[name], (out or assets_folder()) / name
    files = system.find(sources)
    for file, path in files.items():
        note(f"{file}: {path}")
    unused = system.convert(files, folder)
    for part, keys in unused.items():
        if keys:
            note(f"{part}: {len(keys)} weights of the files are used nowhere, such as {', '.join(keys[:3])}.")
    note(f"Wrote {', '.join(sorted(unused))} into {folder}; they are loaded by the from_pretrained of their classes.")


def _asset(name: str) -> "Asset":
    from beartype.door import is_bearable  # here, because it takes 0.1 s

    from anifacediff import registry
    from anifacediff.assets.contracts import Asset
    from anifacediff.assets.places import asset_folder

    build = registry.assets[name]
    try:
        asset = build()
    except (Exception, SystemExit) as error:  # a plugin runs code that is not ours
        raise PluginError(f"{name}: its plugin cannot describe it ({type(error).__name__}: {error}).") from error
    if not is_bearable(asset, Asset):
        raise PluginError(f"{name}: its plugin must describe it by an Asset, but gave {asset!r:.200}.")
    asset_folder(asset)  # raises if there can be none of its name
    return asset


def _entries() -> list[_Entry]:
    from anifacediff import registry

    return [_entry(name) for name in sorted(registry.assets)]


def _entry(name: str) -> _Entry:
    try:
        return _Entry(name, _asset(name))
    except AniFaceDiffError as error:
        return _Entry(name, None, " ".join(str(error).split()))


def _facts(entry: _Entry, out: Path | None) -> dict[str, object]:
    """What JSON says of an asset; of a broken one its name and what is wrong."""
    from anifacediff.assets.places import asset_folder, is_in_place

    asset = entry.asset
    if asset is None:
        return {"name": entry.name, "error": entry.error}
    return {
        "name": entry.name,
        "purpose": asset.purpose,
        "in_place": is_in_place(asset, out),
        "folder": str(asset_folder(asset, out)),
        "source": asset.source,
        "licence": asdict(asset.licence),
        "files": [asdict(file) for file in asset.files],
    }


def _print(entry: _Entry, out: Path | None) -> None:
    from anifacediff.assets.places import asset_folder, is_in_place

    asset = entry.asset
    if asset is None:
        _results.print(f"[bold]{escape(entry.name)}[/bold] [red]broken[/red]: {escape(entry.error)}")
        return
    state = "[green]in place[/green]" if is_in_place(asset, out) else "[yellow]not in place[/yellow]"
    licence = asset.licence
    allowed = f"[{_COLORS[licence.commercial]}]{licence.commercial}[/]"
    _results.print(f"[bold]{escape(entry.name)}[/bold] {state}: {escape(asset.purpose)}")
    _results.print(f"    files     {escape(', '.join(file.name for file in asset.files))}")
    _results.print(f"    from      {escape(asset.source)}")
    _results.print(f"    licence   {escape(licence.name)}, {escape(licence.url)}; commercial use: {allowed}")
    _results.print(f"    folder    {escape(str(asset_folder(asset, out)))}")


def _is_sound(asset: "Asset", out: Path | None) -> bool:
    """Check one and print what is found."""
    from anifacediff.assets.description import check_asset

    try:
        folder = check_asset(asset, out)
    except AssetError as error:
        _results.print(f"[bold]{escape(asset.name)}[/bold] [red]broken[/red]: {escape(str(error))}")
        return False
    _results.print(f"[bold]{escape(asset.name)}[/bold] [green]ok[/green] ({escape(str(folder))})")
    return True
