"""The page on the network: who may ask for what."""

import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import gradio as gr
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from anifacediff.errors import OutputError
from anifacediff.web.page import MOST_VISITORS, build_page
from anifacediff.web.studio import Studio

LARGEST_UPLOAD = "200mb"

_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; "
    "connect-src 'self' blob: data:; frame-ancestors 'none'; base-uri 'self'; form-action 'self'"
)
_STYLE = Path(__file__).with_name("style.css")


@contextmanager
def served(
    studio: Studio,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    samples: Sequence[tuple[Path, Path]] = (),
    note: str = "",
) -> Generator[str]:
    """Serve the page while the ``with`` block lasts; then every uploaded and generated file is deleted.

    Only this machine reaches it unless another host is given. Files outside of its own temporary folder are not
    served, nothing is fetched from other hosts, not by the browser either, and no use is reported to anybody.

    Args:
        studio: does the work.
        host: the address that it listens to; ``0.0.0.0`` for every machine that reaches this one.
        port: the port; the first free one from 7860 on if not given.
        samples: pictures and clips to try.
        note: what visitors ought to know about the models, in Markdown.

    Yields:
        The page's address.

    Raises:
        OutputError: if the address or port cannot be used.
    """
    with TemporaryDirectory(prefix="anifacediff-ui-") as folder, _environment(folder):
        page = build_page(studio, samples=samples, note=note).queue(max_size=MOST_VISITORS)
        try:
            _, address, _ = page.launch(
                server_name=host,
                server_port=port,
                app_kwargs={"middleware": _guards(host)},
                max_file_size=LARGEST_UPLOAD,
                theme=gr.themes.Soft(font=("system-ui", "sans-serif"), font_mono=("ui-monospace", "monospace")),
                css_paths=_STYLE,
                footer_links=[],
                run_history=False,
                enable_monitoring=False,
                ssr_mode=False,
                share=False,
                quiet=True,
                prevent_thread_lock=True,
            )
        except (OSError, ValueError) as error:
            raise OutputError(f"{host}:{port or 'any port'}: nothing can be served there ({error}).") from error
        try:
            yield address
        finally:
            page.close(verbose=False)


def _guards(host: str) -> list[Middleware]:
    """What every request passes; on this machine also a check that the page was asked for by this machine's name.

    Otherwise a page of anybody's, open in the same browser, could give its own name this machine's address.
    """
    names = ["127.0.0.1", "localhost", "[::1]"] if host in ("127.0.0.1", "localhost", "::1") else ["*"]
    return [Middleware(TrustedHostMiddleware, allowed_hosts=names), Middleware(_OwnPage), Middleware(_Policy)]


class _OwnPage:
    """Refuses what pages of other hosts ask for: browsers say in Origin whose page asks, and send it anyway."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked_by = self._app if scope["type"] == "lifespan" or _from_own_page(Headers(scope=scope)) else _FOREIGN
        await asked_by(scope, receive, send)


_FOREIGN = PlainTextResponse("This page takes nothing from pages of other hosts.", 403)


def _from_own_page(headers: Headers) -> bool:
    """Whether every Origin, if there is any, is the host that was asked; that of sandboxed pages is "null"."""
    host = headers.get("host", "").lower()
    own = (f"http://{host}", f"https://{host}")
    return all(origin.lower() in own for origin in headers.getlist("origin"))


class _Policy:
    """Tells browsers to load nothing from other hosts."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = _POLICY
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "same-origin"  # with no-referrer, Origin could be "null"
            await send(message)

        await self._app(scope, receive, send_with_policy)


@contextmanager
def _environment(folder: str) -> Generator[None]:
    """What gradio reads from the environment: where its files lie, and that no use is reported."""
    wanted = {"GRADIO_TEMP_DIR": folder, "GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1"}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
