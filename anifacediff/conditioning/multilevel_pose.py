"""The multi-level Pose Encoder: a pose picture enters a denoiser at every resolution on its way down."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from diffusers.configuration_utils import register_to_config
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from torch import nn

from anifacediff.attachment import Attachment
from anifacediff.checkpoint import StrictModel
from anifacediff.conditioning.pose_levels import DescendingDenoiser, attach_levels
from anifacediff.errors import AttachmentError, InputError, ShapeError
from anifacediff.shapes import Float, Tensor, check_finite, check_shape


class MultiLevelPoseEncoder(StrictModel):
    """Convolutions with batch normalisation make one map for each resolution of a denoiser from pose pictures.

    Map 0 is added after the denoiser's first convolution, map i after its i-th down block; what a block keeps for the
    way up is without the added map. In ``eval`` mode, as ``from_pretrained`` gives it, every frame is encoded alone.
    The stem's and the attentions' last layers start at zero, so that a fresh encoder changes nothing.

    Args:
        conditioning_channels: channels c of the pose pictures.
        stem_channels: widths of the stem; each but the last halves the resolution.
        block_out_channels: widths of the denoiser's down blocks; each but the last halves the resolution.
        self_attention: let the places of every map but the first look at each other, as the published weights do.
            Their attention "to the reference's pose" runs over the map's own places and gives the same numbers
            whatever the reference's pose is, which is therefore not asked for.
        attention_heads: heads of that attention.
        attention_head_dim: their width.
        norm_groups: groups of the normalisation before it.

    Source: AniPortrait, section 3.3, and its published pose guider.

    Example:
        >>> encoder = MultiLevelPoseEncoder.for_unet(unet).eval()             # doctest: +SKIP
        >>> with encoder.attach(unet):                                        # doctest: +SKIP
        ...     unet(latents, t, tokens, cross_attention_kwargs=encoder(pictures))
    """

    @register_to_config
    def __init__(
        self,
        *,
        conditioning_channels: int = 3,
        stem_channels: Sequence[int] = (16, 32, 64, 128),
        block_out_channels: Sequence[int] = (320, 640, 1280, 1280),
        self_attention: bool = True,
        attention_heads: int = 16,
        attention_head_dim: int = 88,
        norm_groups: int = 32,
    ) -> None:
        super().__init__()
        if not stem_channels or not block_out_channels:
            raise InputError("stem_channels, block_out_channels: at least one width of each is needed, found none.")
        self.conditioning_channels = conditioning_channels
        self.block_out_channels = tuple(block_out_channels)
        self.stride = 2 ** (len(stem_channels) - 1)
        *halving, last = pairwise((conditioning_channels, *stem_channels))
        self.stem = nn.Sequential(
            *(
                layer
                for narrow, wide in halving
                for layer in (*_layer(narrow, narrow), *_layer(narrow, wide, kernel=4, stride=2))
            ),
            *_layer(last[0], last[0]),
            *_layer(*last),
        )
        self.conv_out = nn.Conv2d(stem_channels[-1], block_out_channels[0], 1)
        self.scale = nn.Parameter(torch.full((1,), 2.0))
        *halving, last = pairwise((block_out_channels[0], *block_out_channels))
        self.steps = nn.ModuleList(
            nn.Sequential(*_layer(narrow, narrow), *_layer(narrow, wide, stride=2)) for narrow, wide in halving
        )
        self.steps.append(nn.Sequential(*_layer(*last)))
        self.attentions = nn.ModuleList(
            Transformer2DModel(attention_heads, attention_head_dim, in_channels=width, norm_num_groups=norm_groups)
            for width in block_out_channels
            if self_attention
        )
        for layer in (self.conv_out, *(attention.get_submodule("proj_out") for attention in self.attentions)):
            for parameter in layer.parameters():
                nn.init.zeros_(parameter)

    @classmethod
    def for_unet(
        cls,
        unet: DescendingDenoiser,
        *,
        conditioning_channels: int = 3,
        self_attention: bool = True,
        attention_heads: int = 16,
        attention_head_dim: int = 88,
    ) -> "MultiLevelPoseEncoder":
        """Build a fresh encoder whose maps fit a denoiser."""
        return cls(
            conditioning_channels=conditioning_channels,
            block_out_channels=tuple(unet.config["block_out_channels"]),
            self_attention=self_attention,
            attention_heads=attention_heads,
            attention_head_dim=attention_head_dim,
        )

    def features(self, pictures: Float[Tensor, "f c h w"]) -> tuple[Tensor, ...]:
        """Encode pose pictures at every resolution of the denoiser; see :meth:`forward`."""
        check_shape("pictures", pictures, "f c h w", None, self.conditioning_channels, None, None)
        check_finite("pictures", pictures)
        if pictures.shape[-2] % self.stride or pictures.shape[-1] % self.stride:
            raise ShapeError(
                f"pictures: height and width must be multiples of {self.stride}, found {tuple(pictures.shape)}."
            )
        states = self.conv_out(self.stem(pictures.to(self.conv_out.weight.dtype))) * self.scale
        levels = [states]
        for number, step in enumerate(self.steps):
            states = step(states)
            if self.attentions:
                states = self.attentions[number](states, return_dict=False)[0]
            levels.append(states)
        return tuple(levels)

    def forward(self, pictures: Float[Tensor, "f c h w"]) -> dict[str, tuple[Tensor, ...]]:
        """Make the denoiser's condition from one pose picture per frame.

        Args:
            pictures: f c h w in [-1, 1] (other pose encoders take [0, 1]); h and w as of the image.

        Returns:
            Entries for ``cross_attention_kwargs``: a map f d h2 w2 for each level. The rows of the denoiser may be a
            multiple of f: both halves of a guided batch get the same maps.

        Raises:
            ShapeError: if the pictures have other channels, or a size that the stem's strides do not divide.
            InputError: if they hold NaN or infinity.
        """
        return {"pose_levels": self.features(pictures)}

    def attach(self, unet: DescendingDenoiser) -> Attachment:
        """Let a denoiser take ``pose_levels`` from ``cross_attention_kwargs`` until detached.

        Raises:
            AttachmentError: if the maps do not fit the denoiser, or such an encoder is attached already.
        """
        widths = tuple(unet.config["block_out_channels"])
        if widths != self.block_out_channels:
            raise AttachmentError(
                f"This encoder makes maps for down blocks of {self.block_out_channels} channels, the denoiser's have "
                f"{widths}: build the encoder with MultiLevelPoseEncoder.for_unet(unet)."
            )
        return attach_levels(unet)


def _layer(narrow: int, wide: int, *, kernel: int = 3, stride: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(narrow, wide, kernel, stride=stride, padding=1)
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    nn.init.zeros_(conv.bias)  # pyright: ignore[reportArgumentType]
    return [conv, nn.BatchNorm2d(wide), nn.ReLU()]
