"""What all visitors of the page share: models, and turns."""

from collections.abc import Callable, Generator, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from anifacediff.assemblies.pipeline import AnimationPipeline
from anifacediff.errors import InputError
from anifacediff.live import NewestOf
from anifacediff.tracking import Tracker
from anifacediff.web.animation import Animator
from anifacediff.web.order import Order, Progress, Tell
from anifacediff.web.turns import Turns

_ABANDONED = 15.0  # seconds for which nobody has looked: a browser that vanished without a word


class Studio:
    """Takes orders: one model at a time is held, and one order at a time uses it.

    Args:
        models: what loads each model, by name; the first is the usual one.
        tracker: builds the face tracker.
        longest: of driving clips, in seconds.
    """

    def __init__(
        self, models: Mapping[str, Callable[[], AnimationPipeline]], tracker: Callable[[], Tracker], *, longest: float
    ) -> None:
        self.models = models
        self.longest = longest
        self._build_tracker = tracker
        self._turns = Turns()
        self._held: tuple[str, Animator] | None = None
        self._running: dict[str, NewestOf[Progress]] = {}

    def animate(self, visitor: str, order: Order) -> Generator[Progress]:
        """Do what a visitor asks for; close the generator, or call :meth:`stop`, to cancel.

        Args:
            visitor: who asks; what was being done for him before is cancelled.
            order: what for.

        Yields:
            The newest state of the work, the last with the result, unless it was cancelled.

        Raises:
            AniFaceDiffError: whatever there is to say about the files and settings.
        """
        if order.model not in self.models:
            raise InputError(f"model: expected one of {', '.join(self.models)}, found {order.model!r}.")
        self.stop(visitor)
        with (
            TemporaryDirectory(prefix="anifacediff-") as folder,
            NewestOf[Progress](partial(self._in_turn, order, Path(folder)), patience=_ABANDONED) as states,
        ):
            self._running[visitor] = states
            try:
                yield from states
                if states.stopped:
                    yield Progress("Stopping: the work ends at its next frame")
            finally:
                if self._running.get(visitor) is states:
                    del self._running[visitor]

    @property
    def busy(self) -> bool:
        """Whether an order is being carried out."""
        return self._turns.taken

    def stop(self, visitor: str) -> None:
        """Cancel what is being done for a visitor, if anything is; it ends at its next frame or window."""
        states = self._running.get(visitor)
        if states is not None:
            states.stop()

    def _in_turn(self, order: Order, folder: Path, tell: Tell) -> None:
        with self._turns.turn(lambda before: tell(Progress(_waiting(before)))):
            tell(Progress("Loading the model"))
            self.load(order.model)(order, folder, tell)

    def load(self, name: str) -> Animator:
        """Hold a model, in place of the one held before; for those who have the turn, and before anybody visits."""
        if self._held is None or self._held[0] != name:
            self._held = None  # its memory is needed for the other
            self._held = name, Animator(self.models[name](), self._build_tracker(), self.longest)
        return self._held[1]


def _waiting(before: int) -> str:
    return f"Waiting: {before} {'animation is' if before == 1 else 'animations are'} made before yours"
