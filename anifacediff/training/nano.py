"""The parts of nano: stock networks, small enough to train on a processor."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from diffusers.models.autoencoders.autoencoder_dc import AutoencoderDC
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.models.unets.unet_motion_model import UNetMotionModel
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from einops import rearrange
from torch import nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from anifacediff.attachment import Attachment, spatial_attention
from anifacediff.backbone.reference_net import ReferenceNet
from anifacediff.backbone.temporal import TemporalModules
from anifacediff.conditioning.expression_adapter import ExpressionAdapter, ExpressionProjection
from anifacediff.conditioning.image_tokens import ImageTokens
from anifacediff.conditioning.plane_sweep import PLANES
from anifacediff.conditioning.pose_encoder import PoseEncoder
from anifacediff.conditioning.reference_guide import blend_channels, blended, guide_channels
from anifacediff.shapes import Float, Int, Tensor
from anifacediff.synthetic.expression import COMPONENTS

IMAGE_SIZE = 128
STEPS = 2  # of denoising, from zeros
LATENT_CHANNELS = 64
CONTEXT = 64
NORM_GROUPS = 16
VAE: dict[str, object] = {
    "latent_channels": LATENT_CHANNELS,
    "encoder_block_types": "ResBlock",
    "decoder_block_types": "ResBlock",
    "encoder_block_out_channels": (32, 32, 64, 128),
    "decoder_block_out_channels": (32, 32, 64, 128),
    "encoder_layers_per_block": (0, 1, 1, 1),
    "decoder_layers_per_block": (0, 1, 1, 1),
    "encoder_qkv_multiscales": ((), (), (), ()),
    "decoder_qkv_multiscales": ((), (), (), ()),
    "downsample_block_type": "pixel_unshuffle",
    "encoder_out_shortcut": False,
    "decoder_in_shortcut": False,
    "scaling_factor": 1.0,
}
UNET: dict[str, object] = {
    "sample_size": IMAGE_SIZE // 8,
    "in_channels": LATENT_CHANNELS,
    "out_channels": blend_channels(LATENT_CHANNELS, PLANES),
    "block_out_channels": (128, 128),
    "layers_per_block": 1,
    "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    "attention_head_dim": (2, 2),  # diffusers takes them as numbers of heads
    "norm_num_groups": NORM_GROUPS,
    "cross_attention_dim": CONTEXT,
}
IMAGE_ENCODER: dict[str, int] = {
    "hidden_size": CONTEXT,
    "intermediate_size": 2 * CONTEXT,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 32,
    "patch_size": 8,
    "projection_dim": CONTEXT,
}
_SILU_GAIN = 1.9  # of weights that keep the size of a signal from layer to layer
_ALIKE_GAIN = 1.5
POSE_WIDTHS = (8, 16, 32, 64)
EXPRESSION_TOKENS = 4


def build_vae(seed: int) -> AutoencoderDC:
    """Make a fresh autoencoder.

    Source: DC-AE (Chen et al.), whose pixel shuffles spend no work at full resolution.
    """
    torch.manual_seed(seed)
    vae = AutoencoderDC.from_config(VAE)
    assert isinstance(vae, AutoencoderDC)
    return vae


def build_scheduler() -> DDIMScheduler:
    """Make the noise schedule: a cosine whose end is noise alone; the network predicts the clean latents.

    Source: Lin et al., "Common Diffusion Noise Schedules and Sample Steps are Flawed".
    """
    return DDIMScheduler(
        beta_schedule="squaredcos_cap_v2",
        prediction_type="sample",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
    )


@dataclass(frozen=True)
class Conditions:
    """What some frames are drawn from; frames of one reference stand together.

    Attributes:
        reference_latents: b c h w.
        reference_images: b 3 h w, RGB in [0, 1].
        reference_maps: b 3 h w, their own control maps.
        maps: f 3 h w, the control maps; f is a multiple of b.
        guide: f g h2 w2, the reference moved to each frame, see :class:`~anifacediff.conditioning.ReferenceGuide`.
        expression: f e.
        expressed: f 1 1, zero where the expression is kept from the network, else one.
    """

    reference_latents: Float[Tensor, "b c h2 w2"]
    reference_images: Float[Tensor, "b 3 h w"]
    reference_maps: Float[Tensor, "b 3 h w"]
    maps: Float[Tensor, "f 3 h w"]
    guide: Float[Tensor, "f g h2 w2"]
    expression: Float[Tensor, "f e"]
    expressed: Float[Tensor, "f 1 1"]


@dataclass(frozen=True)
class Told:
    """What the denoiser is told of some frames, the same at every step.

    Attributes:
        context: f l d, the image tokens.
        entries: of ``cross_attention_kwargs``.
        guide: as in :class:`Conditions`.
    """

    context: Float[Tensor, "f l d"]
    entries: Mapping[str, object]
    guide: Float[Tensor, "f g h w"]


class Nano(nn.Module):
    """A denoiser with all that AniFaceDiff attaches to it, as one module to train.

    Args:
        seed: of the weights.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        unet = UNet2DConditionModel.from_config(UNET)
        assert isinstance(unet, UNet2DConditionModel)
        self.unet: UNet2DConditionModel | UNetMotionModel = unet
        self._look_for_likeness()
        self.reference_net = ReferenceNet.from_unet(unet)
        self.pose_encoder = PoseEncoder.for_unet(
            unet,
            block_out_channels=POSE_WIDTHS,
            positions=True,
            guide_channels=guide_channels(LATENT_CHANNELS, PLANES),
        )
        self.expression_adapter = ExpressionAdapter.for_unet(
            unet, expression_dim=len(COMPONENTS), num_tokens=EXPRESSION_TOKENS
        )
        self.image_encoder = CLIPVisionModelWithProjection(CLIPVisionConfig.from_dict(IMAGE_ENCODER))
        self._awaken()
        self.image_tokens = ImageTokens(self.image_encoder)
        self._attachments = self._attach()

    def _attach(self) -> list[Attachment]:
        return [
            self.reference_net.attach(self.unet),
            self.pose_encoder.attach(self.unet),
            self.pose_encoder.attach(self.reference_net),
            self.expression_adapter.attach(self.unet),
        ]

    def detach(self) -> None:
        """Give the denoiser and ReferenceNet back as they were, for others to attach to."""
        for attachment in self._attachments:
            attachment.detach()

    def inflate(self, temporal: TemporalModules) -> None:
        """Let the frames of a clip see each other from now on: the denoiser becomes one of videos."""
        assert isinstance(self.unet, UNet2DConditionModel)
        self.detach()
        self.unet = temporal.inflate(self.unet)
        self._attachments = self._attach()

    def _awaken(self) -> None:
        """Let the conditions be heard from the first step; zero weights are for a denoiser that knows to draw.

        A convolution's usual weights let the signal fade to nothing over the layers of the Pose Encoder.
        """
        for module in self.pose_encoder.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=_SILU_GAIN / module.weight[0].numel() ** 0.5)
        assert self.pose_encoder.guide_out is not None
        self.pose_encoder.guide_out.reset_parameters()  # as loud as the noisy latents
        for module in self.expression_adapter.modules():
            if isinstance(module, ExpressionProjection):
                module.to_v_expression.reset_parameters()

    def _look_for_likeness(self) -> None:
        """Make keys as queries are, so that attention begins with what is alike: the same part of the reference."""
        for layer in spatial_attention(self.unet, "attn1").values():
            nn.init.xavier_uniform_(layer.to_q.weight, gain=_ALIKE_GAIN)
            with torch.no_grad():
                layer.to_k.weight.copy_(layer.to_q.weight)

    def conditioned(self, conditions: Conditions) -> Told:
        """Compute what does not change from step to step."""
        token = self.image_tokens(conditions.reference_images)
        seen = self.pose_encoder(conditions.reference_maps)
        features = self.reference_net.read(conditions.reference_latents, token, self.unet, cross_attention_kwargs=seen)
        expression = self.expression_adapter(conditions.expression)["expression_tokens"] * conditions.expressed
        pose = self.pose_encoder(conditions.maps, conditions.guide)
        context = token.repeat_interleave(len(conditions.maps) // len(token), dim=0)
        return Told(context, {**features, **pose, "expression_tokens": expression}, conditions.guide)

    def denoise(
        self, noisy: Float[Tensor, "f c h w"], timesteps: Int[Tensor, "f"] | Int[Tensor, ""], told: Told
    ) -> Float[Tensor, "f c h w"]:
        """Predict clean latents from noisy ones, of stills."""
        return blended(self._evaluated(noisy, timesteps, told), told.guide, LATENT_CHANNELS)

    def denoise_clips(
        self, noisy: Float[Tensor, "n f c h w"], timesteps: Int[Tensor, "n"] | Int[Tensor, ""], told: Told
    ) -> Float[Tensor, "n f c h w"]:
        """Predict clean latents from noisy ones, of n clips of f frames, once the denoiser is inflated."""
        predicted = self._evaluated(rearrange(noisy, "n f c h w -> n c f h w"), timesteps, told)
        frames = rearrange(predicted, "n c f h w -> (n f) c h w")
        return blended(frames, told.guide, LATENT_CHANNELS).unflatten(0, noisy.shape[:2])

    def _evaluated(self, noisy: Tensor, timesteps: Tensor, told: Told) -> Tensor:
        return self.unet(noisy, timesteps, told.context, cross_attention_kwargs=dict(told.entries), return_dict=False)[
            0
        ]

    def forward(
        self, noisy: Float[Tensor, "f c h w"], timesteps: Int[Tensor, "f"], conditions: Conditions
    ) -> Float[Tensor, "f c h w"]:
        """Predict clean latents in one go."""
        return self.denoise(noisy, timesteps, self.conditioned(conditions))
