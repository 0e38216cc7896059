"""How our docstrings are read by griffe, which calls by other names what they call ``Example``."""

from typing import Any

from griffe import Extension, Object


class Docstrings(Extension):
    """Makes sections of examples out of what would be remarks."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Rename the section."""
        if obj.docstring is not None:
            obj.docstring.value = obj.docstring.value.replace("\nExample:\n", "\nExamples:\n")
