"""Pipeline folders in diffusers' layout, read strictly and without running anything found in them."""

import json
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatch
from os import PathLike
from pathlib import Path
from typing import Any, TypeGuard

import diffusers
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from transformers.utils.logging import disable_progress_bar, enable_progress_bar, is_progress_bar_enabled

from anifacediff.assemblies.published.folders import read_tensors
from anifacediff.assemblies.published.recognition import looks_like
from anifacediff.checkpoint import load_pretrained
from anifacediff.errors import AniFaceDiffError, CheckpointError
from anifacediff.sampling.denoise import Scheduler

CONFIGS = ("config.json", "scheduler_config.json", "*.safetensors.index.json")
WEIGHTS = ("diffusion_pytorch_model*.safetensors", "model*.safetensors")
VARIANTS = ("*.fp16.*", "*.fp16-*", "*.non_ema.*", "*.non_ema-*")
PICKLES = ("*.bin", "*.ckpt", "*.pt", "*.pth")
ORIGINAL_LAYOUT = (
    "diffusers writes a folder from it: from_single_file(...).save_pretrained(...) of StableDiffusionPipeline, or of "
    "AutoencoderKL for a VAE."
)


def local_folder(source: str | PathLike[str], components: Collection[str] = (), **hub_options: Any) -> Path:
    """Find a folder, fetching JSON and safetensors files from the Hub if ``source`` is no folder.

    Args:
        source: a folder, or a Hub id.
        components: of a pipeline, the subfolders that are needed; none for a single model.
        hub_options: of ``huggingface_hub.snapshot_download``.

    Raises:
        CheckpointError: if it is a file, or there is no such folder and no such Hub repository can be reached.
    """
    if Path(source).is_dir():
        return Path(source)
    if Path(source).is_file():
        raise CheckpointError(
            f"{source}: is a single file{_look(Path(source))}, but a folder in the layout of diffusers is needed. "
            f"{ORIGINAL_LAYOUT}"
        )
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


def load_components(
    folder: Path, kinds: Mapping[str, Any], *, mapped: Collection[str] = (), **options: Any
) -> dict[str, Any]:
    """Load the components of a pipeline folder, each from the subfolder of its name.

    Args:
        folder: in diffusers' layout.
        kinds: the class of each component; never taken from the folder.
        mapped: names of those whose weights are left in their files until :func:`~anifacediff.checkpoint.unmap`.
        options: given to every ``from_pretrained``, such as ``torch_dtype``.

    Raises:
        CheckpointError: naming the component whose files are missing, corrupted, or do not fit.
    """
    check_subfolders(folder, kinds)
    return {name: load_component(kind, folder / name, mapped=name in mapped, **options) for name, kind in kinds.items()}


def load_component(
    kind: Any, folder: Path, *, beside: tuple[str, ...] = (), mapped: bool = False, **options: Any
) -> Any:
    """Load one component from a folder of its own.

    Args:
        kind: its class.
        folder: with its configuration and weights.
        beside: beginnings of keys that the file may hold beside those of the component.
        mapped: leave the weights in the file until :func:`~anifacediff.checkpoint.unmap`.
        options: given to ``from_pretrained``.

    Raises:
        CheckpointError: saying what the folder has instead if it has no weights to read; or if a file is corrupted,
            or keys or shapes differ.
    """
    read_config(folder)
    _check_weights_are_there(folder, kind)
    return load_pretrained(kind, folder, beside=beside, mapped=mapped, **options)


def check_subfolders(folder: Path, names: Collection[str]) -> None:
    """Raise :class:`CheckpointError` if a pipeline folder lacks a component; it says what is there instead."""
    missing = [name for name in names if not (folder / name).is_dir()]
    if not missing:
        return
    files = _named(folder, (*PICKLES, "*.safetensors"))
    original = f" The original layout, as in {', '.join(files)}, is not read; {ORIGINAL_LAYOUT}" if files else ""
    raise CheckpointError(f"{folder}: has no {', '.join(missing)}; the folder is incomplete.{original}")


def read_config(folder: Path) -> dict[str, Any]:
    """Read ``config.json`` of a component.

    Raises:
        CheckpointError: if it is missing or unreadable; it says whether a subfolder has one.
    """
    path = folder / "config.json"
    if not path.is_file():
        within = sorted(found.parent.name for found in folder.glob("*/config.json"))
        hint = f"its subfolders {', '.join(within)} have one: give one of those" if within else "it is no component"
        raise CheckpointError(f"{folder}: has no config.json; {hint}.")
    try:
        config = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read ({error}).") from error
    if not isinstance(config, dict):
        raise CheckpointError(f"{path}: holds a {type(config).__name__}, not settings by name.")
    return config


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


@contextmanager
def without_bars() -> Generator[None]:
    """Keep transformers from showing a bar for each model that it loads, where loading takes no time."""
    shown = is_progress_bar_enabled()
    disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            enable_progress_bar()


def _is_scheduler(kind: object) -> TypeGuard[type[SchedulerMixin]]:
    return isinstance(kind, type) and issubclass(kind, SchedulerMixin)


def _check_weights_are_there(folder: Path, kind: type) -> None:
    variants = set(_named(folder, VARIANTS))
    stored = _named(folder, WEIGHTS)
    pickles = _named(folder, PICKLES)
    if set(stored) - variants:
        return
    if stored:
        raise CheckpointError(
            f"{folder}: has only a variant of the weights ({', '.join(stored)}). Get {_usual(stored[0])} too, or give "
            "the file that name if half precision will do."
        )
    if pickles:
        raise CheckpointError(
            f"{folder}: has its weights only in {', '.join(pickles)}, and pickles are not read, for they can run code. "
            f"Get the safetensors file, or convert them: {kind.__name__}.from_pretrained(folder, "
            "use_safetensors=False).save_pretrained(other_folder)."
        )
    raise CheckpointError(
        f"{folder}: has no weights, {' or '.join(WEIGHTS)}. From the Hub only these are fetched, neither pickles nor "
        "half-precision variants: the repository may have nothing else."
    )


def _usual(variant: str) -> str:
    """The name of a file of weights without that of its variant."""
    return variant.replace(".fp16", "").replace(".non_ema", "")


def _named(folder: Path, patterns: Collection[str]) -> list[str]:
    """Names of the files in a folder that are like one of the patterns."""
    files = (path.name for path in folder.iterdir() if path.is_file())
    return sorted(name for name in files if any(fnmatch(name, pattern) for pattern in patterns))


def _look(path: Path) -> str:
    try:
        return f", which looks like {looks_like(read_tensors(path))}"
    except AniFaceDiffError:  # the message says what is needed all the same
        return ""
