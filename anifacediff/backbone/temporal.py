"""Temporal modules: AnimateDiff's attention over frames, put into a stock 2D denoiser and taken out again."""

import inspect
from typing import Literal

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.models.unets.unet_motion_model import AnimateDiffTransformer3D, MotionAdapter, UNetMotionModel
from torch import nn

from anifacediff.attachment import Attachment, refuse_attached
from anifacediff.checkpoint import StrictModel
from anifacediff.errors import AttachmentError, ShapeError
from anifacediff.shapes import Tensor

FrameNorm = Literal["per_frame", "per_clip"]


class TemporalModules(StrictModel, MotionAdapter):
    """AnimateDiff's motion modules, with the verbs to use them on any ``UNet2DConditionModel``.

    :meth:`inflate` builds a ``UNetMotionModel`` that shares every weight with the 2D denoiser, which stays as it
    is; :meth:`deflate` gives the 2D denoiser back from a ``UNetMotionModel`` of any origin.

    Source: AniFaceDiff, section 3.2; AnimateDiff.
    """

    @classmethod
    def for_unet(
        cls,
        unet: UNet2DConditionModel,
        *,
        max_frames: int = 32,
        heads: int = 8,
        norm_groups: int = 32,
        mid_block: bool = True,
    ) -> "TemporalModules":
        """Build fresh modules for a denoiser; their last layers are zero, so that they change nothing.

        Args:
            unet: the 2D denoiser.
            max_frames: length of the table of positions, the longest window.
            heads: attention heads.
            norm_groups: groups of the normalisation before each module.
            mid_block: whether the middle block gets one too.
        """
        temporal = cls(
            block_out_channels=tuple(unet.config["block_out_channels"]),
            motion_layers_per_block=unet.config["layers_per_block"],
            motion_num_attention_heads=heads,
            motion_norm_num_groups=norm_groups,
            motion_max_seq_length=max_frames,
            use_motion_mid_block=mid_block,
        )
        for module in temporal.modules():
            if isinstance(module, AnimateDiffTransformer3D):
                nn.init.zeros_(module.proj_out.weight)
                nn.init.zeros_(module.proj_out.bias)
        return temporal

    def inflate(self, unet: UNet2DConditionModel, *, norm: FrameNorm = "per_frame") -> UNetMotionModel:
        """Build the video denoiser; its weights are the very parameters of ``unet`` and of these modules.

        Args:
            unet: the 2D denoiser; nothing may be attached to it.
            norm: whether the normalisation before each module takes its statistics from every frame alone, as
                published AnimateDiff and Animate Anyone code do, or from the whole window, as stock diffusers does.
                A ``UNetMotionModel`` that is saved and loaded normalises as stock again:
                :func:`normalise_per_frame` changes it.

        Raises:
            AttachmentError: if the modules do not fit the denoiser, or something is attached to it.
        """
        refuse_attached(unet, "inflating with temporal modules")
        if getattr(unet, "peft_config", None):
            raise AttachmentError("The denoiser carries LoRA weights; fuse or unload them, and load them afterwards.")
        weights = {**unet.state_dict(keep_vars=True), **self.state_dict(keep_vars=True)}
        try:
            with torch.device("meta"):
                video_unet = UNetMotionModel.from_unet2d(unet, self, load_weights=False)
            assert isinstance(video_unet, UNetMotionModel)
            video_unet.load_state_dict(weights, assign=True)
        except (RuntimeError, ValueError) as error:
            raise AttachmentError(
                f"These temporal modules do not fit the denoiser: {error}. Build them with "
                "TemporalModules.for_unet(unet), or take the adapter made for this denoiser."
            ) from error
        groups = int(self.config["motion_norm_num_groups"])
        if norm == "per_frame":
            normalise_per_frame(video_unet, groups)
        elif any(module.norm.num_groups != groups for module in _modules(video_unet)):
            raise AttachmentError(
                f"These temporal modules normalise in {groups} groups, which stock diffusers modules cannot do beside "
                "this denoiser's own number; use norm='per_frame'."
            )
        return video_unet.train(unet.training)

    @staticmethod
    def deflate(video_unet: UNetMotionModel) -> UNet2DConditionModel:
        """Build the 2D denoiser that a video denoiser contains, sharing its weights."""
        refuse_attached(video_unet, "deflating")
        config = dict(video_unet.config)
        for name in ("down_block_types", "up_block_types"):
            config[name] = tuple(kind.replace("Motion", "2D") for kind in config[name])
        # Where num_attention_heads is not given, diffusers reads attention_head_dim as the number of heads.
        config["attention_head_dim"] = config.pop("num_attention_heads")
        known = inspect.signature(UNet2DConditionModel).parameters  # others would be kept, and tell of motion modules
        with torch.device("meta"):
            unet = UNet2DConditionModel.from_config({name: config[name] for name in config if name in known})
        assert isinstance(unet, UNet2DConditionModel)
        weights = video_unet.state_dict(keep_vars=True)
        unet.load_state_dict({key: value for key, value in weights.items() if "motion_modules" not in key}, assign=True)
        return unet.train(video_unet.training)


class PerFrameGroupNorm(nn.GroupNorm):
    """Group normalisation of ``b c f h w`` with the statistics of every frame alone."""

    def forward(self, input: Tensor) -> Tensor:
        frames = input.shape[2]
        folded = super().forward(input.transpose(1, 2).flatten(0, 1))
        return folded.unflatten(0, (-1, frames)).transpose(1, 2)


def normalise_per_frame(video_unet: UNetMotionModel, groups: int) -> Attachment:
    """Make the normalisations before a denoiser's temporal modules treat every frame alone; weights stay the same.

    Args:
        video_unet: the video denoiser.
        groups: number of groups.

    Returns:
        What puts the former normalisations back.
    """
    modules = _modules(video_unet)
    stock = [module.norm for module in modules]
    for module, former in zip(modules, stock, strict=True):
        norm = PerFrameGroupNorm(groups, former.num_channels, former.eps, device="meta")
        norm.weight, norm.bias = former.weight, former.bias
        module.norm = norm

    def undo() -> None:
        for module, former in zip(modules, stock, strict=True):
            module.norm = former

    return Attachment(undo)


def frame_norm_groups(video_unet: UNetMotionModel) -> int | None:
    """The number of groups if a denoiser's temporal modules normalise every frame alone, else None."""
    norms = [module.norm for module in _modules(video_unet)]
    return next((norm.num_groups for norm in norms if isinstance(norm, PerFrameGroupNorm)), None)


def check_window(num_frames: int, longest: int) -> None:
    """Raise :class:`ShapeError` if a window is longer than the temporal modules' table of positions."""
    if num_frames > longest:
        raise ShapeError(
            f"A window of {num_frames} frames is longer than the {longest} positions of the temporal modules; "
            f"choose window_size <= {longest}: the clip itself may have any length."
        )


def _modules(video_unet: UNetMotionModel) -> list[AnimateDiffTransformer3D]:
    return [module for module in video_unet.modules() if isinstance(module, AnimateDiffTransformer3D)]
