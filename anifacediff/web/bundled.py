"""The avatar and the clip that the page offers to try."""

from pathlib import Path

_PLACES = (Path(__file__).parent / "samples", Path(__file__).parents[2] / "examples" / "media")


def samples() -> tuple[tuple[Path, Path], ...]:
    """Pictures with clips: those of the installed package, else those of the clone it is installed from."""
    pairs = [(place / "avatar.png", place / "driving.mp4") for place in _PLACES]
    return tuple(pair for pair in pairs if all(each.is_file() for each in pair))[:1]
