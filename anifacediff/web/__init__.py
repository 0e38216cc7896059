"""The page in a browser: ``anifacediff ui``. It needs the extra ``ui`` (gradio)."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anifacediff.web.bundled import samples as samples
    from anifacediff.web.order import Order as Order
    from anifacediff.web.order import Progress as Progress
    from anifacediff.web.page import build_page as build_page
    from anifacediff.web.serve import served as served
    from anifacediff.web.studio import Studio as Studio
else:
    from anifacediff.exports import lazy_exports

    __getattr__, __all__ = lazy_exports(
        __name__,
        {
            "bundled": ("samples",),
            "order": ("Order", "Progress"),
            "page": ("build_page",),
            "serve": ("served",),
            "studio": ("Studio",),
        },
    )
