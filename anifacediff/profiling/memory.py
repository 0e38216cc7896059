"""The peak of memory since a moment, as far as the machine tells it."""

from pathlib import Path

import torch

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def forget_peak(device: torch.device) -> None:
    """Count the peak anew from here on; where the machine cannot, do nothing."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif device.type == "cpu" and _RESET.exists():
        _RESET.write_text("5")  # the peak of the resident set, see proc(5)


def peak_bytes(device: torch.device) -> int | None:
    """Bytes at the peak: allocated on a CUDA device, resident for a CPU under Linux; else unknown."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if device.type != "cpu" or not _RESET.exists():
        return None
    peak = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) * 1024
