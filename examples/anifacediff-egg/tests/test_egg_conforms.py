"""The egg, and the plugin that offers it, conform."""

from collections.abc import Callable

from anifacediff.testing import parametrize_with_checks, plugin_cases


@parametrize_with_checks(*plugin_cases("egg"))
def test_conforms(check: Callable[[], None]) -> None:
    check()
