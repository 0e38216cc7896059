"""Text inside of a GIF."""

import os
import shutil
from pathlib import Path

_LONGEST_BLOCK = 255


def add_gif_comment(path: Path, comment: str) -> None:
    """Put a comment into a GIF, before its first picture; memory does not grow with its length.

    Args:
        path: the GIF; another takes its place, which is first written beside it, with ``.partial`` added to the name.
        comment: kept in UTF-8.

    Source: GIF89a, sections 17 to 19 (header, screen, colours) and 24 (comment extension).
    """
    text = comment.encode()
    blocks = [text[start : start + _LONGEST_BLOCK] for start in range(0, len(text), _LONGEST_BLOCK)]
    extension = b"\x21\xfe" + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"
    partial = path.with_name(f"{path.name}.partial")
    with path.open("rb") as plain, partial.open("wb") as noted:
        head = plain.read(13)
        colours = 3 * 2 ** ((head[10] & 0b111) + 1) if head[10] & 0b1000_0000 else 0
        noted.write(head + plain.read(colours) + extension)
        shutil.copyfileobj(plain, noted)
    os.replace(partial, path)
