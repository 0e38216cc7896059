"""The published checkpoints of the networks, read without running code."""

from collections.abc import Mapping
from pathlib import Path

from anifacediff.assets.contracts import Converted
from anifacediff.assets.torch_files import read_torch
from anifacediff.errors import AssetError, CheckpointError
from anifacediff.shapes import Tensor
from anifacediff_bfm.estimator import load_network
from anifacediff_bfm.setups import Setup


def convert_network(path: Path, setup: Setup, *, inside: str | None = None) -> Converted:
    """Read published weights, and give them the keys of :class:`~.estimator.CoefficientNetwork`.

    Args:
        path: a file of ``torch.save``.
        setup: of the system that it comes from.
        inside: the name under which the file holds the network's weights; None if it holds nothing else.

    Raises:
        AssetError: if the file is damaged or holds other weights.
    """
    whole = read_torch(path)
    found = whole if inside is None else whole.get(inside)
    weights = {str(key): value for key, value in found.items()} if isinstance(found, Mapping) else {}
    tensors: dict[str, Tensor] = {key: value for key, value in weights.items() if isinstance(value, Tensor)}
    if not tensors or len(tensors) < len(weights):
        where = "" if inside is None else f" under {inside!r}"
        raise AssetError(f"{path}: holds no weights{where}; it is another file than is meant. Get it again.")
    try:
        network = load_network(tensors, setup, str(path))
    except CheckpointError as error:
        raise AssetError(f"{error}\nGet the file of {setup.name}.") from error
    return Converted({key: value.numpy() for key, value in network.state_dict().items()})
