"""Weights of published code under the keys of our components, with nothing missing and nothing dropped unnamed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from anifacediff.assemblies.published.recognition import looks_like
from anifacediff.checkpoint import check_weights
from anifacediff.errors import CheckpointError
from anifacediff.shapes import Tensor


@dataclass(frozen=True)
class ConvertedWeights:
    """Weights for one component.

    Attributes:
        tensors: by all of the component's own state keys.
        unused: keys of the file that the published code never reads either.
        filled: the component's keys that the file need not have: constants, and layers whose output nobody reads.
    """

    tensors: Mapping[str, Tensor]
    unused: tuple[str, ...] = ()
    filled: tuple[str, ...] = ()


def same_key(key: str) -> str | None:
    """The renaming of files that have our keys already."""
    return key


def nothing(key: str, shape: tuple[int, ...]) -> Tensor | None:
    """The filling of files that must be complete."""
    return None


def convert(
    weights: Mapping[str, Tensor],
    component: nn.Module,
    *,
    source: str,
    rename: Callable[[str], str | None] = same_key,
    fill: Callable[[str, tuple[int, ...]], Tensor | None] = nothing,
) -> ConvertedWeights:
    """Bring the weights of a file under the keys of a component.

    Args:
        weights: by the file's keys.
        component: says which keys and shapes are needed; it may be on the meta device.
        source: the file, for the message.
        rename: gives our key for one of the file's, None for one that is not used.
        fill: gives what stands at one of our keys if the file has nothing for it, None if it must.

    Raises:
        CheckpointError: if keys or shapes differ; it names them, and says what the file looks like.
    """
    expected = component.state_dict()
    named = {key: rename(key) for key in weights}
    found = _renamed(weights, named, expected, source)
    filled = _filled(found, expected, fill)
    try:
        check_weights(expected, found | filled, source)
    except CheckpointError as error:
        raise CheckpointError(f"{error}\nBy its keys it looks like {looks_like(weights)}.") from None
    unused = tuple(key for key, name in named.items() if name is None)
    return ConvertedWeights(found | filled, unused, tuple(filled))


def tensors_of(stored: Mapping[str, object], source: str) -> dict[str, Tensor]:
    """Take the state dictionary out of what a checkpoint holds.

    It may lie under ``state_dict``, beside records of its training, and its keys may begin with ``module.``, as
    parallel training leaves them.

    Raises:
        CheckpointError: if something in it is no tensor.
    """
    inner = stored.get("state_dict", stored)
    if not isinstance(inner, Mapping):
        raise CheckpointError(f"{source}: its state_dict is a {type(inner).__name__}, not tensors by name.")
    others = [str(key) for key, value in inner.items() if not isinstance(value, Tensor)]
    if others:
        raise CheckpointError(
            f"{source}: holds something that is no tensor at {', '.join(others[:5])}. By its keys it looks like "
            f"{looks_like([str(key) for key in inner])}."
        )
    return {str(key).removeprefix("module."): value for key, value in inner.items()}


def _renamed(
    weights: Mapping[str, Tensor], named: Mapping[str, str | None], expected: Mapping[str, Tensor], source: str
) -> dict[str, Tensor]:
    """Tensors by our keys; what does not fit keeps the file's key, so that it is reported as the file has it."""
    found: dict[str, Tensor] = {}
    for key, name in named.items():
        if name is None:
            continue
        name = name if name in expected else key
        if name in found and not torch.equal(found[name], weights[key]):
            raise CheckpointError(f"{source}: holds two different tensors for {name}, one of them under {key}.")
        found[name] = weights[key]
    return found


def _filled(
    found: Mapping[str, Tensor],
    expected: Mapping[str, Tensor],
    fill: Callable[[str, tuple[int, ...]], Tensor | None],
) -> dict[str, Tensor]:
    """What stands at keys that were not found; floating-point values have the precision of the file's."""
    dtype = next((tensor.dtype for tensor in found.values() if tensor.is_floating_point()), torch.float32)
    missing = {key: expected[key] for key in sorted(expected.keys() - found.keys())}
    made = {key: fill(key, tuple(wanted.shape)) for key, wanted in missing.items()}
    return {
        key: value.to(dtype if missing[key].is_floating_point() else missing[key].dtype)
        for key, value in made.items()
        if value is not None
    }
