"""What the user is told: progress, notes, errors as one red line and an exit code."""

import signal
import threading
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from anifacediff.errors import (
    AmbiguousComponentError,
    AniFaceDiffError,
    AssetError,
    AttachmentError,
    CheckpointError,
    ConfigurationError,
    ConformanceError,
    InputError,
    MediaError,
    NotFiniteError,
    OutputError,
    PluginError,
    ProvenanceError,
    UnknownComponentError,
)

T = TypeVar("T")

UNEXPECTED, BAD_INPUT, BAD_OUTPUT, BAD_COMPONENT, SOME_FAILED, NOT_FOUND, INTERRUPTED = 1, 3, 4, 5, 6, 7, 130

_EXIT_CODES: tuple[tuple[type[AniFaceDiffError], int], ...] = (
    (OutputError, BAD_OUTPUT),
    (InputError, BAD_INPUT),
    (ConfigurationError, BAD_INPUT),
    (MediaError, BAD_INPUT),
    (ProvenanceError, BAD_INPUT),
    (PluginError, BAD_COMPONENT),
    (AssetError, BAD_COMPONENT),
    (CheckpointError, BAD_COMPONENT),
    (UnknownComponentError, BAD_COMPONENT),
    (AmbiguousComponentError, BAD_COMPONENT),
    (AttachmentError, BAD_COMPONENT),
    (NotFiniteError, BAD_COMPONENT),
    (ConformanceError, BAD_COMPONENT),
)

messages = Console(stderr=True, soft_wrap=True)
"""Everything but results goes to standard error."""


@contextmanager
def reported_errors(debug: bool) -> Generator[None]:
    """Print an error as one red line, after its traceback if ``debug``, and stop with the documented exit code.

    Warnings become notes. A request to terminate is taken like Ctrl-C, so that partial output is removed.
    """
    try:
        with _termination_as_interrupt(), warnings.catch_warnings():
            warnings.showwarning = _show_warning
            yield
    except KeyboardInterrupt:
        raise _stop("interrupted; nothing was written.", INTERRUPTED, debug) from None
    except AniFaceDiffError as error:
        raise _stop(str(error), _exit_code(error), debug) from error
    except typer.Exit:
        raise
    except Exception as error:
        message = f"{type(error).__name__}: {error}. This was not expected; --debug shows where it happened."
        raise _stop(message, UNEXPECTED, debug) from error


def note(text: str) -> None:
    """Tell something that is worth knowing."""
    messages.print(escape(text), highlight=False)


def warn(text: str) -> None:
    """Tell something that must not be missed."""
    messages.print(f"[bold yellow]note:[/bold yellow] {escape(text)}", highlight=False)


def progress(items: Iterable[T], title: str, total: int | None) -> Iterator[T]:
    """Yield the items while a bar shows how many have passed; it goes away on a screen that is not a terminal."""
    with _bar(title) as bar:
        yield from bar.track(items, total=total)


@contextmanager
def reported_progress(title: str) -> Generator[Callable[[int, int], None]]:
    """Show a bar, and give a function that is told how much is done and how much there is in all."""
    with _bar(title) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _bar(title: str) -> Progress:
    columns = (SpinnerColumn(), TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=messages)


@contextmanager
def _termination_as_interrupt() -> Generator[None]:
    if threading.current_thread() is not threading.main_thread():  # the only one that may handle signals
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    warn(str(message))


def _stop(message: str, code: int, debug: bool) -> typer.Exit:
    if debug:
        messages.print_exception()
    one_line = " ".join(message.split())
    messages.print(f"[bold red]error:[/bold red] [red]{escape(one_line)}[/red]", highlight=False)
    return typer.Exit(code)


def _exit_code(error: AniFaceDiffError) -> int:
    return next((code for kind, code in _EXIT_CODES if isinstance(error, kind)), UNEXPECTED)
