"""Whether a clip shows the right person, pose and expression, as a network sees them."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch

from anifacediff.evaluation.contracts import Animation, FrameExtractor, frame_features
from anifacediff.shapes import Float, Tensor, check_shape

Norm: TypeAlias = Literal["l1", "l2"]
"""The mean absolute difference of coefficients, or the mean Euclidean length of the difference of frames."""


def cosine(a: Float[Tensor, "n d"], b: Float[Tensor, "#n d"]) -> Float[Tensor, "n"]:
    """Cosine of the angle between each row of ``a`` and the same row, or the only one, of ``b``; 0 for a row of zeros.

    Raises:
        ShapeError: if the rows do not match.
    """
    check_shape("a", a, "n d", None, None)
    check_shape("b", b, "n d", 1 if len(b) == 1 else len(a), a.shape[1])
    return torch.cosine_similarity(a, b, dim=1)


@dataclass(frozen=True)
class CSIM:
    """Mean cosine similarity of the identities of the output and of the reference.

    Args:
        identity: gives an embedding of who is in a picture.

    Raises:
        ShapeError: on a call, if the extractor does not give one row for each picture.

    Source: AniFaceDiff, 2025, section 4.3, after Richardson et al., Encoding in Style, CVPR 2021.
    """

    identity: FrameExtractor

    unit = ""
    higher_is_better = True

    def __call__(self, animation: Animation) -> float:
        reference = frame_features(self.identity, animation.reference)
        return float(cosine(frame_features(self.identity, animation.output), reference).mean())


@dataclass(frozen=True)
class APD:
    """Average pose distance of the output from the driving clip.

    Args:
        pose: gives rotations of the head and its joints, in radians.
        norm: ``l1`` in MagicPortrait, ``l2`` in MIMAFace; AniFaceDiff does not say.

    Raises:
        InputError: on a call, if there is no driving clip.
        ShapeError: on a call, if the extractor does not give one row for each picture.

    Source: MagicPortrait, 2025, section IV; AniFaceDiff, 2025, section 4.3.
    """

    pose: FrameExtractor
    norm: Norm = "l1"

    unit = "rad"
    higher_is_better = False

    def __call__(self, animation: Animation) -> float:
        return _distance(self.pose, animation.output, animation.needed("driving", "APD"), self.norm)


@dataclass(frozen=True)
class AED:
    """Average expression distance of the output from the driving clip; not the older distance of identities.

    Args:
        expression: gives the coefficients of a face model, in standard deviations.
        norm: as in :class:`APD`.

    Raises:
        InputError: on a call, if there is no driving clip.
        ShapeError: on a call, if the extractor does not give one row for each picture.

    Source: MagicPortrait, 2025, section IV; AniFaceDiff, 2025, section 4.3.
    """

    expression: FrameExtractor
    norm: Norm = "l1"

    unit = "sd"
    higher_is_better = False

    def __call__(self, animation: Animation) -> float:
        return _distance(self.expression, animation.output, animation.needed("driving", "AED"), self.norm)


def _distance(extractor: FrameExtractor, output: Tensor, driving: Tensor, norm: Norm) -> float:
    ours, theirs = frame_features(extractor, output), frame_features(extractor, driving)
    check_shape("features of the driving clip", theirs, "f d", *ours.shape)
    difference = ours - theirs
    return float(difference.abs().mean() if norm == "l1" else difference.norm(dim=1).mean())
