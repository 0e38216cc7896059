"""How an assembly is trained: which parts learn, and what the denoiser is told; ``recipes`` has one for each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from torch import nn

from anifacediff.assemblies.pipeline import AnimationPipeline
from anifacediff.attachment import Attachment
from anifacediff.shapes import Float, Tensor
from anifacediff.training.full.examples import Examples


@dataclass(frozen=True)
class Told:
    """What the denoiser is told of b clips of f frames.

    Attributes:
        context: one row of tokens for each of b f frames, clip by clip.
        entries: of ``cross_attention_kwargs``.
    """

    context: Float[Tensor, "n l d"]
    entries: Mapping[str, object]


@runtime_checkable
class Recipe(Protocol):
    """How an assembly is trained: the denoiser in stage 1, its temporal modules in stage 2, and what is named here."""

    @property
    def pipe(self) -> AnimationPipeline:
        """The assembly."""
        ...

    @property
    def parts(self) -> Mapping[str, nn.Module]:
        """The parts that conditions are made by, by their names in the pipeline."""
        ...

    @property
    def learned(self) -> tuple[str, ...]:
        """The names of those that learn in stage 1."""
        ...

    @property
    def learned_on_clips(self) -> tuple[str, ...]:
        """What learns in stage 2 beside the temporal modules: beginnings of names, as in ``unet.`` and ``parts.``."""
        ...

    def attach(self, unet: Any) -> list[Attachment]:
        """Attach the parts to a denoiser, as the pipeline does."""
        ...

    def conditions(self, examples: Examples, unet: Any, told: bool) -> Told:
        """Make conditions.

        Args:
            examples: with latents.
            unet: the denoiser that the parts are attached to.
            told: whether the denoiser is told everything, or as little as the side that guidance contrasts with.
        """
        ...
