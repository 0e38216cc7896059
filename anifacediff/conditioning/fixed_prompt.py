"""One text, encoded once, as the context of every frame."""

from typing import Any, Protocol, runtime_checkable

import torch
from diffusers.configuration_utils import register_to_config
from torch import nn

from anifacediff.checkpoint import StrictModel
from anifacediff.shapes import Float, Tensor, check_shape


@runtime_checkable
class TextEncoder(Protocol):
    """A CLIP text model, such as transformers' ``CLIPTextModel``."""

    def __call__(self, input_ids: Tensor) -> Any: ...


class FixedPrompt(StrictModel):
    """The encoded text, kept so that neither tokenizer nor text encoder is needed afterwards.

    Args:
        num_tokens: l.
        width: d, of a token.

    Source: MagicPortrait's published code, which always asks for "A close up of a person."
    """

    @register_to_config
    def __init__(self, *, num_tokens: int = 77, width: int = 768) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.zeros(1, num_tokens, width), requires_grad=False)

    @classmethod
    def of(cls, embedding: Float[Tensor, "1 l d"]) -> "FixedPrompt":
        """Keep an embedding.

        Raises:
            ShapeError: if it is not one text.
        """
        check_shape("embedding", embedding, "1 l d", 1, None, None)
        prompt = cls(num_tokens=embedding.shape[1], width=embedding.shape[2])
        prompt.embedding.data.copy_(embedding)
        return prompt

    @classmethod
    @torch.no_grad()
    def encoded(cls, text: str, tokenizer: Any, text_encoder: TextEncoder) -> "FixedPrompt":
        """Encode a text as Stable Diffusion does, padded to the tokenizer's length.

        Args:
            text: for instance "A close up of a person."
            tokenizer: transformers' ``CLIPTokenizer``.
            text_encoder: its hidden states after the last layer are kept.
        """
        length = tokenizer.model_max_length
        ids = tokenizer(text, padding="max_length", max_length=length, truncation=True, return_tensors="pt").input_ids
        return cls.of(text_encoder(ids)[0])

    def forward(self) -> Float[Tensor, "1 l d"]:
        """The context."""
        return self.embedding
