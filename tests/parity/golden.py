"""Reads goldens: stored arrays, weights made by the rule, and the tolerances that fit them."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rule
import torch
from torch import Tensor

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True)
class Golden:
    """Inputs and outputs of published code; see data/README.md."""

    arrays: dict[str, Tensor]
    shapes: dict[str, list[int]]

    def weights(self, prefix: str) -> dict[str, Tensor]:
        """The weights of one module by its own state keys."""
        return {
            name.removeprefix(prefix): torch.from_numpy(rule.weight(name, shape))
            for name, shape in self.shapes.items()
            if name.startswith(prefix)
        }

    def assert_close(self, actual: Tensor, name: str, tolerance: float) -> None:
        """Compare with a stored array; ``tolerance`` is relative to its standard deviation."""
        expected = self.arrays[name]
        assert actual.shape == expected.shape
        worst = float((actual - expected).abs().max()) / float(expected.std())
        assert worst <= tolerance, f"{name}: off by {worst:.2e} standard deviations, allowed {tolerance:.0e}"


SINGLE_MODULE = 2e-5
WHOLE_STEP = 2e-4


def read(name: str) -> Golden:
    """Read ``data/<name>.npz`` and ``.json``."""
    with np.load(DATA / f"{name}.npz", allow_pickle=False) as stored:
        arrays = {key: torch.from_numpy(stored[key]) for key in stored.files}
    described = json.loads((DATA / f"{name}.json").read_text())
    return Golden(arrays, described.get("params", {}))
