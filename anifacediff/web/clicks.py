"""What a click on the page leads to: orders in, what is shown out; errors become words here."""

import logging
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from anifacediff.errors import InputError, MediaError
from anifacediff.web.order import Order, Progress
from anifacediff.web.studio import Studio
from anifacediff.web.view import message_html, progress_html

_log = logging.getLogger(__name__)

READY = "Ready: drop a picture and a clip, or take the example, and press Animate."
STOPPED = "Stopped. Nothing is being computed for you any more."
_NO_FILES = "There is something missing: drop a picture of an avatar and a clip first, or take the example."
_UNEXPECTED = "Something went wrong that should not. Whoever runs this page finds the details where it was started."


@dataclass(frozen=True)
class Shown:
    """What the page shows.

    Attributes:
        html: the state of the work, or a message.
        video: the finished video.
        busy: whether more is to come.
    """

    html: str
    video: Path | None = None
    busy: bool = False


def ordered(studio: Studio, visitor: str, order: Order | None) -> Generator[Shown]:
    """Show how an order is carried out.

    Args:
        studio: does the work.
        visitor: whose order it is.
        order: None if a file is missing.

    Yields:
        States of the page; the last is not busy.
    """
    if order is None:
        yield Shown(message_html(_NO_FILES, error=True))
        return
    last: Progress | None = None
    try:
        for last in studio.animate(visitor, order):
            yield Shown(progress_html(last), last.result, busy=last.result is None)
    except (InputError, MediaError) as error:  # others may name files of this machine
        yield Shown(message_html(order.words(error), error=True))
    except Exception:
        _log.exception("An animation failed.")
        yield Shown(message_html(_UNEXPECTED, error=True))
    else:
        if last is None or last.result is None:
            yield Shown(message_html(STOPPED))
