"""MagicPortrait: depth, normals and shading of the driver's motion guide the portrait that ReferenceNet reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.models.unets.unet_motion_model import UNetMotionModel
from diffusers.schedulers.scheduling_ddim import DDIMScheduler

from anifacediff.assemblies.clip import HeldFrames, StockDenoiser, evaluate, guided
from anifacediff.assemblies.exchange import Reference
from anifacediff.assemblies.parts import seeded, small_networks
from anifacediff.assemblies.pipeline import AnimationPipeline, Autoencoder, load_for_use
from anifacediff.backbone.reference_features import ReferenceFeatures
from anifacediff.backbone.reference_net import Fusion, ReferenceNet
from anifacediff.conditioning.contracts import ControlRenderer
from anifacediff.conditioning.facial_alignment import FacialAlignment
from anifacediff.conditioning.fixed_prompt import FixedPrompt
from anifacediff.conditioning.geometric_guidance import GeometricGuidanceEncoder
from anifacediff.geometry.faces import FaceParameters
from anifacediff.geometry.snapshots import ControlMaps
from anifacediff.media.pictures import to_pictures
from anifacediff.registry import registry
from anifacediff.sampling.denoise import Scheduler, Timestep
from anifacediff.shapes import Float, Tensor, UInt8


@dataclass(frozen=True)
class MagicPortraitClip:
    """Predicts for any window of a clip.

    Attributes:
        unet: the denoiser; ReferenceNet and guidance encoder are attached to it.
        align: draws the control maps.
        guidance_encoder: encodes them.
        alignment: what the clip's frames share.
        driving: parameters of the clip's frames.
        prompt: 1 l d, the context of every frame, with guidance and without.
        reference_features: what the conditional half sees of the reference.
        guidance_scale: 1 evaluates the conditional rows alone.
        features: of the control maps of the frames in flight.
    """

    unet: StockDenoiser
    align: ControlRenderer
    guidance_encoder: GeometricGuidanceEncoder
    alignment: object
    driving: FaceParameters
    prompt: Float[Tensor, "1 l d"]
    reference_features: ReferenceFeatures
    guidance_scale: float
    features: HeldFrames = field(default_factory=HeldFrames)

    @torch.no_grad()
    def __call__(
        self, latents: Float[Tensor, "f c h w"], timestep: Timestep, frames: Sequence[int]
    ) -> Float[Tensor, "f c h w"]:
        """Evaluate the denoiser for one window; see :class:`~anifacediff.sampling.Denoiser`."""
        halves = torch.stack([latents] * (1 if self.guidance_scale == 1 else 2))
        prompts = self.prompt.expand(len(halves) * len(frames), -1, -1)
        condition = {
            "reference_features": self.reference_features,
            "pose_features": self.features(frames, self._encoded)[0],
        }
        return guided(evaluate(self.unet, halves, timestep, prompts, condition), self.guidance_scale)

    @torch.no_grad()
    def control(self, frame: int) -> UInt8[np.ndarray, "h w 3"]:
        """Draw the first of a frame's control maps as a picture."""
        stacked = self.guidance_encoder.stack(self._maps(range(frame, frame + 1)))
        return to_pictures(stacked[:, :3])[0]

    def driven_by(self, driving: FaceParameters) -> "MagicPortraitClip":
        """The same clip with other frames; see :class:`~anifacediff.assemblies.clip.LiveClip`."""
        return replace(self, driving=driving.to(self.driving.shape.device), features=HeldFrames())

    def forget(self, frames: range) -> None:
        """Drop what is held for frames that are finished."""
        self.features.forget(frames)

    def _encoded(self, frames: range) -> tuple[Float[Tensor, "f d h w"]]:
        maps = self.guidance_encoder.stack(self._maps(frames))
        return (self.guidance_encoder(maps.to(self.guidance_encoder.dtype))["pose_features"],)

    def _maps(self, frames: range) -> ControlMaps:
        return self.align.render(self.alignment, self.driving[frames.start : frames.stop])


class MagicPortraitPipeline(AnimationPipeline):
    """Animate a portrait with the motion of a driving clip, by MagicPortrait.

    The driver's expression and rotation are drawn on the reference's head before the reference's camera; the
    driver's translation and zoom are not taken over. Guidance contrasts the denoiser with one that does not see the
    reference; prompt and control maps are the same for both.

    Args:
        vae: images to latents and back.
        prompt: the context of cross-attention, the same for every frame.
        reference_net: reads the reference.
        unet: the denoiser, with temporal modules or without.
        guidance_encoder: encodes the control maps.
        scheduler: any of diffusers that steps frames independently.
        image_size: height and width in pixels of the pictures.
        morphable_model: registered name of the face model whose coefficients the clips are given in.
        convention: named convention of the control maps; the published weights know
            ``"magicportrait-published"``, whose normals lose their negative parts.
        rasterizer: registered name of the rasteriser that draws them.
        frame_norm_groups: see :class:`~anifacediff.assemblies.AniFaceDiffPipeline`.
        fusion: how the denoiser sees the reference, see :meth:`ReferenceNet.read`: ``"concatenate"`` as published,
            ``"add"`` as in the paper.
        round_reference: round what ReferenceNet saw to float16, as the published code does.
        crop_margin: side of the crops over the size of a face that suits the weights.
        num_inference_steps: how many denoising steps suit the weights.
        start: what :meth:`stream` starts from where it is not told.
        untrained: names of the parts without trained weights.

    Raises:
        InputError: if ``image_size`` does not fit the VAE.
        AttachmentError: if the parts do not fit the denoiser, which is then as it was.

    Source: MagicPortrait; where paper and published code differ, the code (see ``fusion``). The published shading is
    that of the reference's own texture and light; here it is a white surface under a fixed light.
    """

    model_cpu_offload_seq = "prompt->reference_net->unet->vae"
    _exclude_from_cpu_offload: ClassVar[list[str]] = ["guidance_encoder"]
    kinds: ClassVar[Mapping[str, type]] = {
        "vae": AutoencoderKL,
        "prompt": FixedPrompt,
        "reference_net": ReferenceNet,
        "unet": UNetMotionModel,
        "guidance_encoder": GeometricGuidanceEncoder,
    }
    usual_window = 12
    usual_overlap = 1
    usual_guidance = 3.5

    prompt: FixedPrompt
    reference_net: ReferenceNet
    guidance_encoder: GeometricGuidanceEncoder

    def __init__(
        self,
        vae: Autoencoder,
        prompt: FixedPrompt,
        reference_net: ReferenceNet,
        unet: UNet2DConditionModel | UNetMotionModel,
        guidance_encoder: GeometricGuidanceEncoder,
        scheduler: Scheduler,
        image_size: int = 512,
        morphable_model: str = "parametric",
        convention: str = "anifacediff",
        rasterizer: str = "span",
        frame_norm_groups: int | None = None,
        fusion: Fusion = "concatenate",
        round_reference: bool = False,
        crop_margin: float = 1.8,
        num_inference_steps: int = 20,
        start: str = "noise",
        untrained: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.register_modules(vae=vae, prompt=prompt, reference_net=reference_net, unet=unet)
        self.register_modules(guidance_encoder=guidance_encoder, scheduler=scheduler)
        self.check_image_size(image_size)
        self.alignment: ControlRenderer = FacialAlignment(
            registry.morphable_models[morphable_model](),
            image_size=image_size,
            rasterizer=registry.rasterizers[rasterizer](),
            anchor="camera",
            convention=convention,
            maps=guidance_encoder.maps,
        )
        self.settle(
            partial(reference_net.attach, unet),
            partial(guidance_encoder.attach, unet),
            frame_norm_groups=frame_norm_groups,
            untrained=untrained,
            image_size=image_size,
            morphable_model=morphable_model,
            convention=convention,
            rasterizer=rasterizer,
            fusion=fusion,
            round_reference=round_reference,
            crop_margin=crop_margin,
            num_inference_steps=num_inference_steps,
            start=start,
        )

    @classmethod
    def untrained(
        cls, *, seed: int = 0, image_size: int = 128, morphable_model: str = "parametric"
    ) -> "MagicPortraitPipeline":
        """Build a small MagicPortrait with random weights: every part works, the pictures mean nothing.

        Args:
            seed: of the weights.
            image_size: height and width in pixels of the pictures, a multiple of 16.
            morphable_model: registered name of the face model.
        """
        small = small_networks(seed, image_size)
        width = int(small.unet.config["cross_attention_dim"])
        with seeded(seed):
            guidance_encoder = GeometricGuidanceEncoder.for_unet(small.unet).eval()
        return cls(
            vae=small.vae,
            prompt=FixedPrompt(num_tokens=8, width=width).eval(),
            reference_net=ReferenceNet.from_unet(small.unet).eval(),
            unet=small.temporal.inflate(small.unet).eval(),
            guidance_encoder=guidance_encoder,
            scheduler=magicportrait_scheduler(),
            untrained=tuple(cls.kinds),
            **small.settings(morphable_model),
        )

    @torch.no_grad()
    def prepare(self, reference: Reference, driving: FaceParameters, guidance_scale: float) -> MagicPortraitClip:
        device, prompt = self._execution_device, self.prompt()
        load_for_use(self.unet)
        features = self.reference_net.read(
            self.encode(self.picture(reference.image)),
            prompt,
            self.unet,
            guidance=guidance_scale != 1,
            fusion=self.config["fusion"],
            store_dtype=torch.float16 if self.config["round_reference"] else None,
        )
        driving, parameters = driving.to(device), reference.parameters.to(device)
        return MagicPortraitClip(
            unet=self.unet,
            align=self.renderer(device),
            guidance_encoder=self.guidance_encoder,
            alignment=self.alignment.plan(parameters, driving[:1]),
            driving=driving,
            prompt=prompt,
            reference_features=features["reference_features"],
            guidance_scale=guidance_scale,
        )


def magicportrait_scheduler() -> DDIMScheduler:
    """The schedule of MagicPortrait and Animate Anyone: v-prediction, and noise alone at the first step."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="linear",
        clip_sample=False,
        steps_offset=1,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
    )
