"""What a visitor sees of the work, as HTML: a line of text, a bar, the pictures."""

import base64
import io
from html import escape

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from anifacediff.web.order import Progress

Picture = UInt8[np.ndarray, "_ _ 3"]

_CAPTIONS = {
    "avatar": "Avatar",
    "driver": "Clip",
    "control": "What the model is told",
    "result": "Result",
}
_HEIGHT = 256  # pixels of the pictures sent
_QUALITY = 85  # of JPEG


def progress_html(progress: Progress) -> str:
    """The state of the work: text and bar, above the pictures that there are."""
    share = "" if progress.share is None else f' value="{progress.share:.3f}"'
    percent = "" if progress.share is None else f"{progress.share:.0%}"
    bar = f'<progress{share} aria-label="done"></progress><span class="percent">{percent}</span>'
    figures = "".join(_figure(caption, progress.pictures.get(name)) for name, caption in _CAPTIONS.items())
    line = f'<div class="message line" role="status"><span class="text">{escape(progress.text)}</span>{bar}</div>'
    return f'{line}<div class="pictures">{figures}</div>'


def message_html(text: str, *, error: bool = False) -> str:
    """A sentence, above empty places for the pictures."""
    role, name = ("alert", "message error") if error else ("status", "message")
    figures = "".join(_figure(caption, None) for caption in _CAPTIONS.values())
    return f'<div class="{name}" role="{role}">{escape(text)}</div><div class="pictures">{figures}</div>'


def _figure(caption: str, picture: Picture | None) -> str:
    image = '<div class="blank"></div>' if picture is None else f'<img alt="{caption}" src="{_data_url(picture)}">'
    return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"


def _data_url(picture: Picture) -> str:
    image = Image.fromarray(picture)
    image.thumbnail((2 * _HEIGHT, _HEIGHT))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
