"""The Pose Encoder: control maps become features that are laid over the denoiser's input."""

from collections.abc import Sequence
from itertools import pairwise
from math import gcd

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import register_to_config
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from torch import nn

from anifacediff.attachment import Attachment
from anifacediff.checkpoint import StrictModel
from anifacediff.conditioning.input_features import PLACEMENTS, ConvInDenoiser, Placement, attach_input_features
from anifacediff.errors import AttachmentError, InputError, ShapeError
from anifacediff.shapes import Float, Tensor, check_finite, check_shape

_OCTAVES = 4


class PoseEncoder(StrictModel):
    """Convolutions bring control maps to the latents' resolution; the result is laid over the noisy input.

    The last convolution starts at zero, so that a fresh encoder changes nothing where it is added.

    Args:
        conditioning_channels: channels c of the control maps.
        block_out_channels: widths; every one but the first halves the resolution (4 widths: 1/8).
        out_channels: channels d of the features.
        placement: where the features go: ``"after_conv_in"`` adds them to the output of the denoiser's first
            convolution (d is its width; published Animate Anyone code), ``"latents"`` adds them to the noisy
            latents (AniFaceDiff as worded), ``"concatenate"`` appends them as input channels of a denoiser that
            was built with that many more (AniFaceDiff v1).
        positions: add a code of the place in the picture to the features, from which a denoiser and a ReferenceNet
            that are both given features can tell the same place in both; not in the paper. Small networks that
            are trained from nothing gain by it.
        guide_channels: channels of latents that a convolution of their own adds to the features, such as those of
            :class:`~anifacediff.conditioning.ReferenceGuide`; none if 0. Not in the paper.
        attention_heads: heads of a self-attention transformer before the last convolution, as in each encoder of
            :class:`~anifacediff.conditioning.GeometricGuidanceEncoder`; none if 0.

    Source: AniFaceDiff, section 3.3; Animate Anyone's pose guider.

    Example:
        >>> encoder = PoseEncoder.for_unet(unet)                  # doctest: +SKIP
        >>> with encoder.attach(unet):                            # doctest: +SKIP
        ...     unet(latents, t, tokens, cross_attention_kwargs=encoder(maps.normal))
    """

    @register_to_config
    def __init__(
        self,
        *,
        conditioning_channels: int = 3,
        block_out_channels: Sequence[int] = (16, 32, 96, 256),
        out_channels: int = 320,
        placement: Placement = "after_conv_in",
        positions: bool = False,
        guide_channels: int = 0,
        attention_heads: int = 0,
    ) -> None:
        super().__init__()
        if placement not in PLACEMENTS:
            raise InputError(f"placement: expected one of {', '.join(PLACEMENTS)}, found {placement!r}.")
        if not block_out_channels:
            raise InputError("block_out_channels: at least one width is needed, found none.")
        self.placement: Placement = placement
        self.conditioning_channels = conditioning_channels
        self.stride = 2 ** (len(block_out_channels) - 1)
        self.conv_in = nn.Conv2d(conditioning_channels, block_out_channels[0], 3, padding=1)
        self.blocks = nn.ModuleList()
        for width, wider in pairwise(block_out_channels):
            self.blocks.append(nn.Conv2d(width, width, 3, padding=1))
            self.blocks.append(nn.Conv2d(width, wider, 3, padding=1, stride=2))
        width = block_out_channels[-1]
        self.attention = _self_attention(width, attention_heads) if attention_heads else None
        self.conv_out = nn.Conv2d(width, out_channels, 3, padding=1)
        nn.init.zeros_(self.conv_out.weight)
        nn.init.zeros_(self.conv_out.bias)  # pyright: ignore[reportArgumentType]
        self.position_out = nn.Conv2d(4 * _OCTAVES, out_channels, 1, bias=False) if positions else None
        if self.position_out is not None:
            nn.init.zeros_(self.position_out.weight)
        self.guide_channels = guide_channels
        self.guide_out = nn.Conv2d(guide_channels, out_channels, 3, padding=1, bias=False) if guide_channels else None
        if self.guide_out is not None:
            nn.init.zeros_(self.guide_out.weight)

    @classmethod
    def for_unet(
        cls,
        unet: ConvInDenoiser,
        *,
        placement: Placement = "after_conv_in",
        latent_channels: int = 4,
        conditioning_channels: int = 3,
        block_out_channels: Sequence[int] = (16, 32, 96, 256),
        positions: bool = False,
        guide_channels: int = 0,
    ) -> "PoseEncoder":
        """Build a fresh encoder whose features fit a denoiser at the given placement."""
        out_channels = {
            "after_conv_in": unet.conv_in.out_channels,
            "latents": latent_channels,
            "concatenate": unet.conv_in.in_channels - latent_channels,
        }
        if out_channels[placement] <= 0:
            raise AttachmentError(
                f"This denoiser takes {unet.conv_in.in_channels} channels, none beside the {latent_channels} of the "
                "latents: build it with more in_channels to concatenate pose features."
            )
        return cls(
            conditioning_channels=conditioning_channels,
            block_out_channels=block_out_channels,
            out_channels=out_channels[placement],
            placement=placement,
            positions=positions,
            guide_channels=guide_channels,
        )

    def features(
        self, maps: Float[Tensor, "f c h w"], guide: Float[Tensor, "f g h2 w2"] | None = None
    ) -> Float[Tensor, "f d h2 w2"]:
        """Encode control maps at the resolution of the latents; see :meth:`forward`."""
        check_shape("maps", maps, "f c h w", None, self.conditioning_channels, None, None)
        check_finite("maps", maps)
        if maps.shape[-2] % self.stride or maps.shape[-1] % self.stride:
            raise ShapeError(f"maps: height and width must be multiples of {self.stride}, found {tuple(maps.shape)}.")
        states = F.silu(self.conv_in(maps.to(self.conv_in.weight.dtype)))
        for block in self.blocks:
            states = F.silu(block(states))
        if self.attention is not None:
            states = self.attention(states, return_dict=False)[0]
        features = self.conv_out(states)
        if self.position_out is not None:
            features = features + self.position_out(_position_code(features))
        return features if guide is None else features + self._guided(guide, features)

    def _guided(self, guide: Float[Tensor, "f g h w"], features: Float[Tensor, "f d h w"]) -> Float[Tensor, "f d h w"]:
        check_shape("guide", guide, "f g h w", len(features), self.guide_channels, *features.shape[-2:])
        assert self.guide_out is not None
        return self.guide_out(guide.to(features.dtype))

    def forward(
        self, maps: Float[Tensor, "f c h w"], guide: Float[Tensor, "f g h2 w2"] | None = None
    ) -> dict[str, Tensor]:
        """Make the denoiser's condition from one control map per frame.

        Args:
            maps: f c h w, in the range of their convention; h and w as of the image.
            guide: f g h2 w2, latents for an encoder with ``guide_channels``; may be left out.

        Returns:
            Entries for ``cross_attention_kwargs``. The rows of the denoiser may be a multiple of f: both halves
            of a guided batch get the same features.

        Raises:
            ShapeError: if the maps have other channels, or a size that the strides do not divide; or the guide is not
                as large as the features, or has other channels than ``guide_channels``.
            InputError: if they hold NaN or infinity.
        """
        return {"pose_features": self.features(maps, guide)}

    def attach(self, unet: ConvInDenoiser) -> Attachment:
        """Let a denoiser take ``pose_features`` from ``cross_attention_kwargs`` until detached.

        Raises:
            AttachmentError: if the features do not fit the denoiser, or a pose encoder is attached already.
        """
        return attach_input_features(unet, self.conv_out.out_channels, self.placement)


def _self_attention(width: int, heads: int) -> Transformer2DModel:
    if width % heads:
        raise InputError(f"attention_heads: {heads} do not divide the last width {width}.")
    return Transformer2DModel(heads, width // heads, in_channels=width, norm_num_groups=gcd(32, width))


def _position_code(features: Float[Tensor, "f d h w"]) -> Float[Tensor, "1 c h w"]:
    """Sines and cosines of x and y in latents; the shortest wave is four of them long, each next one twice as long."""
    height, width = features.shape[-2:]
    places = torch.stack(torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")).to(features)
    waves = torch.pi / 2 / 2 ** torch.arange(_OCTAVES).to(features)
    angles = (places[:, None] * waves[:, None, None]).flatten(0, 1)
    return torch.cat([angles.sin(), angles.cos()])[None]
