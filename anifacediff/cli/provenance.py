"""Options about marks and records."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from anifacediff.assemblies import AnimationPipeline
    from anifacediff.cli.faces import Request
    from anifacediff.cli.generate import Drawing
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
    pipe: "AnimationPipeline", requests: "Sequence[Request]", drawing: "Drawing", *, mark: str | None
) -> "Record":
    """Describe a clip that is about to be drawn.

    Args:
        pipe: draws it.
        requests: for each face of the reference.
        drawing: how it is drawn.
        mark: name of the mark; None if there is none.
    """
    from anifacediff.assemblies import record_of

    first = requests[0]
    files = {"reference": first.reference, "driving": first.driver.path}
    files |= {f"driving {number}": each.driver.path for number, each in enumerate(requests[1:], 2)}
    settings: dict[str, Setting] = {
        **{name: getattr(drawing, name) for name in ("steps", "preset", "start", "seed")},
        **{name: getattr(first, name) for name in ("face", "box")},
        "tracker": first.driver.tracker,
    }
    if not first.driver.tracked:
        settings |= {name: getattr(first.driver, name) for name in ("missing", "smooth", "fps")}
        settings["driving_face"] = first.driver.face
    return record_of(pipe, files, settings, mark=mark, composite=drawing.compare or drawing.paste)
