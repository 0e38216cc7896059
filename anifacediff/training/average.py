"""The exponential moving average of weights."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from safetensors.torch import save_file
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from anifacediff.shapes import Tensor
from anifacediff.training.checkpoints import fill, owned


class Average:
    """Follows the weights that are trained.

    Args:
        parameters: the weights by name.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter]) -> None:
        self._parameters = parameters
        self.values = {name: value.detach().clone() for name, value in parameters.items()}

    def update(self, decay: float, step: int) -> None:
        """Follow the weights after a step.

        Args:
            decay: of the average, less in the first steps.
            step: how many have been taken.
        """
        average, current = (list[Tensor](each.values()) for each in (self.values, self._parameters))
        get_ema_multi_avg_fn(min(decay, (1 + step) / (10 + step)))(average, current, step)

    @contextmanager
    def in_use(self) -> Generator[None]:
        """Let the model use the average for a while."""
        current = {name: value.data for name, value in self._parameters.items()}
        for name, value in self._parameters.items():
            value.data = self.values[name]
        try:
            yield
        finally:
            for name, value in self._parameters.items():
                value.data = current[name]

    def save(self, path: Path) -> None:
        """Write the average as safetensors."""
        save_file(owned(self.values), path)

    def load(self, path: Path) -> None:
        """Read what :meth:`save` wrote.

        Raises:
            CheckpointError: if the file is damaged or of other weights.
        """
        fill(self.values, path)
