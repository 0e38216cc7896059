"""One after the other, in the order in which they came."""

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

_PATIENCE = 0.5  # seconds after which one who waits is told so again


class Turns:
    """A line of those who wait for the one turn that there is."""

    def __init__(self) -> None:
        self._line: list[object] = []
        self._moved = threading.Condition()

    @property
    def taken(self) -> bool:
        """Whether somebody has the turn."""
        return bool(self._line)

    @contextmanager
    def turn(self, waiting: Callable[[int], object]) -> Generator[None]:
        """Wait for the turn, and have it while the ``with`` block lasts.

        Args:
            waiting: told again and again how many are before; what it raises gives up the place in the line.
        """
        place = object()
        with self._moved:
            self._line.append(place)
        try:
            while before := self._before(place):
                waiting(before)
            yield
        finally:
            with self._moved:
                self._line.remove(place)
                self._moved.notify_all()

    def _before(self, place: object) -> int:
        with self._moved:
            self._moved.wait_for(lambda: self._line[0] is place, _PATIENCE)
            return self._line.index(place)
