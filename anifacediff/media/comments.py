"""Text inside of a GIF."""

from pathlib import Path

_LONGEST_BLOCK = 255


def add_gif_comment(path: Path, comment: str) -> None:
    """Put a comment into a GIF, before its first picture.

    Args:
        path: the GIF; changed in place.
        comment: kept in UTF-8.

    Source: GIF89a, sections 17 to 19 (header, screen, colours) and 24 (comment extension).
    """
    content = path.read_bytes()
    flags = content[10]
    colours = 3 * 2 ** ((flags & 0b111) + 1) if flags & 0b1000_0000 else 0
    head = 13 + colours
    text = comment.encode()
    blocks = [text[start : start + _LONGEST_BLOCK] for start in range(0, len(text), _LONGEST_BLOCK)]
    extension = b"\x21\xfe" + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"
    path.write_bytes(content[:head] + extension + content[head:])
