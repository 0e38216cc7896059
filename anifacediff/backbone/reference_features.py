"""What a ReferenceNet tells a denoiser, and how it meets the denoiser's rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch

from anifacediff.errors import InputError, ShapeError
from anifacediff.shapes import Float, Tensor


@dataclass(frozen=True)
class KeysValues:
    """The reference's keys and values for one self-attention layer.

    Attributes:
        key: b heads l d, one row for each reference.
        value: b heads l d.
    """

    key: Float[Tensor, "b heads l d"]
    value: Float[Tensor, "b heads l d"]


@dataclass(frozen=True)
class ReferenceFeatures:
    """What a denoiser's transformer blocks see of the reference; made once per clip.

    Attributes:
        layers: keys and values by the self-attention layer's place, for fusion by concatenation.
        guidance: whether the first half of the denoiser's rows is unconditional and does not see them.
        added: hidden states b l d by the transformer block's place, for fusion by addition.
    """

    layers: Mapping[str, KeysValues]
    guidance: bool = False
    added: Mapping[str, Tensor] = field(default_factory=dict)

    @classmethod
    def joined(cls, readings: Sequence["ReferenceFeatures"]) -> "ReferenceFeatures":
        """Let attention look at the tokens of several readings: at several pictures, or twice at the same.

        Published MagicPortrait attends twice to the same picture from its second call on, unless it is told to forget.

        Raises:
            InputError: if there is none, they differ in layers or guidance, or are to be added.
        """
        if not readings:
            raise InputError("readings: at least one is needed, found none.")
        first = readings[0]
        alike = (first.guidance, first.layers.keys())
        if any(each.added or (each.guidance, each.layers.keys()) != alike for each in readings):
            raise InputError(
                "readings: only those made for one denoiser by concatenation, with equal guidance, can be joined."
            )
        layers = {place: [each.layers[place] for each in readings] for place in first.layers}
        return cls(
            {
                place: KeysValues(
                    torch.cat([each.key for each in parts], dim=2), torch.cat([each.value for each in parts], dim=2)
                )
                for place, parts in layers.items()
            },
            first.guidance,
        )


def repeated(states: Tensor, rows: int) -> Tensor:
    """One row for each frame of a clip, from one for each reference; no copy where there is one clip.

    Raises:
        ShapeError: if the number of rows is no multiple of the number of references.
    """
    references = states.shape[0]
    if rows % references:
        raise ShapeError(
            f"reference_features: {references} references for {rows} rows of the denoiser; the rows must be a "
            "multiple. Give one reference per clip, and read(..., guidance=True) where unconditional and "
            "conditional rows share a batch."
        )
    return states[:, None].expand(-1, rows // references, *states.shape[1:]).flatten(0, 1)
