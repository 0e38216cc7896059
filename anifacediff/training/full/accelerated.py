"""The accelerator that a training runs on, as ``accelerate config`` and ``accelerate launch`` describe it."""

from collections.abc import Sequence
from pathlib import Path

from accelerate import Accelerator
from accelerate.tracking import get_available_trackers

from anifacediff.errors import InputError

PROJECT = "anifacediff"


def start(folder: Path, trackers: Sequence[str] = (), accumulation: int = 1) -> Accelerator:
    """Join the processes that were launched, or be alone; devices and precision are accelerate's to choose.

    Args:
        folder: of the run; trackers that write files write them here.
        trackers: accelerate's names, such as ``tensorboard`` and ``wandb``.
        accumulation: batches whose gradients are added up in a step.

    Raises:
        InputError: if a tracker is unknown or not installed.
    """
    available = [str(each.value) for each in get_available_trackers()]
    missing = [name for name in trackers if name not in available]
    if missing:
        raise InputError(
            f"trackers: {', '.join(missing)} not known to accelerate or not installed; found {available or 'none'}."
        )
    accelerator = Accelerator(
        log_with=list(trackers) or None, project_dir=str(folder), gradient_accumulation_steps=accumulation
    )
    if trackers:
        accelerator.init_trackers(PROJECT)
    return accelerator
