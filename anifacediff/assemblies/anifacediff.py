"""AniFaceDiff: a stylised avatar takes over the pose and expression of a driving video."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from copy import deepcopy
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_dc import AutoencoderDC
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.models.unets.unet_motion_model import UNetMotionModel
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from PIL import Image
from torch import nn
from transformers import CLIPVisionModelWithProjection

from anifacediff.assemblies.clip import ClipDenoiser
from anifacediff.assemblies.exchange import AniFaceDiffOutput, GeneratedFrame, Reference, UntrainedWarning
from anifacediff.assemblies.loading import load_components, load_scheduler, local_folder, read_index
from anifacediff.assemblies.parts import PresetName, small_parts, stable_diffusion_parts
from anifacediff.backbone.reference_net import ReferenceNet
from anifacediff.backbone.temporal import check_window, normalise_per_frame
from anifacediff.backbone.temporal import frame_norm_groups as frame_norm_groups_of
from anifacediff.conditioning.contracts import ControlRenderer
from anifacediff.conditioning.expression_adapter import ExpressionAdapter
from anifacediff.conditioning.facial_alignment import FacialAlignment
from anifacediff.conditioning.image_tokens import ImageTokens
from anifacediff.conditioning.pose_encoder import PoseEncoder
from anifacediff.conditioning.reference_warp import ReferenceGuide, ReferenceWarp, blend_channels, guide_channels
from anifacediff.errors import CheckpointError, InputError, ShapeError
from anifacediff.geometry.faces import FaceParameters
from anifacediff.media.pictures import to_pictures
from anifacediff.registry import registry
from anifacediff.sampling.denoise import Scheduler, denoise_clip, stream_latents
from anifacediff.sampling.noise import FrameNoise
from anifacediff.sampling.windows import closed_windows, open_windows
from anifacediff.shapes import Float, Tensor, UInt8

LONGEST_WINDOW = 24
USUAL_OVERLAP = 4
DECODE_CHUNK = 8
USUAL_STEPS = 20  # the paper's
USUAL_MARGIN = 1.8  # shows the whole head
NANO = Path(__file__).parents[1] / "weights" / "nano"

Autoencoder: TypeAlias = AutoencoderKL | AutoencoderTiny | AutoencoderDC
AUTOENCODERS: Mapping[str, type[Autoencoder]] = {
    kind.__name__: kind for kind in (AutoencoderKL, AutoencoderTiny, AutoencoderDC)
}

COMPONENTS = {
    "vae": AutoencoderKL,
    "image_encoder": CLIPVisionModelWithProjection,
    "reference_net": ReferenceNet,
    "unet": UNetMotionModel,
    "pose_encoder": PoseEncoder,
    "expression_adapter": ExpressionAdapter,
}


class AniFaceDiffPipeline(DiffusionPipeline):
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
            :class:`ReferenceGuide` and :func:`~anifacediff.conditioning.reference_warp.blended`. Not in the papers.
        crop_margin: side of the crops over the size of a face that suits the weights, see
            :func:`~anifacediff.tracking.track_image`.
        num_inference_steps: how many denoising steps suit the weights, where :meth:`stream` is not told.
        start: what it starts from where it is not told.
        untrained: names of the parts without trained weights; announced at each use, saved with the pipeline.

    Raises:
        InputError: if ``image_size`` does not fit the VAE, or the parts are made for another face model.
        AttachmentError: if the parts do not fit the denoiser, which is then as it was.

    Source: AniFaceDiff (final form: shape and scale alignment, pose features added to the input; v1: shape
    alignment only, pose features concatenated).
    """

    model_cpu_offload_seq = "image_encoder->reference_net->unet->vae"
    # Their weights are used inside the denoiser's call, so they stay on the device; they are small.
    _exclude_from_cpu_offload = ["pose_encoder", "expression_adapter"]  # noqa: RUF012

    vae: Autoencoder
    image_encoder: CLIPVisionModelWithProjection
    reference_net: ReferenceNet
    unet: UNet2DConditionModel | UNetMotionModel
    pose_encoder: PoseEncoder
    expression_adapter: ExpressionAdapter
    scheduler: Scheduler

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
        self._check_sizes(image_size, self.alignment.morphable_model.num_expression, morphable_model)
        self._check_guide(reference_warp)
        self._attachments = self._attach(frame_norm_groups, reference_pose)
        self.register_to_config(
            image_size=image_size,
            morphable_model=morphable_model,
            align_shape=align_shape,
            align_scale=align_scale,
            anchor=anchor,
            convention=convention,
            rasterizer=rasterizer,
            frame_norm_groups=frame_norm_groups_of(unet) if isinstance(unet, UNetMotionModel) else None,
            reference_pose=reference_pose,
            reference_warp=reference_warp,
            crop_margin=crop_margin,
            num_inference_steps=num_inference_steps,
            start=start,
            untrained=list(untrained),
        )

    def _check_sizes(self, image_size: int, expressions: int, morphable_model: str) -> None:
        if image_size < 1 or image_size % self._stride:
            raise InputError(f"image_size: must be a multiple of the VAE's {self._stride} pixels, found {image_size}.")
        if self.expression_adapter.expression_dim != expressions:
            raise InputError(
                f"expression_adapter: made for {self.expression_adapter.expression_dim} expression coefficients, but "
                f"the face model {morphable_model!r} has {expressions}; use the one that it was trained with."
            )

    def _check_guide(self, reference_warp: bool) -> None:
        latents = int(self.vae.config["latent_channels"])
        guide, out = (guide_channels(latents), blend_channels(latents)) if reference_warp else (0, latents)
        found = self.pose_encoder.guide_channels, int(self.unet.config["out_channels"])
        if found != (guide, out):
            raise InputError(
                f"reference_warp={reference_warp}: needs a Pose Encoder with guide_channels={guide} and a denoiser "
                f"with out_channels={out}, found {found[0]} and {found[1]}; set it as when the parts were trained."
            )

    def _attach(self, frame_norm_groups: int | None, reference_pose: bool) -> ExitStack:
        """Attach the parts; they stay, so that a compiled denoiser is compiled once, and own none of its weights."""
        with ExitStack() as stack:
            if isinstance(self.unet, UNetMotionModel) and frame_norm_groups is not None:
                stack.enter_context(normalise_per_frame(self.unet, frame_norm_groups))
            for part in (self.reference_net, self.pose_encoder, self.expression_adapter):
                stack.enter_context(part.attach(self.unet))
            if reference_pose:
                stack.enter_context(self.pose_encoder.attach(self.reference_net))
            return stack.pop_all()

    @property
    def untrained_parts(self) -> tuple[str, ...]:
        """The parts that have no trained weights."""
        return tuple(self.config["untrained"])

    def detach(self) -> None:
        """Give the denoiser back as it was; the pipeline cannot be used afterwards."""
        self._attachments.close()

    @classmethod
    def from_pretrained(  # pyright: ignore[reportIncompatibleMethodOverride]
        cls,
        pretrained_model_name_or_path: str | PathLike[str],
        *,
        torch_dtype: torch.dtype = torch.float32,
        **hub_options: Any,
    ) -> "AniFaceDiffPipeline":
        """Load a folder that :meth:`save_pretrained` wrote, or a Hub id; JSON and safetensors files only.

        Args:
            pretrained_model_name_or_path: folder or Hub id.
            torch_dtype: precision of the parts.
            hub_options: of ``huggingface_hub.snapshot_download``, such as ``revision`` and ``token``.

        Raises:
            CheckpointError: if anything is missing, left over, corrupted, or of another shape.
        """
        folder = local_folder(pretrained_model_name_or_path, (*COMPONENTS, "scheduler"), **hub_options)
        index = read_index(folder, cls.__name__)
        video = index.get("unet") == ["diffusers", UNetMotionModel.__name__]
        kinds = {
            **COMPONENTS,
            "unet": UNetMotionModel if video else UNet2DConditionModel,
            "vae": _autoencoder(folder, index),
        }
        components = load_components(folder, kinds, torch_dtype=torch_dtype)
        described = {name: value for name, value in index.items() if not name.startswith("_") and name not in kinds}
        described["scheduler"] = load_scheduler(folder)
        try:
            return cls(**components, **described)
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"{folder / 'model_index.json'}: describes no such pipeline: {error}") from error

    @classmethod
    def nano(cls, *, torch_dtype: torch.dtype = torch.float32) -> "AniFaceDiffPipeline":
        """Load the small pipeline that comes with the package, trained on drawn avatars; see its model card.

        Args:
            torch_dtype: precision of the parts; the weights are stored in float16.

        Raises:
            CheckpointError: if the package's files are incomplete.
        """
        return cls.from_pretrained(NANO, torch_dtype=torch_dtype)

    @classmethod
    def from_stable_diffusion(
        cls,
        stable_diffusion: str | PathLike[str],
        *,
        motion_adapter: str | PathLike[str],
        image_encoder: str | PathLike[str],
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
            motion_adapter: folder or Hub id of AnimateDiff's motion modules in diffusers' format.
            image_encoder: folder or Hub id of a CLIP vision model with projection to the context's width.
            preset: ``"final"`` or ``"v1"``.
            image_size: height and width in pixels of the pictures.
            morphable_model: registered name of the face model; its expression coefficients drive the adapter.
            torch_dtype: precision of the parts.
            hub_options: of ``huggingface_hub.snapshot_download``.

        Raises:
            CheckpointError: if anything is missing, left over, corrupted, or of another shape.
            InputError: if there is no such preset.
        """
        parts = stable_diffusion_parts(
            local_folder(stable_diffusion, ("unet", "vae"), **hub_options),
            motion_adapter=local_folder(motion_adapter, **hub_options),
            image_encoder=local_folder(image_encoder, **hub_options),
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

    def __call__(self, reference: Reference, driving: FaceParameters, **options: Any) -> AniFaceDiffOutput:
        """Generate a whole clip; :meth:`stream` takes the same arguments and gives one frame after another."""
        frames = list(self.stream(reference, driving, **options))
        return AniFaceDiffOutput(
            frames=[Image.fromarray(frame.image) for frame in frames],
            control=[Image.fromarray(frame.control) for frame in frames],
        )

    def stream(
        self,
        reference: Reference,
        driving: FaceParameters,
        *,
        num_inference_steps: int | None = None,
        guidance_scale: float = 1.0,
        seed: int = 0,
        window_size: int | None = None,
        overlap: int | None = None,
        closed_loop: bool = False,
        eta: float = 0.0,
        start: str | None = None,
        on_window: Callable[[int, int], None] | None = None,
    ) -> Iterator[GeneratedFrame]:
        """Generate frame after frame; memory does not grow with the clip.

        Args:
            reference: the avatar's face crop and its parameters.
            driving: parameters of the driver's frames; the result has as many.
            num_inference_steps: denoising steps; as many as suit the weights if not given (the paper: 20 of DDIM).
            guidance_scale: 1 evaluates the denoiser once a step; more contrasts it with one that has neither
                reference, image token, nor expression (Animate Anyone: 3.5); a moved reference, see
                ``reference_warp``, is seen by both. The paper mentions none, and nano was not trained for it.
            seed: the same seed gives the same video.
            window_size: frames denoised together; 24, or as many as the temporal modules have positions for.
            overlap: frames that neighbouring windows share, 4 if not given; their predictions are averaged at every
                step.
            closed_loop: the published wrap-round order of windows, which has to finish the whole clip at once.
            eta: share of fresh noise at each step, for DDIM.
            start: ``"noise"`` draws one of many possible videos, which the seed chooses, ``"shared"`` too, with the
                same noise for all frames; ``"zeros"`` gives one smooth answer in the middle of them, for denoisers
                whose schedule ends in noise alone. What suits the weights if not given.
            on_window: called with the windows evaluated so far and in all.

        Raises:
            InputError: if the clip is empty or an option is out of range.
            ShapeError: if the image is not a square of RGB bytes, the parameters do not fit the face model, or a
                window is longer than the temporal modules' table of positions.
            AttachmentError: if a processor of this pipeline was replaced by someone else's.
        """
        if not len(driving):
            raise InputError("driving: the clip has no frames.")
        if self.untrained_parts:
            parts = ", ".join(self.untrained_parts)
            warnings.warn(f"No trained weights: {parts}. The pictures mean nothing.", UntrainedWarning, stacklevel=2)
        window_size = self._window_size(window_size)
        overlap = min(USUAL_OVERLAP, window_size - 1) if overlap is None else overlap
        clip = self._prepare(reference, driving, guidance_scale)
        side = int(self.config["image_size"]) // self._stride
        shape = (int(self.vae.config["latent_channels"]), side, side)
        noise = FrameNoise(seed, shape, self._execution_device, self.unet.dtype, start or self.config["start"])
        steps = self.config["num_inference_steps"] if num_inference_steps is None else num_inference_steps
        options: dict[str, Any] = {"noise": noise, "num_steps": steps, "eta": eta, "on_window": on_window}
        if closed_loop:
            windows = closed_windows(len(driving), window_size, overlap)
            with torch.no_grad():
                latents = denoise_clip(clip, self.scheduler, windows=windows, **options)
            return self._finish(iter([latents]), clip)
        windows = open_windows(len(driving), window_size, overlap)
        return self._finish(stream_latents(clip, self.scheduler, windows=windows, **options), clip)

    @property
    def _stride(self) -> int:
        """Pixels of the picture for one of the latents."""
        config = self.vae.config
        return 2 ** (len(config.get("block_out_channels") or config["encoder_block_out_channels"]) - 1)

    def _window_size(self, asked: int | None) -> int:
        longest = self.unet.config.get("motion_max_seq_length")
        size = min(LONGEST_WINDOW, longest or LONGEST_WINDOW) if asked is None else asked
        if longest is not None:
            check_window(size, longest)
        return size

    @torch.no_grad()
    def _prepare(self, reference: Reference, driving: FaceParameters, guidance_scale: float) -> ClipDenoiser:
        device, dtype = self._execution_device, self.unet.dtype
        size = int(self.config["image_size"])
        _check_picture(reference.image)
        picture = Image.fromarray(reference.image).resize((size, size), Image.Resampling.LANCZOS)
        image = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].to(device, dtype) / 255
        latents = self._encode(image)
        token = ImageTokens(self.image_encoder)(image)
        _load_for_use(self.unet)
        parameters = reference.parameters.to(device)
        features = self.reference_net.read(
            latents,
            token,
            self.unet,
            guidance=guidance_scale != 1,
            cross_attention_kwargs=self._reference_pose(parameters) if self.config["reference_pose"] else None,
        )
        driving, align = driving.to(device), _on(self.alignment, device)
        return ClipDenoiser(
            unet=self.unet,
            video="motion_max_seq_length" in self.unet.config,  # holds for a compiled denoiser too
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
        maps = _on(self.alignment, parameters.expression.device)(parameters, parameters).normal
        assert maps is not None
        return self.pose_encoder(maps)

    def _guide(
        self, image: Float[Tensor, "1 3 height width"], parameters: FaceParameters, align: ControlRenderer
    ) -> ReferenceGuide:
        rasterizer = registry.rasterizers[self.config["rasterizer"]]()
        size = int(self.config["image_size"])
        warp = ReferenceWarp(align.morphable_model, image_size=size, rasterizer=rasterizer)
        return ReferenceGuide(warp, image, parameters, self._encode)

    def _encode(self, image: Float[Tensor, "b 3 height width"]) -> Float[Tensor, "b c h w"]:
        encoded = self.vae.encode(image * 2 - 1, return_dict=False)[0]
        latents = encoded if isinstance(encoded, Tensor) else encoded.mode()
        return latents * self.vae.config["scaling_factor"]

    @torch.no_grad()
    def _decode(self, latents: Float[Tensor, "f c h w"]) -> UInt8[np.ndarray, "f height width 3"]:
        pictures = self.vae.decode(latents / self.vae.config["scaling_factor"], return_dict=False)[0]
        return to_pictures(pictures / 2 + 0.5)

    def _finish(self, segments: Iterator[Float[Tensor, "f c h w"]], clip: ClipDenoiser) -> Iterator[GeneratedFrame]:
        first = 0
        try:
            for segment in segments:
                for latents in segment.split(DECODE_CHUNK):
                    frames = range(first, first + len(latents))
                    clip.forget(frames)
                    for frame, image in zip(frames, self._decode(latents), strict=True):
                        yield GeneratedFrame(image, partial(clip.control, frame))
                    first = frames.stop
        finally:
            self.maybe_free_model_hooks()


def _autoencoder(folder: Path, index: Mapping[str, Any]) -> type[Autoencoder]:
    """Choose the class of a folder's autoencoder among those that are known to work."""
    found = index.get("vae")
    for name, kind in AUTOENCODERS.items():
        if found == ["diffusers", name]:
            return kind
    raise CheckpointError(
        f"{folder / 'model_index.json'}: the vae is {found}; one of diffusers' {', '.join(AUTOENCODERS)} is needed."
    )


def _on(renderer: ControlRenderer, device: torch.device) -> ControlRenderer:
    """A copy of a renderer on another device; the face model may be in use elsewhere, and stays where it is."""
    if device.type == "cpu" or not isinstance(renderer, nn.Module):
        return renderer
    return deepcopy(renderer).to(device)


def _check_picture(image: np.ndarray) -> None:
    height, width, channels = image.shape if image.ndim == 3 else (0, 0, 0)
    if image.dtype != np.uint8 or channels != 3 or height != width or not height:
        raise ShapeError(
            f"reference.image: expected a square of RGB bytes (uint8, size size 3), found {image.dtype} {image.shape}; "
            "crop the face with anifacediff.tracking.track_image, or with anifacediff.media.SquareCrop."
        )


def _load_for_use(module: nn.Module) -> None:
    """Under model offload, bring a module to its device: its projections are used outside its own call."""
    hook = getattr(module, "_hf_hook", None)
    if hook is not None:
        hook.pre_forward(module)
