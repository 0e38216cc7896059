"""The Pose Encoder: control maps become features that are laid over the denoiser's input."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import register_to_config
from torch import nn

from anifacediff.attachment import AttachedModule, Attachment
from anifacediff.checkpoint import StrictModel
from anifacediff.errors import AttachmentError, InputError, ShapeError
from anifacediff.shapes import Float, Tensor, check_finite, check_shape

Placement = Literal["after_conv_in", "latents", "concatenate"]
PLACEMENTS: tuple[Placement, ...] = ("after_conv_in", "latents", "concatenate")
_OCTAVES = 4


@runtime_checkable
class ConvInDenoiser(Protocol):
    """A denoiser whose input enters through one convolution."""

    conv_in: nn.Conv2d


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
        self.conv_out = nn.Conv2d(block_out_channels[-1], out_channels, 3, padding=1)
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
        if isinstance(unet.conv_in, _PoseConv):
            raise AttachmentError("A pose encoder is attached to this denoiser already; detach it first.")
        if type(unet.conv_in) is not nn.Conv2d:
            raise AttachmentError(
                f"The denoiser's conv_in is a {type(unet.conv_in).__name__}, not the stock convolution; fuse or unload "
                "what was added to it (LoRA), or leave conv_in out of its target modules."
            )
        self._check_fit(unet)
        assert isinstance(unet, nn.Module)
        stock = unet.conv_in
        ours = _PoseConv(stock, self.placement, self.conv_out.out_channels)
        unet.conv_in = ours
        handle = unet.register_forward_pre_hook(_join_features, with_kwargs=True)

        def undo() -> None:
            handle.remove()
            if unet.conv_in is ours:
                unet.conv_in = stock

        return Attachment(undo)

    def _check_fit(self, unet: ConvInDenoiser) -> None:
        width = self.conv_out.out_channels
        fits = {
            "after_conv_in": width == unet.conv_in.out_channels,
            "latents": width == unet.conv_in.in_channels,
            "concatenate": width < unet.conv_in.in_channels,
        }
        if not fits[self.placement]:
            raise AttachmentError(
                f"The features have {width} channels, which at the placement {self.placement!r} do not fit a denoiser "
                f"whose conv_in takes {unet.conv_in.in_channels} and gives {unet.conv_in.out_channels}: build the "
                "encoder with PoseEncoder.for_unet(unet, placement=...)."
            )


def _position_code(features: Float[Tensor, "f d h w"]) -> Float[Tensor, "1 c h w"]:
    """Sines and cosines of x and y in latents; the shortest wave is four of them long, each next one twice as long."""
    height, width = features.shape[-2:]
    places = torch.stack(torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")).to(features)
    waves = torch.pi / 2 / 2 ** torch.arange(_OCTAVES).to(features)
    angles = (places[:, None] * waves[:, None, None]).flatten(0, 1)
    return torch.cat([angles.sin(), angles.cos()])[None]


class _PoseConv(AttachedModule, nn.Conv2d):
    """The denoiser's first convolution, for an input that carries pose features in its last channels.

    The weights are the stock module's own parameters, under the same names. The features travel in the
    input, so that nothing is remembered between calls.
    """

    def __init__(self, stock: nn.Conv2d, placement: Placement, pose_channels: int) -> None:
        super().__init__(
            stock.in_channels,
            stock.out_channels,
            (stock.kernel_size[0], stock.kernel_size[1]),
            padding=(int(stock.padding[0]), int(stock.padding[1])),
            device="meta",
        )
        self.weight, self.bias = stock.weight, stock.bias
        self.placement: Placement = placement
        self.pose_channels = pose_channels

    def forward(self, input: Tensor) -> Tensor:
        extra = input.shape[1] - self.in_channels
        if self.placement == "concatenate" or extra == 0:
            return super().forward(input)
        latents, features = input.split([self.in_channels, extra], dim=1)
        if self.placement == "latents":
            return super().forward(latents + features)
        return super().forward(latents) + features


def _join_features(
    unet: nn.Module, args: tuple[object, ...], kwargs: dict[str, object]
) -> tuple[tuple[object, ...], dict[str, object]]:
    conditions = kwargs.get("cross_attention_kwargs")
    if not isinstance(conditions, dict) or "pose_features" not in conditions:
        return args, kwargs
    conv_in = unet.conv_in
    if not isinstance(conv_in, _PoseConv):
        raise AttachmentError(
            f"The conv_in attached to this denoiser was replaced by a {type(conv_in).__name__}, so pose_features would "
            "be ignored. Detach, change the denoiser, then attach again."
        )
    others = {name: value for name, value in conditions.items() if name != "pose_features"}
    sample = args[0] if args else kwargs["sample"]
    joined = _concatenate(sample, conditions["pose_features"], conv_in.pose_channels)  # pyright: ignore[reportArgumentType]
    kwargs = {**kwargs, "cross_attention_kwargs": others}
    return ((joined, *args[1:]), kwargs) if args else ((), {**kwargs, "sample": joined})


def _concatenate(sample: Tensor, features: Tensor, channels: int) -> Tensor:
    """Append features to the channels of latents ``n c h w`` or ``b c f h w``."""
    video = sample.ndim == 5
    rows = sample.shape[0] * (sample.shape[2] if video else 1)
    check_shape("pose_features", features, "f d h w", None, channels, None, None)
    if rows % features.shape[0] or features.shape[-2:] != sample.shape[-2:]:
        raise ShapeError(
            f"pose_features: {tuple(features.shape)} do not fit latents of {rows} rows at "
            f"{tuple(sample.shape[-2:])}. Give one map per frame, of the size of the image."
        )
    features = features.repeat(rows // features.shape[0], 1, 1, 1).to(sample.dtype)
    if video:
        features = features.unflatten(0, (sample.shape[0], sample.shape[2])).transpose(1, 2)
    return torch.cat([sample, features], dim=1)
