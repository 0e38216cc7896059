"""How well a network reads drawn faces, in figures."""

from collections.abc import Mapping
from dataclasses import replace

import torch

from anifacediff.evaluation.detection import frame_auc
from anifacediff.evaluation.reader import FaceReader, Reading
from anifacediff.media.pictures import to_images
from anifacediff.shapes import Float, Tensor
from anifacediff.synthetic.expression import GROUPS, indices
from anifacediff.training.dataset import DrawnSet
from anifacediff.training.readings import true_readings

_AT_ONCE = 32
_TINY = 1e-12


@torch.no_grad()
def assess(reader: FaceReader, drawn: DrawnSet) -> Mapping[str, float]:
    """Judge a reader by avatars it has not learnt from.

    Args:
        reader: the network.
        drawn: the avatars.

    Returns:
        ``r2_gaze`` and so on: the share of the variance of expression components, identity coefficients and camera
        that is explained; 0 is the mean of the set, 1 the truth. ``degrees`` between the read and the true rotation of
        the head, and ``degrees_mean`` of the mean pose. ``auc`` of telling two frames of one identity from two of
        different ones; ``rank1``, the share of frames that are likest to the first frame of their own identity.
    """
    truth = true_readings(drawn)
    images = to_images(drawn.pictures.reshape(-1, *drawn.pictures.shape[2:]))
    measured = [reader.measure(part) for part in images.split(_AT_ONCE)]
    read = reader.told(torch.cat([part for part, _ in measured]))
    return {
        **reading_figures(read, truth),
        **recognition_figures(torch.cat([part for _, part in measured]), drawn.casting.frames),
    }


def reading_figures(read: Reading, truth: Reading) -> Mapping[str, float]:
    """Compare what was read with the truth; see :func:`assess`."""
    groups = {group: indices([group]) for group in GROUPS}
    still = replace(truth, pose=truth.pose.mean(0, keepdim=True).expand_as(truth.pose))
    return {
        **{f"r2_{name}": explained(read.expression[:, at], truth.expression[:, at]) for name, at in groups.items()},
        "r2_shape": explained(read.shape, truth.shape),
        "r2_zoom": explained(read.zoom[:, None], truth.zoom[:, None]),
        "r2_place": explained(read.place, truth.place),
        "r2_eyes": explained(read.eyes, truth.eyes),
        "degrees": float(degrees(read.turn, truth.turn).mean()),
        "degrees_mean": float(degrees(still.turn, truth.turn).mean()),
    }


def recognition_figures(who: Float[Tensor, "f d"], frames: int) -> Mapping[str, float]:
    """Judge embeddings of ``frames`` frames of each identity; see :func:`assess`."""
    owner = torch.arange(len(who)) // frames
    pairs = torch.triu_indices(len(who), len(who), 1)
    likeness = who @ who.T
    same = (owner[:, None] == owner)[pairs[0], pairs[1]]
    first = torch.arange(len(who)) % frames == 0
    likest = likeness[~first][:, first].argmax(1)
    return {
        "auc": frame_auc(likeness[pairs[0], pairs[1]], same),
        "rank1": float((likest == owner[~first]).float().mean()),
    }


def explained(read: Float[Tensor, "f n"], truth: Float[Tensor, "f n"]) -> float:
    """One minus the squared error's share of the variance, both summed over all numbers."""
    variance = truth.var(0, unbiased=False).sum()
    return float(1 - (read - truth).square().mean(0).sum() / variance.clamp(min=_TINY))


def degrees(a: Float[Tensor, "f 3 3"], b: Float[Tensor, "f 3 3"]) -> Float[Tensor, "f"]:
    """The angle of the rotation between two rotations."""
    cosine = ((a * b).sum((1, 2)) - 1) / 2
    return cosine.clamp(-1, 1).acos().rad2deg()
