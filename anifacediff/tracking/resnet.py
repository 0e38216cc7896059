"""The ResNet-50 of published face encoders, run by transformers."""

import re
from collections.abc import Mapping

from torch import nn
from transformers import ResNetConfig, ResNetModel

from anifacediff.checkpoint import load_strict
from anifacediff.shapes import Float, Tensor

_KINDS = {"conv": "convolution", "bn": "normalization"}
_COUNTER = ".num_batches_tracked"


class ResNet50(nn.Module):
    """The mean of the last features of a ResNet-50, before any head; made in evaluation mode.

    ``network`` is transformers' model, with weights that are to be loaded by :func:`load_resnet50`.

    Source: He et al. 2016; strides in the 3 x 3 convolutions, as in torchvision.
    """

    def __init__(self) -> None:
        super().__init__()
        self.network = ResNetModel(ResNetConfig())
        self.eval()

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 2048"]:
        """Read images.

        Args:
            images: b 3 h w, scaled as the weights were trained.
        """
        return self.network(images).pooler_output.flatten(1)


def load_resnet50(weights: Mapping[str, Tensor], source: str) -> ResNet50:
    """Build a ResNet-50 from weights by torchvision's keys, without the classifier ``fc``.

    Counters of batches (``*.num_batches_tracked``), which older files lack, may be missing: nothing reads them here.

    Args:
        weights: by torchvision's keys.
        source: where they come from, for the message.

    Raises:
        CheckpointError: if keys or shapes differ.
    """
    model = ResNet50()
    counters = {key: value for key, value in model.network.state_dict().items() if key.endswith(_COUNTER)}
    load_strict(model.network, counters | from_torchvision(weights), source)
    return model


def from_torchvision(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the weights of a ResNet-50 from torchvision's keys to those of transformers' ``ResNetModel``.

    Args:
        weights: ``conv1.weight``, ``bn1.*``, ``layer1.0.conv1.weight``, ``layer1.0.downsample.0.weight``, ...

    Returns:
        The same tensors; a key that torchvision does not have stays as it is.
    """
    return {_renamed(key): value for key, value in weights.items()}


def _renamed(key: str) -> str:
    stem = re.fullmatch(r"(conv|bn)1\.(\w+)", key)
    if stem:
        return f"embedder.embedder.{_KINDS[stem[1]]}.{stem[2]}"
    block = re.fullmatch(r"layer([1-4])\.(\d+)\.(.+)", key)
    if not block:
        return key
    place = f"encoder.stages.{int(block[1]) - 1}.layers.{block[2]}"
    layer = re.fullmatch(r"(conv|bn)([1-3])\.(\w+)", block[3])
    if layer:
        return f"{place}.layer.{int(layer[2]) - 1}.{_KINDS[layer[1]]}.{layer[3]}"
    shortcut = re.fullmatch(r"downsample\.([01])\.(\w+)", block[3])
    return f"{place}.shortcut.{('convolution', 'normalization')[int(shortcut[1])]}.{shortcut[2]}" if shortcut else key
