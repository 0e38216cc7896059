"""The command line: ``align``, ``animate``, ``synthetic``, ``train``, ``evaluate``, ``plugins``, ``assets``."""

from anifacediff.cli.align import align
from anifacediff.cli.animate import animate
from anifacediff.cli.app import app
from anifacediff.cli.assets import assets
from anifacediff.cli.evaluate import evaluate
from anifacediff.cli.plugins import plugins
from anifacediff.cli.synthetic import synthetic
from anifacediff.cli.train import train

__all__ = ["app"]

for _command in (animate, align, synthetic, evaluate, plugins):
    app.command(no_args_is_help=_command is not plugins)(_command)
app.add_typer(train, name="train")
app.add_typer(assets, name="assets")
