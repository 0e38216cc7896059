"""How well a detector tells animated clips from real ones."""

import torch

from anifacediff.errors import InputError
from anifacediff.shapes import Bool, Float, Int, Tensor, check_finite, check_shape


def frame_auc(scores: Float[Tensor, "n"], fake: Bool[Tensor, "n"]) -> float:
    """Area under the ROC curve: how often a fake frame has a higher score than a real one; a tie counts half.

    Args:
        scores: n, higher for what the detector holds for fake.
        fake: n, whether a frame is.

    Raises:
        ShapeError: if the two do not have the same length.
        InputError: if a score is NaN or infinite, or one of the two classes is empty.

    Source: Mann and Whitney, 1947: the statistic U, from the ranks of the fake among all.
    """
    check_shape("scores", scores, "n", None)
    check_shape("fake", fake, "n", len(scores))
    check_finite("scores", scores)
    fakes = int(fake.sum())
    reals = len(scores) - fakes
    if not fakes or not reals:
        raise InputError(f"an AUC needs fake and real ones, found {fakes} fake and {reals} real.")
    wins = float(_ranks(scores)[fake].sum()) - fakes * (fakes + 1) / 2
    return wins / (fakes * reals)


def video_auc(scores: Float[Tensor, "n"], fake: Bool[Tensor, "n"], videos: Int[Tensor, "n"]) -> float:
    """Area under the ROC curve of whole videos, whose score is the mean of their frames' scores.

    Args:
        scores: n, one for each frame, higher for what the detector holds for fake.
        fake: n, whether a frame is.
        videos: n, the number of the video that a frame is from.

    Raises:
        ShapeError: if the three do not have the same length.
        InputError: as in :func:`frame_auc`, or if a video has both fake and real frames.

    Source: DeepfakeBench (Yan et al., NeurIPS 2023).
    """
    check_shape("scores", scores, "n", None)
    check_shape("fake", fake, "n", len(scores))
    check_shape("videos", videos, "n", len(scores))
    numbers, video = videos.unique(return_inverse=True)
    means = _means(scores.double(), video)
    share = _means(fake.double(), video)
    mixed = (share > 0) & (share < 1)
    if bool(mixed.any()):
        raise InputError(f"video {int(numbers[mixed][0])}: has both fake and real frames; it must be one or the other.")
    return frame_auc(means, share > 0)


def _ranks(values: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
    """Places in ascending order, from 1; equal values share the mean of theirs."""
    _, place, count = values.unique(return_inverse=True, return_counts=True)
    return (count.cumsum(0) - (count - 1) / 2).double()[place]


def _means(values: Float[Tensor, "n"], group: Int[Tensor, "n"]) -> Float[Tensor, "groups"]:
    count = group.bincount()
    return torch.zeros_like(count, dtype=values.dtype).index_add(0, group, values) / count
