"""The face model ``"egg"`` for anifacediff. Importing this loads no torch; the model is imported when asked for."""

from anifacediff import hookimpl


def _egg():
    from anifacediff_egg.model import Egg

    return Egg


@hookimpl
def anifacediff_morphable_models():
    """Offer the egg."""
    return {"egg": _egg}
