"""Inter-clip affinity: a clip continues the last frames of the clip before it."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from anifacediff.attachment import Attachment
from anifacediff.errors import AttachmentError, InputError, ShapeError
from anifacediff.input_channels import Call, carries, move_to_input
from anifacediff.shapes import Float, Tensor, check_finite, check_shape

ARGUMENT = "inter_clip"


@dataclass(frozen=True)
class InterClipAffinity:
    """The previous clip's clean latents and a mask stand in the denoiser's input, after the noisy latents.

    The channels are: noisy latents, latents of the control maps if there are any, previous latents (zeros where there
    are none), mask (1 where there are some). The weights that read them are those of the denoiser's own first
    convolution, widened by :attr:`channels` zeros by :func:`~anifacediff.assemblies.parts.widen_input`: until trained,
    they change nothing.

    Attributes:
        latent_channels: channels c of the latents.
        map_channels: channels m of the control maps' latents, 0 for none (MIMAFace: 4).

    Source: MIMAFace, section 3.3.

    Example:
        >>> affinity = InterClipAffinity()                                # doctest: +SKIP
        >>> unet = temporal.inflate(widen_input(unet, affinity.channels)) # doctest: +SKIP
        >>> with affinity.attach(unet):                                   # doctest: +SKIP
        ...     unet(latents, t, tokens, cross_attention_kwargs=affinity(previous, num_frames=12))
    """

    latent_channels: int = 4
    map_channels: int = 0

    @property
    def channels(self) -> int:
        """How many input channels a denoiser needs beside those of the noisy latents."""
        return self.map_channels + self.latent_channels + 1

    def __call__(
        self,
        previous: Float[Tensor, "k c h w"],
        *,
        num_frames: int,
        map_latents: Float[Tensor, "f m h w"] | None = None,
    ) -> dict[str, Tensor]:
        """Make the denoiser's condition for one clip.

        Args:
            previous: the clean latents that the clip begins with, as scaled for the denoiser; k is 0 for a first clip.
            num_frames: length f of the clip.
            map_latents: one latent for each frame, if there are ``map_channels``.

        Returns:
            An entry for ``cross_attention_kwargs``. The rows of the denoiser may be a multiple of f: both halves of a
            guided batch get the same.

        Raises:
            ShapeError: if channels, sizes or numbers of frames do not fit.
            InputError: if anything holds NaN or infinity.
        """
        check_shape("previous", previous, "k c h w", None, self.latent_channels, None, None)
        check_finite("previous", previous)
        if len(previous) > num_frames:
            raise ShapeError(f"previous: {len(previous)} frames do not fit a clip of {num_frames}.")
        mask = torch.ones_like(previous[:, :1])
        condition = previous.new_zeros(num_frames, self.latent_channels + 1, *previous.shape[2:])
        condition[: len(previous)] = torch.cat([previous, mask], 1)
        maps = condition[:, :0] if map_latents is None else map_latents
        check_shape("map_latents", maps, "f m h w", num_frames, self.map_channels, *previous.shape[2:])
        return {ARGUMENT: torch.cat([maps.to(condition), condition], 1)}

    def attach(self, unet: nn.Module) -> Attachment:
        """Let a denoiser take ``inter_clip`` from ``cross_attention_kwargs`` until detached.

        The channels come right after the noisy latents, whatever else is attached before or after.

        Raises:
            AttachmentError: if the denoiser's first convolution has no such channels, or this is attached already.
        """
        conv_in = getattr(unet, "conv_in", None)
        if not isinstance(conv_in, nn.Conv2d) or conv_in.in_channels < self.latent_channels + self.channels:
            found = conv_in.in_channels if isinstance(conv_in, nn.Conv2d) else "no"
            raise AttachmentError(
                f"{type(unet).__name__} takes {found} input channels, but {self.latent_channels + self.channels} are "
                "needed: widen it with anifacediff.assemblies.parts.widen_input first."
            )
        if any(isinstance(hook, _Join) for hook in vars(unet)["_forward_pre_hooks"].values()):
            raise AttachmentError("Inter-clip affinity is attached to this denoiser already; detach it first.")
        handle: RemovableHandle = unet.register_forward_pre_hook(_Join(self.channels), prepend=True, with_kwargs=True)
        return Attachment(handle.remove)


@dataclass(frozen=True)
class LeadingFrames:
    """What training shows as the previous clip: now and then some first frames of the clip itself, with noise.

    Noise stands in for what the denoiser will get wrong in the frames that it is shown at inference.

    Attributes:
        probability: how often frames are shown at all.
        most: how many at most; at least one.
        noise: standard deviation of the noise.

    Raises:
        InputError: if the probability is not one, or the others are not positive.

    Source: MIMAFace, eq. 3 and 4, where k is uniform from 0 to a quarter of the clip; with these probabilities in the
        published code.
    """

    probability: float = 0.5
    most: int = 4
    noise: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1 or self.most < 1 or self.noise < 0:
            raise InputError(f"LeadingFrames: a probability, a number from 1 on and a deviation, found {self}.")

    def __call__(
        self, latents: Float[Tensor, "f c h w"], generator: torch.Generator | None = None
    ) -> Float[Tensor, "k c h w"]:
        """Draw the previous latents for a training clip.

        Args:
            latents: the clip's clean latents.
            generator: of random numbers, on the CPU.
        """
        if float(torch.rand((), generator=generator)) >= self.probability:
            return latents[:0]
        count = int(torch.randint(1, self.most + 1, (), generator=generator))
        shown = latents[:count]
        return shown + self.noise * torch.randn(shown.shape, generator=generator).to(shown)


@dataclass(frozen=True)
class _Join:
    """The hook that puts the condition into the input."""

    channels: int

    def __call__(self, unet: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        if not carries(kwargs, ARGUMENT):
            raise AttachmentError(
                f"Inter-clip affinity is attached, but cross_attention_kwargs has no {ARGUMENT!r}. For "
                "a first clip, give previous latents of no frame."
            )
        return move_to_input(args, kwargs, ARGUMENT, self.channels)
