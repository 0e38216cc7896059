"""How many frames are drawn together: enough to keep a device busy, few enough to bound the working memory."""

import torch

_PIXELS_CPU = 2**18  # more would leave the cache, and be slower
_PIXELS_ELSEWHERE = 2**22


def frames_at_once(pixels: int, device: torch.device) -> int:
    """Choose how many frames of ``pixels`` pixels to work on together (4 of 256 x 256 on a CPU, 64 elsewhere)."""
    budget = _PIXELS_CPU if device.type == "cpu" else _PIXELS_ELSEWHERE
    return max(1, budget // max(pixels, 1))


def chunks(frames: int, size: int) -> list[slice]:
    """Cut a clip into pieces of ``size`` frames; a clip without frames is one piece."""
    return [slice(first, first + size) for first in range(0, max(frames, 1), size)]
