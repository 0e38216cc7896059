"""MIMAFace: tokens of motion and identity modulate the image's, and every clip continues the one before."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.models.unets.unet_motion_model import UNetMotionModel
from diffusers.schedulers.scheduling_euler_discrete import EulerDiscreteScheduler
from transformers import CLIPVisionModelWithProjection

from anifacediff.assemblies.clip import Chain, Conditions, StockDenoiser, evaluate, guided
from anifacediff.assemblies.exchange import Reference
from anifacediff.assemblies.parts import seeded, small_networks, widen_input
from anifacediff.assemblies.pipeline import AnimationPipeline, Autoencoder, Layout
from anifacediff.backbone.inter_clip import InterClipAffinity
from anifacediff.conditioning.contracts import ControlRenderer
from anifacediff.conditioning.facial_alignment import FacialAlignment
from anifacediff.conditioning.image_tokens import ImageTokens
from anifacediff.conditioning.motion_identity import MotionIdentity, MotionIdentityModulation
from anifacediff.errors import InputError
from anifacediff.geometry.faces import FaceParameters, WeakPerspective
from anifacediff.geometry.morphable import rotation_matrix
from anifacediff.geometry.perspective import Perspective
from anifacediff.media.pictures import to_pictures
from anifacediff.registry import registry
from anifacediff.sampling.chained import ClipChain, stream_chained
from anifacediff.sampling.denoise import Denoiser, Scheduler, Timestep
from anifacediff.shapes import Float, Tensor, UInt8

CAMERA_DISTANCE = 10.0  # decimetres, of the published code's camera


@runtime_checkable
class KnownReference(Reference, Protocol):
    """A reference of whom more is known than an image and a shape."""

    @property
    def appearance(self) -> MotionIdentity:
        """Identity, texture and illumination, one row each, where the weights were made with them."""
        ...


def motion_of(driving: FaceParameters) -> MotionIdentity:
    """What a driver's frames say about motion.

    Angles turn the global joint: R = R_z R_y R_x. The translation is the perspective camera's, counted from the
    published camera's place; of a camera without perspective, where the model's origin is seen, from the middle of the
    canvas, in units of the model.

    These are the head's in the picture, its roll included. The published code tells those in the aligned crop that they
    were read off; to have it so, put them into ``given`` of what :meth:`MIMAFacePipeline.prepare` returns, and give
    that to :meth:`MIMAFacePipeline.generate`.
    """
    rotation = rotation_matrix(driving.pose[:, 0])
    sideways = torch.asin(-rotation[:, 2, 0].clamp(-1, 1))
    nod = torch.atan2(rotation[:, 2, 1], rotation[:, 2, 2])
    roll = torch.atan2(rotation[:, 1, 0], rotation[:, 0, 0])
    return MotionIdentity(
        gaze=driving.gaze,
        expression=driving.expression,
        angles=torch.stack([nod, sideways, roll], dim=1),
        translation=_translation(driving),
    )


@dataclass(frozen=True)
class MIMAFaceConditions:
    """What the denoiser is told about a video; each clip of it has its own denoiser.

    Attributes:
        unet: the denoiser; the affinity is attached to it.
        affinity: makes the condition of the previous clip.
        modulation: makes the tokens.
        align: draws the control maps.
        alignment: what the frames share.
        driving: parameters of the frames.
        image_tokens: 1 l c, of the reference.
        given: what the tokens tell, with a row for each frame or one for all.
        encode: turns images into latents.
        guidance_scale: 1 evaluates the conditional rows alone.
    """

    unet: StockDenoiser
    affinity: InterClipAffinity
    modulation: MotionIdentityModulation
    align: ControlRenderer
    alignment: object
    driving: FaceParameters
    image_tokens: Float[Tensor, "1 l c"]
    given: MotionIdentity
    encode: "Encode"
    guidance_scale: float

    @torch.no_grad()
    def begin(self, previous: Float[Tensor, "k c h w"], frames: Sequence[int]) -> Denoiser:
        """Make the denoiser of one clip, which continues the clean latents ``previous``."""
        rows = list(frames)
        maps = torch.cat([self._map(frame) for frame in rows])
        condition = self.affinity(previous, num_frames=len(rows), map_latents=self.encode(maps))
        tokens = self.modulation(self.image_tokens, _rows(self.given, rows, len(self.driving)))
        return MIMAFaceClip(self.unet, tokens.expand(len(rows), -1, -1), condition, self.guidance_scale)

    @torch.no_grad()
    def control(self, frame: int) -> UInt8[np.ndarray, "h w 3"]:
        """Draw the control map of a frame as a picture."""
        return to_pictures(self._map(frame))[0]

    def forget(self, frames: range) -> None:
        """Nothing is held from clip to clip."""

    def _map(self, frame: int) -> Float[Tensor, "1 3 h w"]:
        shaded = self.align.render(self.alignment, self.driving[frame : frame + 1]).shaded
        assert shaded is not None
        return shaded.clamp(0, 1).to(self.image_tokens.dtype)


class Encode(Protocol):
    """Turns images in [0, 1] into latents."""

    def __call__(self, image: Float[Tensor, "f 3 height width"]) -> Float[Tensor, "f c h w"]: ...


@dataclass(frozen=True)
class MIMAFaceClip:
    """Predicts for one clip; see :class:`~anifacediff.sampling.Denoiser`."""

    unet: StockDenoiser
    tokens: Float[Tensor, "f l d"]
    condition: Mapping[str, Tensor]
    guidance_scale: float

    @torch.no_grad()
    def __call__(
        self, latents: Float[Tensor, "f c h w"], timestep: Timestep, frames: Sequence[int]
    ) -> Float[Tensor, "f c h w"]:
        if self.guidance_scale == 1:
            return evaluate(self.unet, latents[None], timestep, self.tokens, self.condition)[0]
        tokens = torch.cat([torch.zeros_like(self.tokens), self.tokens])
        rows = evaluate(self.unet, torch.stack([latents, latents]), timestep, tokens, self.condition)
        return guided(rows, self.guidance_scale)


class MIMAFacePipeline(AnimationPipeline):
    """Animate a portrait with the motion of a driving clip, by MIMAFace; there is no ReferenceNet.

    The driver's expression, rotation and place are drawn on the reference's head. Clips of 12 frames follow each
    other: each begins with the last three of the one before. Guidance contrasts the denoiser with one whose tokens are
    zero; control maps and the previous clip are the same for both.

    Args:
        vae: images to latents and back.
        image_encoder: gives the image tokens, before its projection.
        modulation: tokens of motion and identity beside, or into, the image tokens.
        unet: the denoiser, whose input has channels for control maps, previous latents and a mask.
        scheduler: any of diffusers.
        image_size: height and width in pixels of the pictures.
        morphable_model: registered name of the face model whose coefficients the clips are given in.
        rasterizer: registered name of the rasteriser that draws the control maps.
        frame_norm_groups: see :class:`~anifacediff.assemblies.AniFaceDiffPipeline`.
        same_noise: start every clip from the same noise, as the published code does.
        crop_margin: side of the crops over the size of a face that suits the weights.
        num_inference_steps: how many denoising steps suit the weights.
        start: what :meth:`stream` starts from where it is not told.
        untrained: names of the parts without trained weights.

    Raises:
        InputError: if ``image_size`` does not fit the VAE.
        AttachmentError: if the denoiser's input has too few channels.

    Source: MIMAFace, and its code at 8787c56. The published control map is rendered with the reference's own texture
    and light; here it is a white surface under a fixed light. Its latents are the most likely ones (published:
    drawn).
    """

    model_cpu_offload_seq = "image_encoder->modulation->unet->vae"
    kinds: ClassVar[Mapping[str, type]] = {
        "vae": AutoencoderKL,
        "image_encoder": CLIPVisionModelWithProjection,
        "modulation": MotionIdentityModulation,
        "unet": UNetMotionModel,
    }
    usual_window = 12
    usual_overlap = 3
    usual_guidance = 5.0

    image_encoder: CLIPVisionModelWithProjection
    modulation: MotionIdentityModulation

    def __init__(
        self,
        vae: Autoencoder,
        image_encoder: CLIPVisionModelWithProjection,
        modulation: MotionIdentityModulation,
        unet: UNet2DConditionModel | UNetMotionModel,
        scheduler: Scheduler,
        image_size: int = 512,
        morphable_model: str = "parametric",
        rasterizer: str = "span",
        frame_norm_groups: int | None = None,
        same_noise: bool = True,
        crop_margin: float = 1.8,
        num_inference_steps: int = 25,
        start: str = "noise",
        untrained: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.register_modules(
            vae=vae, image_encoder=image_encoder, modulation=modulation, unet=unet, scheduler=scheduler
        )
        self.check_image_size(image_size)
        self.alignment: ControlRenderer = FacialAlignment(
            registry.morphable_models[morphable_model](),
            image_size=image_size,
            rasterizer=registry.rasterizers[rasterizer](),
            align_scale=False,
            maps=("shaded",),
        )
        channels = int(vae.config["latent_channels"])
        self.affinity = InterClipAffinity(channels, map_channels=channels)
        self.settle(
            partial(self.affinity.attach, unet),
            same_noise=same_noise,
            frame_norm_groups=frame_norm_groups,
            image_size=image_size,
            morphable_model=morphable_model,
            rasterizer=rasterizer,
            start=start,
            num_inference_steps=num_inference_steps,
            crop_margin=crop_margin,
            untrained=untrained,
        )

    @classmethod
    def untrained(
        cls, *, seed: int = 0, image_size: int = 128, morphable_model: str = "parametric"
    ) -> "MIMAFacePipeline":
        """Build a small MIMAFace with random weights: every part works, the pictures mean nothing.

        Args:
            seed: of the weights.
            image_size: height and width in pixels of the pictures, a multiple of 16.
            morphable_model: registered name of the face model.
        """
        small = small_networks(seed, image_size)
        channels = InterClipAffinity(map_channels=4).channels
        expressions = registry.morphable_models[morphable_model]().num_expression
        with seeded(seed):
            modulation = MotionIdentityModulation(
                sizes={"expression": expressions, "angles": 3, "translation": 3},
                image_dim=small.image_encoder.config.hidden_size,
                width=int(small.unet.config["cross_attention_dim"]),
                layers=1,
            )
        return cls(
            vae=small.vae,
            image_encoder=small.image_encoder,
            modulation=modulation.eval(),
            unet=small.temporal.inflate(widen_input(small.unet, channels)).eval(),
            scheduler=mimaface_scheduler(),
            untrained=tuple(cls.kinds),
            **small.settings(morphable_model),
        )

    @torch.no_grad()
    def prepare(self, reference: Reference, driving: FaceParameters, guidance_scale: float) -> MIMAFaceConditions:
        device = self._execution_device
        driving, parameters = driving.to(device), reference.parameters.to(device)
        motion, known = motion_of(driving), reference.appearance if isinstance(reference, KnownReference) else None
        if known is not None:
            motion = replace(motion, identity=known.identity, texture=known.texture, illumination=known.illumination)
        return MIMAFaceConditions(
            unet=self.unet,
            affinity=self.affinity,
            modulation=self.modulation,
            align=self.renderer(device),
            alignment=self.alignment.plan(parameters, driving[:1]),
            driving=driving,
            image_tokens=ImageTokens(self.image_encoder).patches(self.picture(reference.image)),
            given=motion,
            encode=self.encode,
            guidance_scale=guidance_scale,
        )

    def denoise(
        self, clip: Conditions, layout: Layout, options: Mapping[str, Any]
    ) -> Iterator[Float[Tensor, "f c h w"]]:
        """Denoise clip after clip, each with the last clean latents of the one before.

        Raises:
            InputError: for a closed loop, which such a chain cannot be.
        """
        assert isinstance(clip, Chain)
        if layout.closed_loop:
            raise InputError("closed_loop: clips that continue each other have no closed order; leave it off.")
        chain = ClipChain(layout.num_frames, layout.window_size, layout.overlap)
        same_noise = self.config["same_noise"]
        return stream_chained(clip.begin, chain=chain, same_noise=same_noise, **options)


def mimaface_scheduler() -> EulerDiscreteScheduler:
    """Stable Diffusion 1.5's own noise schedule, by Euler steps."""
    return EulerDiscreteScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1)


def _translation(driving: FaceParameters) -> Float[Tensor, "f 3"]:
    camera = driving.camera
    if isinstance(camera, Perspective):
        return camera.translation + camera.translation.new_tensor([0.0, 0.0, CAMERA_DISTANCE])
    if not isinstance(camera, WeakPerspective):
        raise InputError(f"driving.camera: a {type(camera).__name__} does not say where the head is.")
    height, width = driving.canvas
    middle = camera.translation.new_tensor([width / 2, height / 2])
    away = (camera.translation - middle) / camera.scale[:, None]
    return torch.stack([away[:, 0], -away[:, 1], torch.zeros_like(away[:, 0])], dim=1)


def _rows(given: MotionIdentity, frames: Sequence[int], total: int) -> MotionIdentity:
    """The rows of some frames; an item of one row is that of all frames."""
    items: dict[str, Tensor | None] = vars(given)
    chosen = {name: value[list(frames)] for name, value in items.items() if value is not None and len(value) == total}
    return replace(given, **chosen) if total > 1 else given
