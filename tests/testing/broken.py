"""Runs the checks on components that are broken on purpose."""

from typing import Any

import pytest

from anifacediff.errors import ConformanceError
from anifacediff.testing.checks import Case, NotApplicable, checks_of


def names(checks: tuple[Any, ...]) -> set[str]:
    return {check.__name__ for check in checks}


def complaint(case: Case[Any], name: str) -> str:
    """What a check says about a component that it must catch."""
    (check,) = (check for check in checks_of(case) if check.name == name)
    with pytest.raises(ConformanceError) as caught:
        check()
    message = str(caught.value)
    assert message.startswith(f"{case.name}-{name}: ")
    return message


def conforms(case: Case[Any]) -> list[str]:
    """Run all checks; the names of those that do not apply."""
    inapplicable: list[str] = []
    for check in checks_of(case):
        try:
            check()
        except NotApplicable:
            inapplicable.append(check.name)
    return inapplicable
