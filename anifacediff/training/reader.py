"""Training the network that reads drawn faces."""

from collections.abc import Mapping
from copy import deepcopy
from itertools import accumulate, pairwise
from pathlib import Path

import torch
import torch.nn.functional as F

from anifacediff.evaluation.reader import FaceReader, Reading
from anifacediff.shapes import Float, Tensor
from anifacediff.synthetic.expression import GROUPS, indices
from anifacediff.training.dataset import DrawnSet
from anifacediff.training.reader_report import assess
from anifacediff.training.readings import Sample, harder, mistaken, sample, true_readings
from anifacediff.training.run import Run, Schedule, train

_FIELD_WEIGHTS = (0.5, 0.0, 1.0, 0.5, 0.5, 0.5)  # of shape, expression (by groups, below), pose, zoom, place, eyes
_GROUP_WEIGHT = 0.5
_IDENTITY_WEIGHT = 0.2
_TEMPERATURE = 0.1


def reading_loss(reader: FaceReader, seen: Sample, where: Reading) -> Float[Tensor, ""]:
    """Squared error of the standardised numbers, and how well two frames of one identity find each other.

    Args:
        reader: the network.
        seen: frames of which each even one shows the same identity as the next, and no other does.
        where: where to look closely.

    Source: for identity, Chen et al. 2020 (SimCLR), equation 1.
    """
    with torch.autocast(seen.images.device.type, torch.bfloat16):
        numbers, who = reader.measure(seen.images, where)
    varies = reader.spread > 0
    wanted = (seen.truth.packed() - reader.mean) / torch.where(varies, reader.spread, 1.0)
    error = (numbers - wanted).square().mean(0)
    return (error * _weights(reader)).sum() + _IDENTITY_WEIGHT * _contrast(who)


def _weights(reader: FaceReader) -> Float[Tensor, "n"]:
    """Of each number: fields and groups of expressions count alike, however many numbers they have."""
    varies = (reader.spread > 0).float()
    weights = torch.zeros_like(varies)
    starts = list(accumulate(reader.sizes, initial=0))
    fields = [torch.arange(start, end) for start, end in pairwise(starts)]
    groups = [indices([group]) + starts[1] for group in GROUPS]
    for where, weight in (*zip(fields, _FIELD_WEIGHTS, strict=True), *((group, _GROUP_WEIGHT) for group in groups)):
        weights[where] += weight * varies[where] / varies[where].sum().clamp(min=1)
    return weights


def _contrast(who: Float[Tensor, "f d"]) -> Float[Tensor, ""]:
    likeness = who @ who.T / _TEMPERATURE
    likeness = likeness.masked_fill(torch.eye(len(who), dtype=torch.bool), -torch.inf)
    other = torch.arange(len(who), device=who.device) ^ 1
    return F.cross_entropy(likeness, other)


def train_reader(folder: Path, data: DrawnSet, held_out: DrawnSet, schedule: Schedule, *, batch: int = 16) -> None:
    """Train a reader and save its averaged weights in ``folder``/model, float16.

    Args:
        folder: of the run.
        data: pictures to learn from.
        held_out: pictures to judge it by.
        schedule: how to learn.
        batch: identities in a step, two frames of each.

    Raises:
        ConfigurationError: if the folder's run was begun with other data or settings, or a set with another version.
        CheckpointError: if its newest checkpoint is damaged.
        NotFiniteError: if a loss is NaN.
    """
    truth = true_readings(data)
    torch.manual_seed(schedule.seed)
    reader = FaceReader(num_shape=truth.shape.shape[1], num_joints=truth.pose.shape[1])
    reader.standardize(truth.packed())
    reader.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    run = Run(folder, reader, schedule, {**data.casting.settings, "data": data.digest, "batch": batch})

    def loss(generator: torch.Generator) -> Float[Tensor, ""]:
        who = torch.randperm(data.casting.identities, generator=generator)[:batch].repeat_interleave(2)
        when = torch.randint(data.casting.frames, (len(who) // 2,), generator=generator)
        later = torch.randint(1, data.casting.frames, when.shape, generator=generator)
        both = torch.stack([when, (when + later) % data.casting.frames], dim=1).flatten()
        seen = harder(sample(data, truth, who, both), generator)
        return reading_loss(reader, seen, mistaken(seen.truth, generator))

    def report() -> Mapping[str, float]:
        deepcopy(reader).half().save_pretrained(folder / "model")
        return assess(reader, held_out)

    train(run, loss, report=report)
