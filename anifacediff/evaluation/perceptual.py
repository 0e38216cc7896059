"""LPIPS: how different pictures look to a network."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch.nn.functional import normalize

from anifacediff.errors import InputError, ShapeError
from anifacediff.evaluation.contracts import Animation
from anifacediff.shapes import Float, Tensor, check_finite, check_shape


@runtime_checkable
class LayerExtractor(Protocol):
    """Gives what several layers of a network make of pictures."""

    def __call__(self, images: Float[Tensor, "f 3 h w"]) -> tuple[Float[Tensor, "f _ _ _"], ...]:
        """Turn RGB pictures in [0, 1] into feature maps, each with its own channels, height and width."""
        ...


@dataclass(frozen=True)
class LPIPS:
    """Learned perceptual image patch similarity, the mean over the frames; zero on the truth.

    The feature vectors at each place of a layer are brought to unit length; their squared differences are weighted
    by channel, summed over channels, averaged over places, and summed over layers.

    Args:
        layers: the network.
        weights: for each layer, one weight for each of its channels; all ones if None.

    Raises:
        InputError: if a weight is negative, NaN or infinite; on a call, if the truth is not known.
        ShapeError: on a call, if the layers do not fit the weights or the pictures.

    Source: Zhang et al., The unreasonable effectiveness of deep features, CVPR 2018, equation 1.
    """

    layers: LayerExtractor
    weights: Sequence[Float[Tensor, "_"]] | None = None

    unit = ""
    higher_is_better = False

    def __post_init__(self) -> None:
        for index, weight in enumerate(self.weights or ()):
            check_finite(f"LPIPS.weights[{index}]", weight)
            if bool((weight < 0).any()):
                raise InputError(f"LPIPS.weights[{index}]: must not be negative, found {float(weight.min())}.")

    def __call__(self, animation: Animation) -> float:
        return float(self.distance(animation.output, animation.needed("truth", "LPIPS")).mean())

    @torch.no_grad()
    def distance(self, found: Float[Tensor, "f 3 h w"], truth: Float[Tensor, "f 3 h w"]) -> Float[Tensor, "f"]:
        """Return the distance of each picture from what it should be; both are clipped to [0, 1]."""
        ours, theirs = self.layers(found.clamp(0, 1)), self.layers(truth.clamp(0, 1))
        self._check_number(len(ours))
        distance = found.new_zeros(len(found))
        for index, (our, their) in enumerate(zip(ours, theirs, strict=True)):
            check_shape(f"layer {index} of LPIPS", our, "f c h w", len(found), None, None, None)
            squared = (normalize(our, dim=1) - normalize(their, dim=1)).square()
            distance += (squared * self._weight(index, squared)[:, None, None]).sum(1).mean((1, 2))
        check_finite("LPIPS", distance)
        return distance

    def _check_number(self, layers: int) -> None:
        if self.weights is not None and len(self.weights) != layers:
            raise ShapeError(f"LPIPS.weights: are for {len(self.weights)} layers, but the extractor gave {layers}.")

    def _weight(self, index: int, features: Tensor) -> Tensor:
        channels = features.shape[1]
        if self.weights is None:
            return features.new_ones(channels)
        check_shape(f"LPIPS.weights[{index}]", self.weights[index], "c", channels)
        return self.weights[index].to(features)
