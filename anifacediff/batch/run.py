"""A whole batch: what has to be made, and what became of it."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from filelock import FileLock, Timeout

from anifacediff.batch.animator import Animator, ClipMaker, Result, reason_of
from anifacediff.batch.digests import digest_of
from anifacediff.batch.records import Ledger, State, write_whole
from anifacediff.batch.rows import Row
from anifacediff.errors import InputError, OutputError

REPORT = "report.json"


@dataclass(frozen=True)
class Report:
    """What became of a batch; all of it names clips.

    Attributes:
        finished: made in this run.
        skipped: finished before, and untouched.
        failed: why, by clip.
        anew: those that were there and had to be made again: their inputs or settings are ``"changed"``, or their
            file is ``"damaged"``.
        waiting: not come to, since the run was interrupted.
    """

    finished: Sequence[str]
    skipped: Sequence[str]
    failed: Mapping[str, str]
    anew: Mapping[str, State]
    waiting: Sequence[str]

    def __str__(self) -> str:
        return ", ".join(f"{len(clips)} {what}" for what, clips in vars(self).items() if clips)


@runtime_checkable
class Executor(Protocol):
    """Where the clips are made: :func:`in_this_process`, or :class:`~anifacediff.batch.cluster.OnRay`."""

    def __call__(self, rows: Sequence[Row], batch: "Batch") -> Iterator[Result]:
        """Give the results as they come, in any order.

        Args:
            rows: those of the batch that have to be made.
            batch: knows what makes them.
        """
        ...


def in_this_process(rows: Sequence[Row], batch: "Batch") -> Iterator[Result]:
    """Make the clips one after the other."""
    yield from map(Animator(batch.folder, batch.build, batch.name).animate, rows)


@dataclass(frozen=True)
class Batch:
    """Clips that are to be in a folder; whoever runs it again makes those that are not there yet.

    Args:
        rows: the clips, each with an output of its own.
        folder: where they go; made if it is not there.
        build: makes what makes the clips, once in each process; on Ray it is sent there.
        name: of the model, in any words; clips of another name are made anew.
    """

    rows: Sequence[Row]
    folder: Path
    build: Callable[[], ClipMaker]
    name: str = ""

    def run(self, execute: Executor = in_this_process, on_result: Callable[[Result], None] = lambda _: None) -> Report:
        """Make what is missing, and write ``report.json`` into the folder, also when interrupted.

        Args:
            execute: where the clips are made.
            on_result: is told of each row.

        Raises:
            InputError: if an output leads out of the folder, would replace an input, or lie inside of one.
            OutputError: if the folder cannot be used, or another batch is at work in it.
        """
        with _alone(self.folder) as ledger:
            self._check_places(ledger)
            course = _Course(self)
            try:
                for result in course.results(ledger, execute):
                    course.done[result.output] = result
                    on_result(result)
            finally:
                report = course.report()
                with _writing_in(self.folder):
                    write_whole(self.folder / REPORT, asdict(report))
        return report

    def _check_places(self, ledger: Ledger) -> None:
        inputs = {path.resolve() for row in self.rows for path in (row.reference, row.driving)}
        for row in self.rows:
            place = ledger.place(row.output).resolve()
            if place in inputs:
                raise InputError(f"column output: {row.output} is an input, too, and would be replaced.")
            if within := inputs.intersection(place.parents):
                raise InputError(
                    f"column output: {row.output} would lie inside of an input, {min(within)}, and change it. Give "
                    "another folder of clips, or move the images to a folder of their own."
                )


@dataclass
class _Course:
    """How far a run has come."""

    batch: Batch
    done: dict[str, Result] = field(default_factory=dict[str, Result])
    states: dict[str, State] = field(default_factory=dict[str, State])

    def results(self, ledger: Ledger, execute: Executor) -> Iterator[Result]:
        """First what need not be made, then what is made."""
        missing: list[Row] = []
        for row in self.batch.rows:
            try:
                state = ledger.state(row.output, digest_of(row, self.batch.name))
            except OSError as error:
                yield Result(row.output, "failed", reason_of(error))
                continue
            self.states[row.output] = state
            if state == "finished":
                yield Result(row.output, "skipped")
            else:
                missing.append(row)
        if missing:
            yield from execute(missing, self.batch)

    def report(self) -> Report:
        # What a worker that replaces a killed one finds finished was made in this run.
        made = [name for name, result in self.done.items() if result.status != "failed"]
        return Report(
            finished=[name for name in made if self.states[name] != "finished"],
            skipped=[name for name in made if self.states[name] == "finished"],
            failed={name: result.reason for name, result in self.done.items() if result.status == "failed"},
            anew={name: state for name, state in self.states.items() if state in ("changed", "damaged")},
            waiting=[row.output for row in self.batch.rows if row.output not in self.done],
        )


@contextmanager
def _alone(folder: Path) -> Generator[Ledger]:
    """The ledger of a folder in which no other batch is at work."""
    ledger = Ledger(folder)
    with ExitStack() as stack:
        with _writing_in(folder):
            stack.enter_context(FileLock(ledger.lock, timeout=0))
            ledger.forget_deaths()
        yield ledger
        with _writing_in(folder):
            ledger.forget_deaths()


@contextmanager
def _writing_in(folder: Path) -> Generator[None]:
    """Tell what the folder of clips does not allow; only around our own files, for other work has errors of its own."""
    try:
        yield
    except Timeout:
        raise OutputError(f"{folder}: another batch is at work there; wait for it, or use another folder.") from None
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written to ({error}).") from error
