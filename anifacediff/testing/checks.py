"""What a check is, and how checks are run: alone, or as parameters of a pytest function."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from anifacediff.errors import AssetError, ConformanceError, InputError

T = TypeVar("T")
CheckFunction: TypeAlias = Callable[[Any], None]
"""Takes a case; raises :class:`~anifacediff.errors.ConformanceError` if its component does not conform."""


class NotApplicable(Exception):  # noqa: N818 -- no error: there is nothing to check
    """A check says nothing about a component: it lacks a file of its users', or an optional ability."""


@dataclass(frozen=True)
class Case(ABC, Generic[T]):
    """A component to check; there is one kind of case for each kind of component.

    Attributes:
        name: of the component, in reports.
        build: makes a new one, alike at every call.
    """

    name: str
    build: Callable[..., T]

    @property
    @abstractmethod
    def checks(self) -> tuple[CheckFunction, ...]:
        """The checks of the kind."""

    def made(self, *parts: Any, **options: Any) -> T:
        """Build the component; raises :class:`NotApplicable` if files are missing that its users obtain themselves."""
        try:
            return self.build(*parts, **options)
        except AssetError as error:
            raise NotApplicable(f"{self.name} cannot be built here: {error}") from error


@dataclass(frozen=True)
class Check:
    """One check of one component; call it to run it.

    Attributes:
        case: what is checked.
        function: how.
    """

    case: Case[Any]
    function: CheckFunction

    @property
    def name(self) -> str:
        """The name of the check, the same for all components of a kind."""
        return getattr(self.function, "__name__", repr(self.function))

    def __str__(self) -> str:
        return f"{self.case.name}-{self.name}"

    def __call__(self) -> None:
        """Run the check.

        Raises:
            ConformanceError: saying what is wrong and how to mend it, also if the component raised something itself.
            NotApplicable: if there is nothing to check.
        """
        try:
            self.function(self.case)
        except NotApplicable:
            raise
        except ConformanceError as error:
            raise ConformanceError(f"{self}: {error}") from error
        except Exception as error:
            raise ConformanceError(
                f"{self}: a {type(error).__name__} was raised where none is expected: {error}"
            ) from error


def require(holds: object, message: str) -> None:
    """Raise :class:`~anifacediff.errors.ConformanceError` with what is wrong and how to mend it, unless it holds."""
    if not holds:
        raise ConformanceError(message)


def raised(call: Callable[[], object]) -> Exception | None:
    """The exception that a call raises, if it does."""
    try:
        call()
    except Exception as error:
        return error
    return None


def checks_of(*cases: Case[Any]) -> Iterator[Check]:
    """All checks of some components, to be run without pytest."""
    return (Check(case, function) for case in cases for function in case.checks)


def parametrize_with_checks(*cases: Case[Any], expected_failures: Mapping[str, str] | None = None) -> Any:
    """Decorate a test function so that pytest runs it once for each check of each component.

    Checks that do not apply are skipped with the reason::

        @parametrize_with_checks(ModelCase("egg", Egg))
        def test_conforms(check):
            check()

    Args:
        cases: the components.
        expected_failures: why a check may fail, by its name, or by ``component-name`` for one component only.
            It is strict: a check that passes although it is listed fails the test.

    Raises:
        InputError: if ``expected_failures`` names no check, or two components have the same name.
    """
    import pytest  # here alone, so that the checks run without it

    reasons = dict(expected_failures or {})
    checks = list(checks_of(*cases))
    _refuse_unknown(reasons, checks)
    parameters: list[Any] = []
    for check in checks:
        reason = reasons.get(str(check), reasons.get(check.name))
        marks = [] if reason is None else [pytest.mark.xfail(reason=reason, strict=True, raises=ConformanceError)]
        parameters.append(pytest.param(_skipping(check), id=str(check), marks=marks))
    return pytest.mark.parametrize("check", parameters)


def _skipping(check: Check) -> Callable[[], None]:
    import pytest

    def run() -> None:
        try:
            check()
        except NotApplicable as reason:
            pytest.skip(str(reason))

    return run


def _refuse_unknown(reasons: Mapping[str, str], checks: list[Check]) -> None:
    full = [str(check) for check in checks]
    twice = sorted({name for name in full if full.count(name) > 1})
    if twice:
        raise InputError(f"cases: two components make the check {twice[0]!r}; give them names that differ.")
    known = {*full, *(check.name for check in checks)}
    unknown = sorted(set(reasons) - known)
    if unknown:
        raise InputError(
            f"expected_failures: there is no check {unknown[0]!r}; there are {', '.join(sorted(known - set(full)))}."
        )
