"""Public names of a package that are imported when they are first used (PEP 562)."""

from collections.abc import Callable
from importlib import import_module


def lazy_exports(package: str, names: dict[str, tuple[str, ...]]) -> tuple[Callable[[str], object], list[str]]:
    """Build the ``__getattr__`` and ``__all__`` of a package.

    Args:
        package: its ``__name__``.
        names: the public names that each of its modules defines.
    """
    homes = {name: f"{package}.{module}" for module, public in names.items() for name in public}

    def getattr_(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(homes[name]), name)

    return getattr_, sorted(homes)
