"""Weights from files, strictly: a missing, unexpected or misshapen key is an error that names it."""

from collections.abc import Collection, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

from diffusers.configuration_utils import ConfigMixin
from diffusers.models.modeling_utils import ModelMixin
from diffusers.utils.import_utils import is_accelerate_available
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from anifacediff.errors import CheckpointError
from anifacediff.shapes import Tensor

ALIGNMENT = 64  # bytes, of memory that torch allocates itself
ModuleT = TypeVar("ModuleT", bound=nn.Module)


class StrictModel(ModelMixin, ConfigMixin):
    """A diffusers model whose ``from_pretrained`` refuses weights that do not fit."""

    config_name = "config.json"

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | PathLike[str] | None, **kwargs: Any) -> Any:
        """Load as diffusers does, from a folder or a Hub id.

        Raises:
            CheckpointError: if a file is missing or corrupted, or if keys or shapes differ.
        """
        return unmap(_load_and_check(super(), pretrained_model_name_or_path, {**_quiet(), **kwargs}))


def load_pretrained(
    kind: Any,
    source: str | PathLike[str] | None,
    *,
    beside: tuple[str, ...] = (),
    mapped: bool = False,
    **kwargs: Any,
) -> Any:
    """Load a diffusers or transformers model with nothing missing and nothing left over.

    Args:
        kind: the model's class.
        source: a folder or a Hub id.
        beside: beginnings of keys that the file may hold beside those of the model.
        mapped: leave weights in the file, from where they are read when they are used, until :func:`unmap`.
        kwargs: what its ``from_pretrained`` takes.

    Raises:
        CheckpointError: if a file is missing or corrupted, or if keys or shapes differ.
    """
    if issubclass(kind, StrictModel):
        return kind.from_pretrained(source, **kwargs)
    if issubclass(kind, ModelMixin):
        kwargs = {**_quiet(), **kwargs}
    model = _load_and_check(kind, source, kwargs, beside)
    return model if mapped else unmap(model)


def unmap(model: ModuleT) -> ModuleT:
    """Move a model's weights from a mapped file into memory of their own.

    At odd addresses, such as they have in the file, the CPU's kernels round differently.

    Args:
        model: stays the same object; nothing happens if none of its weights is at an odd address.
    """
    if not any(_is_mapped(tensor) for tensor in (*model.parameters(), *model.buffers())):
        return model
    for module in model.modules():  # all of their tensors, for a single one keeps the file in memory
        for parameter in module.parameters(recurse=False):
            parameter.data = parameter.data.clone()
        for name, buffer in list(module.named_buffers(recurse=False)):
            setattr(module, name, buffer.clone())  # whole, for it may be a view
    return model


def _quiet() -> dict[str, bool]:
    """What keeps diffusers from telling the user to install accelerate, model by model, where it is not there."""
    return {} if is_accelerate_available() else {"low_cpu_mem_usage": False}


def _load_and_check(
    kind: Any, source: str | PathLike[str] | None, options: Mapping[str, Any], beside: tuple[str, ...] = ()
) -> Any:
    options = {"use_safetensors": True, **options, "output_loading_info": True}
    try:
        model, info = kind.from_pretrained(source, **options)
    except Exception as error:  # whatever a malformed file makes the loaders stumble over
        raise CheckpointError(f"Cannot load {source}: {type(error).__name__}: {error}") from error
    problems = {
        "missing_keys": _names(info.get("missing_keys")),
        "unexpected_keys": [key for key in _names(info.get("unexpected_keys")) if not key.startswith(beside)],
        "mismatched_keys": _names(info.get("mismatched_keys")),
        "errors": list(map(str, info.get("error_msgs") or ())),
    }
    _raise_if_any(str(source), problems)
    return model


def load_strict(module: nn.Module, weights: Mapping[str, Tensor], source: str) -> None:
    """Copy weights into a module.

    Args:
        module: receives the weights.
        weights: by the module's own state keys.
        source: where they come from, for the message.

    Raises:
        CheckpointError: if keys or shapes differ; the module is then unchanged.
    """
    check_weights(module.state_dict(), weights, source)
    module.load_state_dict(dict(weights))


def check_weights(expected: Mapping[str, Tensor], weights: Mapping[str, Tensor], source: str) -> None:
    """Check that weights have the keys and shapes of those they are to replace.

    Args:
        expected: what a module has, on whatever device.
        weights: what is given to it.
        source: where they come from, for the message.

    Raises:
        CheckpointError: if keys or shapes differ.
    """
    misshapen = [
        f"{key} {tuple(weights[key].shape)} instead of {tuple(expected[key].shape)}"
        for key in sorted(expected.keys() & weights.keys())
        if weights[key].shape != expected[key].shape
    ]
    problems: dict[str, Collection[str]] = {
        "missing_keys": sorted(expected.keys() - weights.keys()),
        "unexpected_keys": sorted(weights.keys() - expected.keys()),
        "mismatched_keys": misshapen,
    }
    _raise_if_any(source, problems)


def read_weights(path: str | PathLike[str]) -> dict[str, Tensor]:
    """Read a safetensors file.

    Raises:
        CheckpointError: if it is missing, truncated, or of another format.
    """
    if not Path(path).is_file():
        raise CheckpointError(f"{path}: there is no such file.")
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{path}: not a readable safetensors file ({error}). It may be truncated: fetch it again and compare its "
            "size; other formats are converted first."
        ) from error


def _is_mapped(tensor: Tensor) -> bool:
    return tensor.device.type == "cpu" and tensor.data_ptr() % ALIGNMENT != 0


def _names(keys: Collection[object] | None) -> list[str]:
    return sorted(map(str, keys or ()))


def _raise_if_any(source: str, problems: Mapping[str, Collection[str]]) -> None:
    found = {name: keys for name, keys in problems.items() if keys}
    if not found:
        return
    lines = (
        f"  {len(keys)} {name.replace('_', ' ')}: {', '.join(list(keys)[:5])}{', ...' if len(keys) > 5 else ''}"
        for name, keys in found.items()
    )
    raise CheckpointError(f"The weights in {source} are not those of this component:\n" + "\n".join(lines))
