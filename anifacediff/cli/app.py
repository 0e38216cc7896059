"""The program itself: its help and its version."""

from typing import Annotated

import typer

from anifacediff import __version__

_EPILOG = """
[bold]Examples[/bold]

anifacediff animate avatar.png talk.mp4 -o out.mp4 --compare

anifacediff align avatar.png talk.mp4 -o maps.mp4 --maps normal,depth

anifacediff batch clips.csv -o clips

anifacediff synthetic -o sheet.png --avatars 8 --maps

anifacediff evaluate --suite nano -o evaluation

anifacediff benchmark --frames 24

anifacediff plugins

anifacediff assets list

[bold]Exit codes[/bold]

0 done · 1 unexpected error · 2 wrong usage · 3 bad input (unreadable media, no face) · 4 the output cannot be
written · 5 a plugin, asset, checkpoint or component is broken or missing, or made NaN · 6 some clips of a batch
failed · 7 a file is not marked · 130 interrupted (Ctrl-C; no partial output is left)
"""

app = typer.Typer(
    name="anifacediff",
    epilog=_EPILOG,
    rich_markup_mode="rich",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> bool:
    if wanted:
        typer.echo(f"anifacediff {__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def program(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Animate an avatar with the face of a driving video."""
