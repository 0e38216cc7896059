"""Checkpoints of a run: folders that appear whole or not at all, and say which run they belong to."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anifacediff.checkpoint import check_weights, read_weights
from anifacediff.errors import CheckpointError, ConfigurationError
from anifacediff.shapes import Tensor

Settings = Mapping[str, Any]

_KEPT = 2


def begin_checkpoint(folder: Path) -> Path:
    """Make an empty folder for a checkpoint of the run in ``folder``."""
    partial = folder / "partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    return partial


def finish_checkpoint(partial: Path, step: int, settings: Settings) -> None:
    """Let a checkpoint appear, and remove all but the newest ones.

    Args:
        partial: what :func:`begin_checkpoint` returned, filled.
        step: how many steps have been taken.
        settings: of everything that the losses depend on.
    """
    (partial / "state.json").write_text(json.dumps({"step": step, "settings": dict(settings)}, indent=2) + "\n")
    target = partial.parent / f"step-{step:07d}"
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)
    for old in sorted(target.parent.glob("step-*"))[:-_KEPT]:
        shutil.rmtree(old)


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint of the run in ``folder``, if there is one."""
    return max(folder.glob("step-*"), default=None)


def checked_step(checkpoint: Path, settings: Settings) -> int:
    """The step that a checkpoint was made at.

    Args:
        checkpoint: its folder.
        settings: those of the run that is to go on.

    Raises:
        CheckpointError: if it is damaged.
        ConfigurationError: if it was begun with other settings.
    """
    state = _read_state(checkpoint / "state.json")
    found, now = state["settings"], dict(settings)
    changed = sorted(name for name in found.keys() | now.keys() if found.get(name) != now.get(name))
    if changed:
        raise ConfigurationError(
            f"{checkpoint}: was begun with another {', '.join(changed)}: {found}, now {now}. Go on with the same, or "
            "train into another folder."
        )
    return state["step"]


def fill(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Copy what a safetensors file holds into tensors.

    Raises:
        CheckpointError: if it is damaged, or of other names or shapes; the tensors are then unchanged.
    """
    weights = read_weights(path)
    check_weights(tensors, weights, str(path))
    for name, value in weights.items():
        tensors[name].data.copy_(value)


def owned(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors as safetensors takes them."""
    return {name: value.contiguous() for name, value in tensors.items()}


def _read_state(path: Path) -> dict[str, Any]:
    try:
        state = json.loads(path.read_text())
        return {"step": int(state["step"]), "settings": dict(state["settings"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path}: cannot be read ({error}); remove the folder {path.parent} to go on from the checkpoint before."
        ) from error
