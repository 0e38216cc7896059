"""Fréchet distances: how far the distribution of what was made is from that of what is real."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from anifacediff.errors import InputError
from anifacediff.evaluation.contracts import (
    Animation,
    Answer,
    ClipExtractor,
    FrameExtractor,
    clip_features,
    frame_features,
)
from anifacediff.shapes import Float, Tensor, check_shape


def frechet_distance(found: Float[Tensor, "n d"], real: Float[Tensor, "m d"]) -> float:
    """Squared Fréchet distance of the normal distributions that have the means and covariances of two sets.

    Covariances are divided by the number of samples, as StyleGAN-V's are, not by one less. With the centred samples X
    and Y over the roots of their numbers, the trace of the root of the product of the covariances is the sum of the
    singular values of X Yᵀ; no root of a matrix is taken, so that equal sets are at zero to rounding.

    Args:
        found: n samples of d features.
        real: m samples of as many.

    Raises:
        InputError: if a set has fewer than 2 samples.
        ShapeError: if the two have another number of features.

    Source: Dowson and Landau, The Fréchet distance between multivariate normal distributions, 1982, equation 4.
    """
    check_shape("found", found, "n d", None, None)
    check_shape("real", real, "m d", None, found.shape[1])
    if min(len(found), len(real)) < 2:
        raise InputError(f"a Fréchet distance needs 2 samples or more of each set, found {len(found)} and {len(real)}.")
    x, y = found.double(), real.double()
    shift = (x.mean(0) - y.mean(0)).square().sum()
    x, y = _triangle(x), _triangle(y)
    spread = x.square().sum() + y.square().sum() - 2 * torch.linalg.svdvals(x @ y.T).sum()
    return max(0.0, float(shift + spread))


@dataclass(frozen=True)
class FID:
    """Fréchet inception distance of single frames; every frame of every clip is a sample.

    Args:
        extractor: gives the features of a frame; published figures come from one Inception network.
        against: what is real; ``driving`` where the truth is not known, as in animation across identities.

    Raises:
        InputError: on a call, if a clip lacks what is real, or there are fewer than 2 frames.
        ShapeError: on a call, if the extractor does not give one row of always the same width for each frame.

    Source: Heusel et al., GANs trained by a two time-scale update rule, NeurIPS 2017, equation 6.
    """

    extractor: FrameExtractor
    against: Answer = "truth"

    unit = ""
    higher_is_better = False
    sampling = "every frame"

    def __call__(self, animations: Sequence[Animation]) -> float:
        found = [frame_features(self.extractor, each.output) for each in animations]
        real = [frame_features(self.extractor, each.needed(self.against, "FID")) for each in animations]
        return frechet_distance(_stacked(found), _stacked(real))


@dataclass(frozen=True)
class FVD:
    """Fréchet video distance under StyleGAN-V's protocol: one short clip from each, at a place drawn by chance.

    The place is drawn once for each animation, for what was made and what is real alike, so that the truth is at
    zero. Resizing and scaling are the extractor's part. The published protocol has 2,048 clips and an I3D network;
    the distance of few samples is biased upwards, so that only figures from as many clips can be compared.

    Args:
        extractor: gives the features of a clip.
        against: what is real, as in :class:`FID`.
        frames: of a clip.
        stride: every ``stride``-th frame is taken; 1 and 8 are published.
        seed: of the places.

    Raises:
        InputError: if ``frames`` or ``stride`` is not positive; on a call, if an animation is too short or lacks what
            is real, or there are fewer than 2.
        ShapeError: on a call, if the extractor does not give one row of always the same width for each clip.

    Source: Unterthiner et al., FVD, ICLR workshop 2019; Skorokhodov et al., StyleGAN-V, CVPR 2022, section 4.
    """

    extractor: ClipExtractor
    against: Answer = "truth"
    frames: int = 16
    stride: int = 1
    seed: int = 0

    unit = ""
    higher_is_better = False

    def __post_init__(self) -> None:
        if min(self.frames, self.stride) < 1:
            raise InputError(f"FVD: frames and stride must be positive, found {self.frames} and {self.stride}.")

    @property
    def sampling(self) -> str:
        """What is taken from each clip."""
        return (
            f"one clip of {self.frames} frames from each, stride {self.stride}, at a place drawn with seed {self.seed}"
        )

    def __call__(self, animations: Sequence[Animation]) -> float:
        chance = torch.Generator().manual_seed(self.seed)
        places = [self._place(each, chance) for each in animations]
        pairs = list(zip(animations, places, strict=True))
        found = [self._features(each.output[place]) for each, place in pairs]
        real = [self._features(each.needed(self.against, "FVD")[place]) for each, place in pairs]
        return frechet_distance(_stacked(found), _stacked(real))

    def _place(self, animation: Animation, chance: torch.Generator) -> slice:
        span = (self.frames - 1) * self.stride + 1
        spare = len(animation.output) - span
        if spare < 0:
            raise InputError(
                f"FVD takes {self.frames} frames with stride {self.stride}, so that an animation needs {span} or more; "
                f"found {len(animation.output)}."
            )
        start = int(torch.randint(spare + 1, (), generator=chance))
        return slice(start, start + span, self.stride)

    def _features(self, clip: Tensor) -> Tensor:
        return clip_features(self.extractor, clip[None])


def _triangle(samples: Float[Tensor, "n d"]) -> Float[Tensor, "k d"]:
    """A smaller matrix with the same Gram matrix of columns, the covariance."""
    centred = (samples - samples.mean(0)) / len(samples) ** 0.5
    return torch.linalg.qr(centred, mode="r").R


def _stacked(features: Sequence[Tensor]) -> Float[Tensor, "n d"]:
    if not features:
        raise InputError("a metric of sets needs animations, found none.")
    for row in features:
        check_shape("features of the extractor", row, "n d", None, features[0].shape[1])
    return torch.cat(list(features))
