"""AniFaceDiff: a stylised avatar takes over the pose and expression of a driving video."""

from collections.abc import Mapping, Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.models.unets.unet_motion_model import UNetMotionModel
from transformers import CLIPVisionModelWithProjection

from anifacediff.assemblies.anifacediff_clip import AniFaceDiffClip
from anifacediff.assemblies.exchange import Reference
from anifacediff.assemblies.loading import without_bars
from anifacediff.assemblies.parts import PresetName, small_parts, stable_diffusion_parts
from anifacediff.assemblies.pipeline import AnimationPipeline, Autoencoder, load_for_use
from anifacediff.assemblies.stable_diffusion import PublicFiles
from anifacediff.backbone.reference_net import ReferenceNet
from anifacediff.conditioning.contracts import ControlRenderer
from anifacediff.conditioning.expression_adapter import ExpressionAdapter
from anifacediff.conditioning.facial_alignment import FacialAlignment
from anifacediff.conditioning.image_tokens import ImageTokens
from anifacediff.conditioning.plane_sweep import PlaneSweep
from anifacediff.conditioning.pose_encoder import PoseEncoder
from anifacediff.conditioning.reference_guide import ReferenceGuide, blend_channels, guide_channels
from anifacediff.conditioning.reference_warp import ReferenceWarp
from anifacediff.errors import InputError, ShapeError
from anifacediff.geometry.faces import FaceParameters
from anifacediff.registry import registry
from anifacediff.sampling.denoise import Scheduler
from anifacediff.shapes import Float, Tensor

USUAL_STEPS = 20  # the paper's
USUAL_MARGIN = 1.8  # shows the whole head
NANO = Path(__file__).parents[1] / "weights" / "nano"


class AniFaceDiffPipeline(AnimationPipeline):
    """Animate a reference image with the faces of a driving clip.

    Args:
        vae: images to latents and back.
        image_encoder: gives the image token.
        reference_net: reads the reference.
        unet: the denoiser, with temporal modules (``UNetMotionModel``) or without.
        pose_encoder: encodes the control maps.
        expression_adapter: encodes the driver's expression coefficients.
        scheduler: any of diffusers that steps frames independently.
        image_size: height and width in pixels of the pictures.
        morphable_model: registered name of the face model whose coefficients the clips are given in.
        align_shape: draw the control maps with the reference's shape.
        align_scale: draw them at the reference's scale.
        anchor: where the face stands in the picture, see :class:`FacialAlignment`.
        convention: named convention of the control maps.
        rasterizer: registered name of the rasteriser that draws them.
        frame_norm_groups: if given, the normalisations before the temporal modules treat every frame alone, in so
            many groups, see :meth:`TemporalModules.inflate`; else they stay as they are in ``unet``.
        reference_pose: show ReferenceNet the control map of the reference, too, so that it need not find out where
            the face is; for weights that were trained so.
        reference_warp: show the denoiser the reference's own pixels, moved to each frame by :class:`ReferenceWarp`,
            and let it say how much of them it takes over; for a Pose Encoder and a denoiser that were trained so, see
            :class:`ReferenceGuide` and :func:`~anifacediff.conditioning.reference_guide.blended`. Not in the papers.
        reference_planes: beside ``reference_warp``, show it as planes at these depths, too, see :class:`PlaneSweep`.
        reference_body_planes: the same for planes that move with the body.
        crop_margin: side of the crops over the size of a face that suits the weights, see
            :func:`~anifacediff.tracking.track_image`.
        num_inference_steps: how many denoising steps suit the weights, where :meth:`stream` is not told.
        start: what it starts from where it is not told.
        untrained: names of the parts without trained weights; announced at each use, saved with the pipeline.

    Guidance contrasts the denoiser with one that has neither reference, image token, nor expression (Animate Anyone:
    3.5); a moved reference, see ``reference_warp``, is seen by both. The paper mentions none, and nano was not trained
    for it.

    Raises:
        InputError: if ``image_size`` does not fit the VAE, or the parts are made for another face model.
        AttachmentError: if the parts do not fit the denoiser, which is then as it was.

    Source: AniFaceDiff (final form: shape and scale alignment, pose features added to the input; v1: shape
    alignment only, pose features concatenated).
    """

    model_cpu_offload_seq = "image_encoder->reference_net->unet->vae"
    # Their weights are used inside the denoiser's call, so they stay on the device; they are small.
    _exclude_from_cpu_offload: ClassVar[list[str]] = ["pose_encoder", "expression_adapter"]

    kinds: ClassVar[Mapping[str, type]] = {
        "vae": AutoencoderKL,
        "image_encoder": CLIPVisionModelWithProjection,
        "reference_net": ReferenceNet,
        "unet": UNetMotionModel,
        "pose_encoder": PoseEncoder,
        "expression_adapter": ExpressionAdapter,
    }

    image_encoder: CLIPVisionModelWithProjection
    reference_net: ReferenceNet
    pose_encoder: PoseEncoder
    expression_adapter: ExpressionAdapter

    def __init__(
        self,
        vae: Autoencoder,
        image_encoder: CLIPVisionModelWithProjection,
        reference_net: ReferenceNet,
        unet: UNet2DConditionModel | UNetMotionModel,
        pose_encoder: PoseEncoder,
        expression_adapter: ExpressionAdapter,
        scheduler: Scheduler,
        image_size: int = 256,
        morphable_model: str = "parametric",
        align_shape: bool = True,
        align_scale: bool = True,
        anchor: str = "driving",
        convention: str = "anifacediff",
        rasterizer: str = "span",
        frame_norm_groups: int | None = None,
        reference_pose: bool = False,
        reference_warp: bool = False,
        reference_planes: Sequence[float] = (),
        reference_body_planes: Sequence[float] = (),
        crop_margin: float = USUAL_MARGIN,
        num_inference_steps: int = USUAL_STEPS,
        start: str = "noise",
        untrained: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.register_modules(
            vae=vae,
            image_encoder=image_encoder,
            reference_net=reference_net,
            unet=unet,
            pose_encoder=pose_encoder,
            expression_adapter=expression_adapter,
            scheduler=scheduler,
        )
        self.alignment: ControlRenderer = FacialAlignment(
            registry.morphable_models[morphable_model](),
            image_size=image_size,
            rasterizer=registry.rasterizers[rasterizer](),
            align_shape=align_shape,
            align_scale=align_scale,
            anchor=anchor,
            convention=convention,
        )
        self.check_image_size(image_size)
        self._check_adapter(self.alignment.morphable_model.num_expression, morphable_model)
        self._check_guide(reference_warp, len(reference_planes) + len(reference_body_planes))
        shown = [partial(pose_encoder.attach, reference_net)] if reference_pose else []
        self.settle(
            *(partial(part.attach, unet) for part in (reference_net, pose_encoder, expression_adapter)),
            *shown,
            image_size=image_size,
            morphable_model=morphable_model,
            align_shape=align_shape,
            align_scale=align_scale,
            anchor=anchor,
            convention=convention,
            rasterizer=rasterizer,
            frame_norm_groups=frame_norm_groups,
            reference_pose=reference_pose,
            reference_warp=reference_warp,
            reference_planes=tuple(reference_planes),
            reference_body_planes=tuple(reference_body_planes),
            crop_margin=crop_margin,
            num_inference_steps=num_inference_steps,
            start=start,
            untrained=untrained,
        )

    def _check_adapter(self, expressions: int, morphable_model: str) -> None:
        if self.expression_adapter.expression_dim < expressions:  # more: gaze and eyelids are told, too
            raise InputError(
                f"expression_adapter: made for {self.expression_adapter.expression_dim} expression coefficients, but "
                f"the face model {morphable_model!r} has {expressions}; use the one that it was trained with."
            )

    def _check_expression(self, driving: FaceParameters) -> None:
        expected, found = self.expression_adapter.expression_dim, driving.expression_code.shape[1]
        if found != expected:
            raise ShapeError(
                f"driving.expression_code: the Expression Adapter was made for {expected} numbers a frame, found "
                f"{found} (expression, gaze and eyelids taken together); use the tracker that it was trained with."
            )

    def _check_guide(self, reference_warp: bool, planes: int) -> None:
        if planes and not reference_warp:
            raise InputError("reference_planes: planes are shown beside the moved reference; set reference_warp, too.")
        latents = int(self.vae.config["latent_channels"])
        guided = guide_channels(latents, planes), blend_channels(latents, planes)
        guide, out = guided if reference_warp else (0, latents)
        found = self.pose_encoder.guide_channels, int(self.unet.config["out_channels"])
        if found != (guide, out):
            raise InputError(
                f"reference_warp={reference_warp}, {planes} planes of the reference: need a Pose Encoder with "
                f"guide_channels={guide} and a denoiser with out_channels={out}, found {found[0]} and {found[1]}; set "
                "both as when the parts were trained."
            )

    @classmethod
    def nano(cls, *, torch_dtype: torch.dtype = torch.float32) -> "AniFaceDiffPipeline":
        """Load the small pipeline that comes with the package, trained on drawn avatars; see its model card.

        Args:
            torch_dtype: precision of the parts; the weights are stored in float16.

        Raises:
            CheckpointError: if the package's files are incomplete.
        """
        with without_bars():
            return cls.from_pretrained(NANO, torch_dtype=torch_dtype)

    @classmethod
    def from_stable_diffusion(
        cls,
        stable_diffusion: str | PathLike[str],
        *,
        motion_adapter: str | PathLike[str],
        image_encoder: str | PathLike[str],
        vae: str | PathLike[str] | None = None,
        preset: PresetName = "final",
        image_size: int = 256,
        morphable_model: str = "parametric",
        torch_dtype: torch.dtype = torch.float32,
        **hub_options: Any,
    ) -> "AniFaceDiffPipeline":
        """Assemble AniFaceDiff at Stable Diffusion 1.5 size from public weights.

        Pose Encoder and Expression Adapter start fresh, ReferenceNet as a copy of the denoiser: train them.

        Args:
            stable_diffusion: folder or Hub id of a Stable Diffusion 1.5 pipeline; its ``unet`` and ``vae`` are used.
            motion_adapter: folder or Hub id of AnimateDiff's motion modules in diffusers' layout, or a file of
                AnimateDiff itself, such as ``mm_sd_v15_v2.ckpt`` or ``v3_sd15_mm.ckpt``.
            image_encoder: folder or Hub id of a CLIP vision model with projection to the context's width, or of a
                whole CLIP.
            vae: folder or Hub id of another VAE, such as ``sd-vae-ft-mse``, in place of the pipeline's.
            preset: ``"final"`` or ``"v1"``.
            image_size: height and width in pixels of the pictures.
            morphable_model: registered name of the face model; its expression coefficients drive the adapter.
            torch_dtype: precision of the parts.
            hub_options: of ``huggingface_hub.snapshot_download``.

        Raises:
            AssetError: if a file of motion modules is damaged, or holds anything but tensors.
            CheckpointError: if anything is missing, left over, corrupted, of another shape, or of another model.
            InputError: if there is no such preset.
        """
        parts = stable_diffusion_parts(
            PublicFiles.find(stable_diffusion, motion_adapter, image_encoder, vae, **hub_options),
            preset=preset,
            image_size=image_size,
            morphable_model=morphable_model,
            torch_dtype=torch_dtype,
        )
        return cls(**vars(parts))

    @classmethod
    def untrained(
        cls,
        *,
        seed: int = 0,
        preset: PresetName = "final",
        image_size: int = 128,
        morphable_model: str = "parametric",
    ) -> "AniFaceDiffPipeline":
        """Build a small AniFaceDiff with random weights: every part works, the pictures mean nothing.

        Args:
            seed: of the weights.
            preset: ``"final"`` or ``"v1"``.
            image_size: height and width in pixels of the pictures, a multiple of 16.
            morphable_model: registered name of the face model.
        """
        parts = small_parts(seed=seed, preset=preset, image_size=image_size, morphable_model=morphable_model)
        return cls(**vars(parts))

    @torch.no_grad()
    def prepare(self, reference: Reference, driving: FaceParameters, guidance_scale: float) -> AniFaceDiffClip:
        self._check_expression(driving)
        image, device = self.picture(reference.image), self._execution_device
        token = ImageTokens(self.image_encoder)(image)
        load_for_use(self.unet)
        parameters = reference.parameters.to(device)
        features = self.reference_net.read(
            self.encode(image),
            token,
            self.unet,
            guidance=guidance_scale != 1,
            cross_attention_kwargs=self._reference_pose(parameters) if self.config["reference_pose"] else None,
        )
        driving, align = driving.to(device), self.renderer(device)
        return AniFaceDiffClip(
            unet=self.unet,
            align=align,
            pose_encoder=self.pose_encoder,
            guide=self._guide(image, parameters, align) if self.config["reference_warp"] else None,
            expression_adapter=self.expression_adapter,
            alignment=self.alignment.plan(parameters, driving[:1]),
            driving=driving,
            token=token,
            reference_features=features["reference_features"],
            guidance_scale=guidance_scale,
        )

    def _reference_pose(self, parameters: FaceParameters) -> dict[str, Tensor]:
        maps = self.renderer(parameters.expression.device)(parameters, parameters).normal
        assert maps is not None
        return self.pose_encoder(maps)

    def _guide(
        self, image: Float[Tensor, "1 3 height width"], parameters: FaceParameters, align: ControlRenderer
    ) -> ReferenceGuide:
        rasterizer = registry.rasterizers[self.config["rasterizer"]]()
        size = int(self.config["image_size"])
        model = align.morphable_model
        warp = ReferenceWarp(model, image_size=size, rasterizer=rasterizer)
        planes = {"depths": self.config["reference_planes"], "body_depths": self.config["reference_body_planes"]}
        sweep = PlaneSweep(model, image_size=size, **planes) if any(planes.values()) else None
        return ReferenceGuide(warp, sweep, image, parameters, self.encode)
