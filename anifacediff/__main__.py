"""``python -m anifacediff`` is the command line."""

from anifacediff.cli import app

app(prog_name="anifacediff")
