"""Pipeline folders in diffusers' layout, read strictly and without running anything found in them."""

import json
from collections.abc import Collection, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, TypeGuard

import diffusers
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from anifacediff.checkpoint import load_pretrained
from anifacediff.errors import CheckpointError
from anifacediff.sampling.denoise import Scheduler

CONFIGS = ("config.json", "scheduler_config.json", "*.safetensors.index.json")
WEIGHTS = ("diffusion_pytorch_model*.safetensors", "model*.safetensors")
VARIANTS = ("*.fp16.*", "*.fp16-*", "*.non_ema.*", "*.non_ema-*")


def local_folder(source: str | PathLike[str], components: Collection[str] = (), **hub_options: Any) -> Path:
    """Find a folder, fetching JSON and safetensors files from the Hub if ``source`` is no folder.

    Args:
        source: a folder, or a Hub id.
        components: of a pipeline, the subfolders that are needed; none for a single model.
        hub_options: of ``huggingface_hub.snapshot_download``.

    Raises:
        CheckpointError: if there is no such folder, and no such Hub repository can be reached.
    """
    if Path(source).is_dir():
        return Path(source)
    files = (*CONFIGS, *WEIGHTS)
    within = [f"{name}/{file}" for name in components for file in files]
    try:
        snapshot = snapshot_download(
            str(source),
            allow_patterns=["model_index.json", *within] if components else list(files),
            ignore_patterns=list(VARIANTS),
            **hub_options,
        )
    except HFValidationError as error:
        raise CheckpointError(f"{source}: there is no such folder, and it is no name of a Hub model.") from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise CheckpointError(
            f"{source}: neither a folder here nor a model that the Hub gives out ({type(error).__name__}: "
            f"{str(error).splitlines()[0]}). Check the spelling, the network, and whether the model asks for a login."
        ) from error
    return Path(snapshot)


def read_index(folder: Path, class_name: str) -> dict[str, Any]:
    """Read ``model_index.json`` of a pipeline of the given class.

    Raises:
        CheckpointError: if it is missing, unreadable, or of another class.
    """
    path = folder / "model_index.json"
    try:
        index = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read ({error}); a pipeline folder has one.") from error
    found = index.get("_class_name") if isinstance(index, dict) else type(index).__name__
    if found != class_name:
        raise CheckpointError(
            f"{path}: made by {found}, not by {class_name}; load it with that class (command line: --assembly)."
        )
    return index


def load_components(folder: Path, kinds: Mapping[str, Any], **options: Any) -> dict[str, Any]:
    """Load the components of a pipeline folder, each from the subfolder of its name.

    Args:
        folder: in diffusers' layout.
        kinds: the class of each component; never taken from the folder.
        options: given to every ``from_pretrained``, such as ``torch_dtype``.

    Raises:
        CheckpointError: naming the component whose files are missing, corrupted, or do not fit.
    """
    missing = [name for name in kinds if not (folder / name).is_dir()]
    if missing:
        raise CheckpointError(f"{folder}: has no {', '.join(missing)}; the folder is incomplete.")
    return {name: load_pretrained(kind, folder / name, **options) for name, kind in kinds.items()}


def load_scheduler(folder: Path) -> Scheduler:
    """Load the scheduler of a pipeline folder; its class must be one of diffusers' own.

    Raises:
        CheckpointError: if its configuration is missing or names no scheduler of diffusers.
    """
    path = folder / "scheduler" / "scheduler_config.json"
    try:
        name = str(json.loads(path.read_text())["_class_name"])
        kind = getattr(diffusers, name, None)
        scheduler = kind.from_pretrained(path.parent) if _is_scheduler(kind) else None
    except Exception as error:  # whatever a malformed file makes the constructor stumble over
        raise CheckpointError(f"{path}: cannot be read ({type(error).__name__}: {error}).") from error
    if not isinstance(scheduler, Scheduler):
        raise CheckpointError(f"{path}: {name!r} is no scheduler of diffusers {diffusers.__version__} that fits.")
    return scheduler


def _is_scheduler(kind: object) -> TypeGuard[type[SchedulerMixin]]:
    return isinstance(kind, type) and issubclass(kind, SchedulerMixin)
