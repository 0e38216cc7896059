"""Image tokens: what a CLIP image encoder sees in the reference image, as context for cross-attention."""

from typing import Protocol, runtime_checkable

import torch.nn.functional as F
from torch import nn

from anifacediff.errors import AttachmentError
from anifacediff.shapes import Float, Tensor, check_finite, check_shape

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


@runtime_checkable
class ImageEmbedding(Protocol):
    """The output of an image encoder with projection."""

    @property
    def image_embeds(self) -> Tensor | None: ...

    @property
    def last_hidden_state(self) -> Tensor: ...


@runtime_checkable
class ImageEncoder(Protocol):
    """A CLIP vision model with projection, such as transformers' ``CLIPVisionModelWithProjection``."""

    def __call__(self, pixel_values: Tensor) -> ImageEmbedding: ...


class ImageTokens(nn.Module):
    """One context token for each image: the projected embedding of a CLIP image encoder.

    Args:
        encoder: a CLIP vision model with projection; its projection width must be the denoiser's context width.

    Source: AniFaceDiff, section 3.2; one token, as in Animate Anyone.
    """

    def __init__(self, encoder: ImageEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    @property
    def image_size(self) -> int:
        """Height and width in pixels that the encoder takes."""
        config = getattr(self.encoder, "config", None)
        size = getattr(config, "image_size", None)
        if not isinstance(size, int):
            raise AttachmentError(f"{type(self.encoder).__name__} does not say its image_size in its config.")
        return size

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 1 d"]:
        """Encode images.

        Args:
            images: b 3 h w, RGB in [0, 1], of any size; resized to the encoder's square, antialiased.

        Returns:
            One token of the encoder's projection width for each image. The unconditional token is zero.

        Raises:
            ShapeError: if the images are not b 3 h w.
            InputError: if they hold NaN or infinity.
        """
        embedding = self._seen(images).image_embeds
        assert embedding is not None
        return embedding[:, None]

    def patches(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b l c"]:
        """The class token and the patch tokens after the encoder's last layer, before any projection.

        Args:
            images: as above.

        Raises:
            ShapeError: if the images are not b 3 h w.
            InputError: if they hold NaN or infinity.
        """
        return self._seen(images).last_hidden_state

    def _seen(self, images: Tensor) -> ImageEmbedding:
        check_shape("images", images, "b 3 h w", None, 3, None, None)
        check_finite("images", images)
        size = (self.image_size, self.image_size)
        resized = F.interpolate(images.float(), size, mode="bicubic", antialias=True).clamp(0, 1)
        mean, std = (resized.new_tensor(values)[:, None, None] for values in (CLIP_MEAN, CLIP_STD))
        return self.encoder(((resized - mean) / std).to(images.dtype))
