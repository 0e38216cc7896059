"""The command line: ``align``, ``animate``, ``synthetic``, ``train``, ``evaluate``, ``benchmark``, ``plugins``, ..."""

from anifacediff.cli.align import align
from anifacediff.cli.animate import animate
from anifacediff.cli.app import app
from anifacediff.cli.assets import assets
from anifacediff.cli.batch import batch
from anifacediff.cli.benchmark import benchmark
from anifacediff.cli.detectors import detectors
from anifacediff.cli.evaluate import evaluate
from anifacediff.cli.mark import mark
from anifacediff.cli.plugins import plugins
from anifacediff.cli.prepare import prepare
from anifacediff.cli.synthetic import synthetic
from anifacediff.cli.track import track
from anifacediff.cli.train import train
from anifacediff.cli.train_full import full
from anifacediff.cli.ui import ui

__all__ = ["app"]

for _command in (animate, align, track, batch, synthetic, evaluate, benchmark, prepare, plugins, ui):
    app.command(no_args_is_help=_command not in (benchmark, plugins, ui))(_command)
train.command()(full)
app.add_typer(train, name="train")
app.add_typer(assets, name="assets")
app.add_typer(mark, name="mark")
app.add_typer(detectors, name="detectors")
