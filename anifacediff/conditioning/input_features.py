"""Features that are laid over a denoiser's input, whatever made them."""

from typing import Any, Literal, Protocol, runtime_checkable

from torch import nn

from anifacediff.attachment import AttachedModule, Attachment
from anifacediff.errors import AttachmentError
from anifacediff.input_channels import Call, carries, move_to_input
from anifacediff.shapes import Tensor

Placement = Literal["after_conv_in", "latents", "concatenate"]
PLACEMENTS: tuple[Placement, ...] = ("after_conv_in", "latents", "concatenate")


@runtime_checkable
class ConvInDenoiser(Protocol):
    """A denoiser whose input enters through one convolution."""

    conv_in: nn.Conv2d


def attach_input_features(unet: ConvInDenoiser, channels: int, placement: Placement) -> Attachment:
    """Let a denoiser take ``pose_features`` from ``cross_attention_kwargs`` until detached.

    Args:
        unet: the denoiser.
        channels: of the features.
        placement: ``"after_conv_in"`` adds them to the output of the denoiser's first convolution, ``"latents"`` to
            its input; ``"concatenate"`` makes them the last channels of its input.

    Raises:
        AttachmentError: if the features do not fit the denoiser, or others are attached already.
    """
    if isinstance(unet.conv_in, _PoseConv):
        raise AttachmentError("A pose encoder is attached to this denoiser already; detach it first.")
    if type(unet.conv_in) is not nn.Conv2d:
        raise AttachmentError(
            f"The denoiser's conv_in is a {type(unet.conv_in).__name__}, not the stock convolution; fuse or unload "
            "what was added to it (LoRA), or leave conv_in out of its target modules."
        )
    _check_fit(unet.conv_in, channels, placement)
    assert isinstance(unet, nn.Module)
    stock = unet.conv_in
    ours = _PoseConv(stock, placement, channels)
    unet.conv_in = ours
    handle = unet.register_forward_pre_hook(_join_features, with_kwargs=True)

    def undo() -> None:
        handle.remove()
        if unet.conv_in is ours:
            unet.conv_in = stock

    return Attachment(undo)


def _check_fit(conv_in: nn.Conv2d, channels: int, placement: Placement) -> None:
    fits = {
        "after_conv_in": channels == conv_in.out_channels,
        "latents": channels == conv_in.in_channels,
        "concatenate": channels < conv_in.in_channels,
    }
    if not fits[placement]:
        raise AttachmentError(
            f"The features have {channels} channels, which at the placement {placement!r} do not fit a denoiser "
            f"whose conv_in takes {conv_in.in_channels} and gives {conv_in.out_channels}: build the encoder with "
            "its for_unet(unet)."
        )


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


def _join_features(unet: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    if not carries(kwargs, "pose_features"):
        return args, kwargs
    conv_in = unet.conv_in
    if not isinstance(conv_in, _PoseConv):
        raise AttachmentError(
            f"The conv_in attached to this denoiser was replaced by a {type(conv_in).__name__}, so pose_features would "
            "be ignored. Detach, change the denoiser, then attach again."
        )
    return move_to_input(args, kwargs, "pose_features", conv_in.pose_channels)
