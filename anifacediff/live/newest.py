"""Work in a thread of its own, of which only the newest outcome waits to be taken."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")


class Closed(Exception):  # noqa: N818 -- no error: it tells a worker that nobody waits for its work any more
    """Nobody takes what is made any more: let it pass, so that the work ends."""


class NewestOf(Generic[T]):
    """Runs a producer in a thread, and yields the newest of what it makes; what is not taken in time is dropped.

    So what is yielded is never older than one piece of work, however slow its taker is. Order is kept, the last item
    is never dropped, and an error of the producer is raised where the items are taken, after those that it made
    before. The thread starts with the first use as an iterator or in a ``with`` statement, whose end closes it.

    Args:
        produce: is given a function, which it calls with each item; that function raises :class:`Closed` once
            nobody waits any more.
        patience: seconds after which an item that still waits to be taken means that nobody waits any more, for
            takers that may vanish without closing.

    Attributes:
        dropped: how many items were replaced before they were taken.

    Example:
        >>> with NewestOf(lambda put: [put(number) for number in range(3)]) as numbers:
        ...     print(max(numbers))
        2
    """

    def __init__(self, produce: Callable[[Callable[[T], None]], object], *, patience: float = math.inf) -> None:
        self.dropped = 0
        self._produce = produce
        self._changed = threading.Condition()
        self._patience = patience
        self._waiting: tuple[T, ...] = ()
        self._waits_since = 0.0
        self._finished = False
        self._closed = False
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None

    def __iter__(self) -> Iterator[T]:
        self._start()
        while taken := self._take():
            yield taken[0]
        if self._error is not None and not self._closed:
            raise self._error

    def __enter__(self) -> "NewestOf[T]":
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def stopped(self) -> bool:
        """Whether nobody waits any more."""
        return self._closed

    def stop(self) -> None:
        """Tell the producer that nobody waits any more, from any thread; the iteration ends."""
        with self._changed:
            self._closed = True
            self._waiting = ()
            self._changed.notify_all()

    def close(self) -> None:
        """Stop, and wait until the producer's thread has ended: at the latest when it puts its next item."""
        self.stop()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _start(self) -> None:
        with self._changed:
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()

    def _run(self) -> None:
        try:
            self._produce(self._put)
        except Closed:
            pass
        except BaseException as error:
            self._error = error
        finally:
            with self._changed:
                self._finished = True
                self._changed.notify_all()

    def _put(self, item: T) -> None:
        with self._changed:
            now = time.monotonic()
            if not self._waiting:
                self._waits_since = now
            if self._closed or now - self._waits_since > self._patience:
                raise Closed
            self.dropped += len(self._waiting)
            self._waiting = (item,)
            self._changed.notify_all()

    def _take(self) -> tuple[T, ...]:
        """The item that waits, or nothing once there will be none."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._finished or self._closed)
            taken, self._waiting = self._waiting, ()
            return taken
