"""Options about marks and records."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from anifacediff.assemblies import AnimationPipeline
    from anifacediff.provenance import Mark, Record
    from anifacediff.provenance.record import Setting

NO_MARK = "none"

MarkName = Annotated[
    str,
    typer.Option(
        "--mark", help=f"Invisible mark that is left in what is generated, see `anifacediff plugins`; {NO_MARK}: none."
    ),
]
NoProvenance = Annotated[
    bool, typer.Option("--no-provenance", help="Leave no mark, and no record of where the clip comes from.")
]


def find_mark(name: str) -> "Mark | None":
    """Look up a registered mark, or None for the name that means none."""
    from anifacediff import registry

    return None if name == NO_MARK else registry.marks[name]()


def record_animation(
    pipe: "AnimationPipeline",
    files: "Sequence[Path]",
    settings: "Mapping[str, Setting]",
    *,
    mark: str | None,
    composite: bool,
) -> "Record":
    """Describe a clip that is about to be drawn.

    Args:
        pipe: draws it.
        files: the reference, its driver, and the drivers of further faces.
        settings: what was chosen.
        mark: name of the mark; None if there is none.
        composite: whether other pictures are part of the clip.
    """
    from anifacediff.assemblies import record_of

    roles = ("reference", "driving", *(f"driving {number}" for number in range(2, len(files))))
    return record_of(pipe, dict(zip(roles, files, strict=True)), settings, mark=mark, composite=composite)
