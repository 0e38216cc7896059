"""Animate Anyone, and AniPortrait: pictures of the pose lead a denoiser that looks at the portrait all the while."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, TypeAlias

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.models.unets.unet_motion_model import UNetMotionModel
from transformers import CLIPVisionModelWithProjection

from anifacediff.assemblies.clip import HeldFrames, StockDenoiser, evaluate, guided
from anifacediff.assemblies.exchange import GeneratedFrame, Reference
from anifacediff.assemblies.magicportrait import magicportrait_scheduler
from anifacediff.assemblies.parts import seeded, small_networks
from anifacediff.assemblies.pipeline import AnimationPipeline, Autoencoder, load_for_use
from anifacediff.backbone.reference_features import ReferenceFeatures
from anifacediff.backbone.reference_net import ReferenceNet
from anifacediff.conditioning.contracts import ControlRenderer
from anifacediff.conditioning.facial_alignment import FacialAlignment
from anifacediff.conditioning.image_tokens import ImageTokens
from anifacediff.conditioning.multilevel_pose import MultiLevelPoseEncoder
from anifacediff.conditioning.pose_encoder import PoseEncoder
from anifacediff.errors import ShapeError
from anifacediff.geometry.faces import FaceParameters
from anifacediff.media.pictures import to_pictures
from anifacediff.registry import registry
from anifacediff.sampling.denoise import Scheduler, Timestep
from anifacediff.shapes import Float, Tensor, UInt8

Draw: TypeAlias = Callable[[range], Float[Tensor, "f 3 h w"]]
"""Gives the pose pictures of some frames, RGB in [0, 1]."""


@dataclass(frozen=True)
class AnimateAnyoneClip:
    """Predicts for any window of a clip.

    Attributes:
        unet: the denoiser; ReferenceNet and pose encoder are attached to it.
        draw: gives the pose pictures.
        pose_encoder: encodes them, each frame once.
        token: 1 l d, the image token of the reference.
        reference_features: what the conditional half sees of the reference.
        guidance_scale: 1 evaluates the conditional rows alone.
        pose: the encoded pictures of the frames in flight, at one resolution or several.
    """

    unet: StockDenoiser
    draw: Draw
    pose_encoder: PoseEncoder | MultiLevelPoseEncoder
    token: Float[Tensor, "1 l d"]
    reference_features: ReferenceFeatures
    guidance_scale: float
    pose: HeldFrames = field(default_factory=HeldFrames)

    @torch.no_grad()
    def __call__(
        self, latents: Float[Tensor, "f c h w"], timestep: Timestep, frames: Sequence[int]
    ) -> Float[Tensor, "f c h w"]:
        """Evaluate the denoiser for one window; see :class:`~anifacediff.sampling.Denoiser`."""
        pose, seen = self.pose(frames, self._encoded), self.token.expand(len(frames), -1, -1)
        told = (
            {"pose_levels": pose}
            if isinstance(self.pose_encoder, MultiLevelPoseEncoder)
            else {"pose_features": pose[0]}
        )
        condition = {"reference_features": self.reference_features, **told}
        if self.guidance_scale == 1:
            return evaluate(self.unet, latents[None], timestep, seen, condition)[0]
        tokens = torch.cat([torch.zeros_like(seen), seen])
        return guided(
            evaluate(self.unet, torch.stack([latents, latents]), timestep, tokens, condition), self.guidance_scale
        )

    @torch.no_grad()
    def control(self, frame: int) -> UInt8[np.ndarray, "h w 3"]:
        """Give the pose picture of a frame."""
        return to_pictures(self.draw(range(frame, frame + 1)))[0]

    def forget(self, frames: range) -> None:
        """Drop what is held for frames that are finished."""
        self.pose.forget(frames)

    def _encoded(self, frames: range) -> tuple[Tensor, ...]:
        pictures = self.draw(frames)
        if isinstance(self.pose_encoder, MultiLevelPoseEncoder):
            return self.pose_encoder(2 * pictures - 1)["pose_levels"]
        return (self.pose_encoder(pictures)["pose_features"],)


class AnimateAnyonePipeline(AnimationPipeline):
    """Animate a portrait with pictures of the driver's pose, by Animate Anyone or AniPortrait.

    :meth:`stream` draws the driver's face on the reference's head, as AniFaceDiff does: the pose pictures of weights
    trained on such maps. :meth:`stream_pictures` takes the pictures that published weights were trained on, whatever
    drew them. Guidance contrasts the denoiser with one that has neither the reference nor its image token.

    Args:
        vae: images to latents and back.
        unet: the denoiser, with temporal modules or without.
        reference_net: reads the reference.
        pose_encoder: encodes the pose pictures: a :class:`PoseEncoder` for Animate Anyone, a
            :class:`MultiLevelPoseEncoder` for AniPortrait. (Its pictures are brought from [0, 1] to [-1, 1].)
        image_encoder: gives the image token.
        scheduler: any of diffusers that steps frames independently; as published,
            :func:`~anifacediff.assemblies.magicportrait.magicportrait_scheduler`.
        image_size: height and width in pixels of the pictures.
        morphable_model: registered name of the face model whose coefficients the clips are given in.
        rasterizer: registered name of the rasteriser that draws control maps.
        convention: their named convention.
        frame_norm_groups: see :class:`~anifacediff.assemblies.AniFaceDiffPipeline`.
        round_reference: round what ReferenceNet saw to float16, as the published code does.
        crop_margin: side of the crops over the size of a face that suits the weights.
        num_inference_steps: how many denoising steps suit the weights (AniPortrait: 25).
        start: what :meth:`stream` starts from where it is not told.
        untrained: names of the parts without trained weights.

    Raises:
        InputError: if ``image_size`` does not fit the VAE.
        AttachmentError: if the parts do not fit the denoiser, which is then as it was.

    Source: Animate Anyone, by its open code (Moore's, windows of 24 frames that share 4), and AniPortrait's published
    code (``window_size=16``).
    """

    model_cpu_offload_seq = "image_encoder->reference_net->unet->vae"
    _exclude_from_cpu_offload: ClassVar[list[str]] = ["pose_encoder"]
    kinds: ClassVar[Mapping[str, type]] = {
        "vae": AutoencoderKL,
        "unet": UNetMotionModel,
        "reference_net": ReferenceNet,
        "pose_encoder": PoseEncoder,
        "image_encoder": CLIPVisionModelWithProjection,
    }
    usual_guidance = 3.5

    reference_net: ReferenceNet
    pose_encoder: PoseEncoder | MultiLevelPoseEncoder
    image_encoder: CLIPVisionModelWithProjection

    def __init__(
        self,
        vae: Autoencoder,
        unet: UNet2DConditionModel | UNetMotionModel,
        reference_net: ReferenceNet,
        pose_encoder: PoseEncoder | MultiLevelPoseEncoder,
        image_encoder: CLIPVisionModelWithProjection,
        scheduler: Scheduler,
        image_size: int = 512,
        morphable_model: str = "parametric",
        rasterizer: str = "span",
        convention: str = "anifacediff",
        frame_norm_groups: int | None = None,
        round_reference: bool = False,
        crop_margin: float = 1.8,
        num_inference_steps: int = 30,
        start: str = "noise",
        untrained: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.register_modules(vae=vae, unet=unet, reference_net=reference_net, scheduler=scheduler)
        self.register_modules(pose_encoder=pose_encoder, image_encoder=image_encoder)
        self.check_image_size(image_size)
        face_model, drawn_by = registry.morphable_models[morphable_model](), registry.rasterizers[rasterizer]()
        self.alignment: ControlRenderer = FacialAlignment(
            face_model, image_size=image_size, rasterizer=drawn_by, convention=convention
        )
        self.settle(
            partial(reference_net.attach, unet),
            partial(pose_encoder.attach, unet),
            frame_norm_groups=frame_norm_groups,
            image_size=image_size,
            morphable_model=morphable_model,
            convention=convention,
            rasterizer=rasterizer,
            round_reference=round_reference,
            crop_margin=crop_margin,
            num_inference_steps=num_inference_steps,
            start=start,
            untrained=untrained,
        )

    @classmethod
    def kinds_in(cls, index: Mapping[str, Any]) -> Mapping[str, type]:
        several = index.get("pose_encoder") == [MultiLevelPoseEncoder.__module__, MultiLevelPoseEncoder.__name__]
        return {**cls.kinds, "pose_encoder": MultiLevelPoseEncoder if several else PoseEncoder}

    @classmethod
    def untrained(
        cls, *, seed: int = 0, image_size: int = 128, morphable_model: str = "parametric", multilevel: bool = False
    ) -> "AnimateAnyonePipeline":
        """Build a small Animate Anyone with random weights: every part works, the pictures mean nothing.

        Args:
            seed: of the weights.
            image_size: height and width in pixels of the pictures, a multiple of 16.
            morphable_model: registered name of the face model.
            multilevel: build AniPortrait, whose pose enters at every resolution.
        """
        small = small_networks(seed, image_size)
        with seeded(seed):
            single = PoseEncoder.for_unet(small.unet)
            several = MultiLevelPoseEncoder.for_unet(small.unet, attention_heads=2, attention_head_dim=8)
        return cls(
            vae=small.vae,
            unet=small.temporal.inflate(small.unet).eval(),
            reference_net=ReferenceNet.from_unet(small.unet).eval(),
            pose_encoder=(several if multilevel else single).eval(),
            image_encoder=small.image_encoder,
            scheduler=magicportrait_scheduler(),
            untrained=tuple(cls.kinds),
            **small.settings(morphable_model),
        )

    def prepare(self, reference: Reference, driving: FaceParameters, guidance_scale: float) -> AnimateAnyoneClip:
        device = self._execution_device
        driving, align = driving.to(device), self.renderer(device)
        alignment = self.alignment.plan(reference.parameters.to(device), driving[:1])

        def draw(frames: range) -> Float[Tensor, "f 3 h w"]:
            maps = align.render(alignment, driving[frames.start : frames.stop]).normal
            assert maps is not None
            return maps

        return self._clip(reference.image, draw, guidance_scale)

    def stream_pictures(
        self,
        image: np.ndarray,
        pictures: np.ndarray,
        *,
        guidance_scale: float | None = None,
        free_after_reference: bool = False,
        **options: Any,
    ) -> Iterator[GeneratedFrame]:
        """Generate frame after frame from pose pictures that were drawn elsewhere; no face need be tracked.

        Args:
            image: the avatar, size size 3, RGB bytes.
            pictures: f size size 3, RGB bytes; those of another size than the pipeline's are resized.
            guidance_scale: as of :meth:`stream`.
            free_after_reference: as of :meth:`stream`.
            options: of :meth:`generate`.

        Raises:
            ShapeError: if a picture is not a square of RGB bytes.
            InputError: if there is none, or an option is out of range.
        """
        if pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[1:] != (pictures.shape[1],) * 2 + (3,):
            raise ShapeError(f"pictures: expected uint8, frames size size 3, found {pictures.dtype} {pictures.shape}.")

        def draw(frames: range) -> Float[Tensor, "f 3 h w"]:
            return torch.cat([self.picture(pictures[frame]) for frame in frames])

        self._check_reference_parts()
        scale = self.usual_guidance if guidance_scale is None else guidance_scale
        clip = self._clip(image, draw, scale)
        if free_after_reference:
            self.free_reference_parts()
        return self.generate(clip, len(pictures), **options)

    @torch.no_grad()
    def _clip(self, image: np.ndarray, draw: Draw, guidance_scale: float) -> AnimateAnyoneClip:
        picture = self.picture(image)
        token = ImageTokens(self.image_encoder)(picture)
        load_for_use(self.unet)
        stored = torch.float16 if self.config["round_reference"] else None
        features = self.reference_net.read(
            self.encode(picture), token, self.unet, guidance=guidance_scale != 1, store_dtype=stored
        )["reference_features"]
        return AnimateAnyoneClip(self.unet, draw, self.pose_encoder, token, features, guidance_scale)
