"""Geometric guidance: an encoder for each kind of control map, whose features are summed over the denoiser's input."""

from collections.abc import Sequence
from typing import Literal

import torch
from diffusers.configuration_utils import register_to_config
from torch import nn

from anifacediff.attachment import Attachment
from anifacediff.checkpoint import StrictModel
from anifacediff.conditioning.input_features import ConvInDenoiser, attach_input_features
from anifacediff.conditioning.pose_encoder import PoseEncoder
from anifacediff.errors import InputError
from anifacediff.geometry.snapshots import ControlMaps
from anifacediff.shapes import Float, Tensor, check_shape

MapName = Literal["depth", "normal", "shaded"]
GUIDANCE_MAPS: tuple[MapName, ...] = ("depth", "normal", "shaded")
_CHANNELS = 3  # of every map: depth is repeated


class GeometricGuidanceEncoder(StrictModel):
    """A :class:`PoseEncoder` with self-attention for each map; their features are added after the first convolution.

    The last convolutions start at zero, so that a fresh encoder changes nothing. It takes the place of a
    :class:`PoseEncoder`: the condition has the same name, and one of the two is attached.

    Args:
        maps: which maps, one to three, in the order in which :meth:`forward` takes them.
        block_out_channels: widths of the convolutions; every one but the first halves the resolution.
        attention_heads: heads of the self-attention at the last width.
        out_channels: channels d of the features, the width of the denoiser's first convolution.

    Raises:
        InputError: if ``maps`` is empty, or names a map twice or one that there is not.

    Source: MagicPortrait, section III-B, equation 2; in the published code the attention is a whole transformer block
        (self-attention and feed-forward) between 1 x 1 convolutions, with a residual.

    Example:
        >>> guidance = GeometricGuidanceEncoder.for_unet(unet)               # doctest: +SKIP
        >>> with guidance.attach(unet):                                      # doctest: +SKIP
        ...     unet(latents, t, tokens, cross_attention_kwargs=guidance(guidance.stack(control_maps)))
    """

    @register_to_config
    def __init__(
        self,
        *,
        maps: Sequence[MapName] = GUIDANCE_MAPS,
        block_out_channels: Sequence[int] = (16, 32, 96, 256),
        attention_heads: int = 8,
        out_channels: int = 320,
    ) -> None:
        super().__init__()
        if not maps or len(set(maps)) < len(maps) or not set(maps) <= set(GUIDANCE_MAPS):
            raise InputError(f"maps: expected some of {', '.join(GUIDANCE_MAPS)}, each once; found {tuple(maps)}.")
        self.maps = tuple(maps)
        self.out_channels = out_channels
        self.encoders = nn.ModuleDict(
            {
                name: PoseEncoder(
                    conditioning_channels=_CHANNELS,
                    block_out_channels=block_out_channels,
                    attention_heads=attention_heads,
                    out_channels=out_channels,
                )
                for name in maps
            }
        )

    @classmethod
    def for_unet(
        cls,
        unet: ConvInDenoiser,
        *,
        maps: Sequence[MapName] = GUIDANCE_MAPS,
        block_out_channels: Sequence[int] = (16, 32, 96, 256),
        attention_heads: int = 8,
    ) -> "GeometricGuidanceEncoder":
        """Build a fresh encoder whose features fit a denoiser."""
        return cls(
            maps=maps,
            block_out_channels=block_out_channels,
            attention_heads=attention_heads,
            out_channels=unet.conv_in.out_channels,
        )

    def stack(self, control_maps: ControlMaps) -> Float[Tensor, "f c h w"]:
        """Put the maps of this encoder behind each other in its order; depth is repeated to three channels.

        Raises:
            InputError: if one of them was not drawn.
        """
        pictures = {name: getattr(control_maps, name) for name in self.maps}
        missing = [name for name, picture in pictures.items() if picture is None]
        if missing:
            raise InputError(f"maps: {', '.join(missing)} not drawn; ask the renderer for maps={self.maps}.")
        return torch.cat([picture.expand(-1, _CHANNELS, -1, -1) for picture in pictures.values()], dim=1)

    def features(self, maps: Float[Tensor, "f c h w"]) -> Float[Tensor, "f d h2 w2"]:
        """Encode stacked maps at the resolution of the latents and add them up; see :meth:`forward`."""
        check_shape("maps", maps, "f c h w", None, _CHANNELS * len(self.maps), None, None)
        parts = zip(self.encoders.values(), maps.split(_CHANNELS, dim=1), strict=True)
        return torch.stack([encoder(part)["pose_features"] for encoder, part in parts]).sum(0)

    def forward(self, maps: Float[Tensor, "f c h w"]) -> dict[str, Tensor]:
        """Make the denoiser's condition from the maps of each frame.

        Args:
            maps: f c h w, three channels for each map in the order of ``maps``, in [0, 1]; h and w as of the image.
                :meth:`stack` makes them.

        Returns:
            Entries for ``cross_attention_kwargs``, as of :class:`PoseEncoder`.

        Raises:
            ShapeError: if the maps have other channels, or a size that the strides do not divide.
            InputError: if they hold NaN or infinity.
        """
        return {"pose_features": self.features(maps)}

    def attach(self, unet: ConvInDenoiser) -> Attachment:
        """Let a denoiser take ``pose_features`` from ``cross_attention_kwargs`` until detached.

        Raises:
            AttachmentError: if the features do not fit the denoiser, or an encoder is attached already.
        """
        return attach_input_features(unet, self.out_channels, "after_conv_in")
