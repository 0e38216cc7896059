"""What every assembly does alike: strict loading, a stream of frames, decoding a few at a time."""

import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, TypeAlias, TypeVar

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_dc import AutoencoderDC
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.models.unets.unet_motion_model import UNetMotionModel
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from PIL import Image

from anifacediff.assemblies.cached_clip import cached
from anifacediff.assemblies.clip import Clip, Conditions
from anifacediff.assemblies.exchange import AnimationOutput, GeneratedFrame, Reference, UntrainedWarning
from anifacediff.assemblies.loading import load_components, load_scheduler, local_folder, read_index
from anifacediff.attachment import Attachment
from anifacediff.backbone.temporal import check_window, normalise_per_frame
from anifacediff.backbone.temporal import frame_norm_groups as frame_norm_groups_of
from anifacediff.checkpoint import unmap
from anifacediff.conditioning.contracts import ControlRenderer
from anifacediff.errors import AttachmentError, CheckpointError, InputError, ShapeError
from anifacediff.geometry.faces import FaceParameters
from anifacediff.media.pictures import to_pictures
from anifacediff.provenance.contracts import Mark
from anifacediff.sampling.denoise import Scheduler, denoise_clip, stream_latents
from anifacediff.sampling.noise import FrameNoise, Noise
from anifacediff.sampling.windows import closed_windows, open_windows
from anifacediff.shapes import Float, Tensor, UInt8

DECODE_CHUNK = 8  # frames of up to 256 x 256 pixels; fewer that are larger, for as much memory
LARGEST_SHARD = "1GB"

Autoencoder: TypeAlias = AutoencoderKL | AutoencoderTiny | AutoencoderDC
AUTOENCODERS: Mapping[str, type[Autoencoder]] = {
    kind.__name__: kind for kind in (AutoencoderKL, AutoencoderTiny, AutoencoderDC)
}
PipelineT = TypeVar("PipelineT", bound="AnimationPipeline")


@dataclass(frozen=True)
class Layout:
    """Which frames of a clip are denoised together.

    Attributes:
        num_frames: of the clip.
        window_size: frames denoised together.
        overlap: frames that neighbours share.
        closed_loop: whether windows wrap round.
    """

    num_frames: int
    window_size: int
    overlap: int
    closed_loop: bool


class AnimationPipeline(DiffusionPipeline):
    """Base of the assemblies: they say what they are made of, and prepare the conditions of a clip.

    A subclass registers ``vae``, ``unet`` and ``scheduler`` among its modules, and ``image_size``,
    ``num_inference_steps``, ``start`` and ``untrained`` in its configuration.
    """

    kinds: ClassVar[Mapping[str, type]]
    """The class of every component but the scheduler; of ``unet`` and ``vae`` the usual one."""

    usual_window: ClassVar[int] = 24
    """Frames denoised together where :meth:`stream` is not told, if the temporal modules have as many positions."""

    usual_overlap: ClassVar[int] = 4
    """Frames that neighbouring windows share where :meth:`stream` is not told."""

    usual_guidance: ClassVar[float] = 1.0
    """The guidance scale where :meth:`stream` is not told."""

    reference_parts: ClassVar[tuple[str, ...]] = ("image_encoder", "prompt", "reference_net")
    """Components that only :meth:`prepare` uses, once for a clip; names that an assembly does not have are no harm."""

    folder: Path | None = None
    """Where its weights were loaded from; None if it was put together from parts."""

    vae: Autoencoder
    unet: UNet2DConditionModel | UNetMotionModel
    scheduler: Scheduler
    alignment: ControlRenderer

    @abstractmethod
    def prepare(self, reference: Reference, driving: FaceParameters, guidance_scale: float) -> Conditions:
        """Compute what a clip's frames share, and how their conditions are made; a :class:`Clip`, if windows overlap.

        Args:
            reference: the avatar's face crop and its parameters.
            driving: parameters of the driver's frames.
            guidance_scale: 1 evaluates the conditional half alone.

        Raises:
            ShapeError: if the image is not a square of RGB bytes, or the parameters do not fit the face model.
        """

    @classmethod
    @abstractmethod
    def untrained(cls: type[PipelineT], *, seed: int = 0) -> PipelineT:
        """Build a small pipeline with random weights: every part works, the pictures mean nothing.

        Args:
            seed: of the weights.
        """

    def settle(
        self,
        *attachments: Callable[[], Attachment],
        frame_norm_groups: int | None,
        untrained: Sequence[str],
        **settings: Any,
    ) -> None:
        """Attach the parts one after the other, and keep the settings; for the end of a constructor.

        The parts stay attached, so that a compiled denoiser is compiled once, and own none of its weights.

        Args:
            attachments: each attaches one part.
            frame_norm_groups: if given, the normalisations before the temporal modules treat every frame alone.
            untrained: names of the parts without trained weights.
            settings: the rest of the configuration.

        Raises:
            AttachmentError: if a part does not fit the denoiser, which is then as it was.
        """
        video = self.unet if isinstance(self.unet, UNetMotionModel) else None
        with ExitStack() as stack:
            if video is not None and frame_norm_groups is not None:
                stack.enter_context(normalise_per_frame(video, frame_norm_groups))
            for attach in attachments:
                stack.enter_context(attach())
            self._attachments = stack.pop_all()
        groups = None if video is None else frame_norm_groups_of(video)
        self.register_to_config(frame_norm_groups=groups, untrained=list(untrained), **settings)

    def detach(self) -> None:
        """Give the denoiser back as it was; the pipeline cannot be used afterwards."""
        self._attachments.close()

    def free_reference_parts(self) -> None:
        """Give up the components that only look at the reference, and with them their memory, whatever the device.

        Clips that are prepared can be generated as before; to prepare others, load the pipeline again. Under
        diffusers' offload nothing is given up: its hooks take these components off the device themselves.
        """
        for name in self.reference_parts:
            part = getattr(self, name, None)
            if part is not None and not any(hasattr(module, "_hf_hook") for module in part.modules()):
                setattr(self, name, None)

    def _check_reference_parts(self) -> None:
        freed = [name for name in self.reference_parts if name in self.components and getattr(self, name) is None]
        if freed:
            raise InputError(
                f"{', '.join(freed)}: given up after the first clip (free_after_reference); load the pipeline again."
            )

    def compile_denoiser(self, **options: Any) -> None:
        """Compile the denoiser for windows of one shape; the first evaluation of each shape waits for it.

        All windows of a clip have one shape. A clip that is shorter than the window is one window of its own length,
        for which the denoiser is compiled again; after torch's ``recompile_limit`` (8) lengths, further ones run
        uncompiled.

        Args:
            options: of ``torch.compile``, such as ``mode`` and ``backend``.

        Raises:
            AttachmentError: if diffusers' offload is switched on, whose hooks cannot be compiled; model offload may
                be switched on after compiling.
        """
        if any(hasattr(module, "_hf_hook") for module in self.unet.modules()):
            raise AttachmentError(
                "compile_denoiser: the hooks of diffusers' offload are on the denoiser, and cannot be compiled. Call "
                "it before enable_model_cpu_offload; sequential offload cannot be compiled at all."
            )
        settings: dict[str, Any] = {"dynamic": False, "fullgraph": True, **options}
        # Its own compile() would take in the hooks of what is attached, which break the graph.
        vars(self.unet)["forward"] = torch.compile(self.unet.forward, **settings)

    @property
    def untrained_parts(self) -> tuple[str, ...]:
        """The parts that have no trained weights."""
        return tuple(self.config["untrained"])

    @classmethod
    def from_pretrained(  # pyright: ignore[reportIncompatibleMethodOverride]
        cls: type[PipelineT],
        pretrained_model_name_or_path: str | PathLike[str],
        *,
        torch_dtype: torch.dtype = torch.float32,
        **hub_options: Any,
    ) -> PipelineT:
        """Load a folder that :meth:`save_pretrained` wrote, or a Hub id; JSON and safetensors files only.

        Args:
            pretrained_model_name_or_path: folder or Hub id.
            torch_dtype: precision of the parts.
            hub_options: of ``huggingface_hub.snapshot_download``, such as ``revision`` and ``token``.

        Raises:
            CheckpointError: if anything is missing, left over, corrupted, or of another shape.
        """
        folder = local_folder(pretrained_model_name_or_path, (*cls.kinds, "scheduler"), **hub_options)
        index = read_index(folder, cls.__name__)
        video = index.get("unet") == ["diffusers", UNetMotionModel.__name__]
        kinds = {
            **cls.kinds_in(index),
            "unet": UNetMotionModel if video else UNet2DConditionModel,
            "vae": _autoencoder(folder, index),
        }
        components = load_components(folder, kinds, mapped=("unet",), torch_dtype=torch_dtype)
        described = {name: value for name, value in index.items() if not name.startswith("_") and name not in kinds}
        described["scheduler"] = load_scheduler(folder)
        try:
            pipeline = cls(**components, **described)
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"{folder / 'model_index.json'}: describes no such pipeline: {error}") from error
        pipeline.folder = folder
        return pipeline

    def save_pretrained(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, save_directory: str | PathLike[str], *, max_shard_size: str = LARGEST_SHARD, **options: Any
    ) -> None:
        """Write a folder as diffusers does.

        Args:
            save_directory: the folder.
            max_shard_size: of a file of weights; loading holds one of them in memory twice.
            options: of ``DiffusionPipeline.save_pretrained``.
        """
        unmap(self.unet)  # perhaps from the very file that is to be written
        super().save_pretrained(save_directory, max_shard_size=max_shard_size, **options)

    @classmethod
    def kinds_in(cls, index: Mapping[str, Any]) -> Mapping[str, type]:
        """The class of every component of a saved pipeline, for assemblies of which one has several.

        Args:
            index: what its ``model_index.json`` says.
        """
        return cls.kinds

    def __call__(self, reference: Reference, driving: FaceParameters, **options: Any) -> AnimationOutput:
        """Generate a whole clip; :meth:`stream` takes the same arguments and gives one frame after another."""
        frames = list(self.stream(reference, driving, **options))
        return AnimationOutput(
            frames=[Image.fromarray(frame.image) for frame in frames],
            control=[Image.fromarray(frame.control) for frame in frames],
        )

    def stream(
        self,
        reference: Reference,
        driving: FaceParameters,
        *,
        guidance_scale: float | None = None,
        free_after_reference: bool = False,
        **options: Any,
    ) -> Iterator[GeneratedFrame]:
        """Generate frame after frame; memory does not grow with the clip.

        Args:
            reference: the avatar's face crop and its parameters.
            driving: parameters of the driver's frames; the result has as many.
            guidance_scale: 1 evaluates the denoiser once a step; more contrasts it with one that is told less, see
                the class. What suits the assembly if not given.
            free_after_reference: give up what only looks at the reference before denoising begins, see
                :meth:`free_reference_parts`; for the last clip of a pipeline.
            options: of :meth:`generate`, such as ``num_inference_steps`` and ``seed``.

        Raises:
            InputError: if the clip is empty or an option is out of range.
            ShapeError: if the image is not a square of RGB bytes, the parameters do not fit the face model, or a
                window is longer than the temporal modules' table of positions.
            AttachmentError: if a processor of this pipeline was replaced by someone else's.
        """
        if not len(driving):
            raise InputError("driving: the clip has no frames.")
        self._check_reference_parts()
        clip = self.prepare(reference, driving, self.usual_guidance if guidance_scale is None else guidance_scale)
        if free_after_reference:
            self.free_reference_parts()
        return self.generate(clip, len(driving), **options)

    def generate(
        self,
        clip: Conditions,
        num_frames: int,
        *,
        num_inference_steps: int | None = None,
        seed: int = 0,
        window_size: int | None = None,
        overlap: int | None = None,
        closed_loop: bool = False,
        eta: float = 0.0,
        start: str | None = None,
        noise: Noise | None = None,
        scheduler: Scheduler | None = None,
        cache_interval: int = 1,
        on_window: Callable[[int, int], None] | None = None,
        mark: Mark | None = None,
    ) -> Iterator[GeneratedFrame]:
        """Generate a clip whose conditions are prepared, frame after frame.

        Args:
            clip: what :meth:`prepare` returned.
            num_frames: of the clip.
            num_inference_steps: denoising steps; as many as suit the weights if not given.
            seed: the same seed gives the same video.
            window_size: frames denoised together; what suits the assembly if not given.
            overlap: frames that neighbouring windows share; their predictions are averaged at every step. What suits
                the assembly if not given.
            closed_loop: the published wrap-round order of windows, which has to finish the whole clip at once.
            eta: share of fresh noise at each step, for DDIM.
            start: ``"noise"`` draws one of many possible videos, which the seed chooses, ``"shared"`` too, with the
                same noise for all frames; ``"zeros"`` gives one smooth answer in the middle of them, for denoisers
                whose schedule ends in noise alone. What suits the weights if not given.
            noise: from which the frames start, such as :class:`~anifacediff.sampling.GivenNoise` drawn elsewhere, on
                the pipeline's device and in its precision; then ``seed`` and ``start`` are not looked at.
            scheduler: in place of the pipeline's own, which stays as it is.
            cache_interval: evaluate the denoiser whole at every so many steps only, see
                :class:`~anifacediff.backbone.FeatureCache`; a :class:`~anifacediff.sampling.SamplingPreset` sets this
                and others for a purpose.
            on_window: called with the windows evaluated so far and in all.
            mark: left in every frame, such as :class:`~anifacediff.provenance.SpreadMark`; none if None.

        Raises:
            InputError: if an option is out of range.
            ShapeError: if a window is longer than the temporal modules' table of positions.
        """
        if self.untrained_parts:
            parts = ", ".join(self.untrained_parts)
            warnings.warn(f"No trained weights: {parts}. The pictures mean nothing.", UntrainedWarning, stacklevel=3)
        unmap(self.unet)  # now, when the parts that only look at the reference may have left memory
        window_size = self._window_size(window_size)
        overlap = min(self.usual_overlap, window_size - 1) if overlap is None else overlap
        if noise is None:
            side = int(self.config["image_size"]) // self._stride
            shape = (int(self.vae.config["latent_channels"]), side, side)
            noise = FrameNoise(seed, shape, self._execution_device, self.unet.dtype, start or self.config["start"])
        steps = self.config["num_inference_steps"] if num_inference_steps is None else num_inference_steps
        options: dict[str, Any] = {
            "scheduler": self.scheduler if scheduler is None else scheduler,
            "noise": noise,
            "num_steps": steps,
            "eta": eta,
            "on_window": on_window,
        }
        if cache_interval != 1:
            clip = cached(clip, self.unet, cache_interval)
        layout = Layout(num_frames, window_size, overlap, closed_loop)
        frames = self.finish(self.denoise(clip, layout, options), clip)
        return frames if mark is None else (frame.marked(mark) for frame in frames)

    def denoise(
        self, clip: Conditions, layout: Layout, options: Mapping[str, Any]
    ) -> Iterator[Float[Tensor, "f c h w"]]:
        """Denoise a clip over overlapping windows, from its front.

        Args:
            clip: what :meth:`prepare` returned.
            layout: which frames are denoised together.
            options: of :func:`~anifacediff.sampling.denoise.stream_latents`.
        """
        assert isinstance(clip, Clip)
        if layout.closed_loop:
            windows = closed_windows(layout.num_frames, layout.window_size, layout.overlap)
            with torch.no_grad():
                return iter([denoise_clip(clip, windows=windows, **options)])
        windows = open_windows(layout.num_frames, layout.window_size, layout.overlap)
        return stream_latents(clip, windows=windows, **options)

    def renderer(self, device: torch.device) -> ControlRenderer:
        """The renderer on a device; a copy, since the face model may be in use elsewhere."""
        if device.type == "cpu" or not isinstance(self.alignment, torch.nn.Module):
            return self.alignment
        return deepcopy(self.alignment).to(device)

    def picture(self, image: np.ndarray) -> Float[Tensor, "1 3 height width"]:
        """The reference's image at the pipeline's size, RGB in [0, 1], on its device.

        Raises:
            ShapeError: if it is not a square of RGB bytes.
        """
        _check_picture(image)
        size = int(self.config["image_size"])
        picture = Image.fromarray(image).resize((size, size), Image.Resampling.LANCZOS)
        pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None]
        return pixels.to(self._execution_device, self.unet.dtype) / 255

    def encode(self, image: Float[Tensor, "b 3 height width"]) -> Float[Tensor, "b c h w"]:
        """Turn images in [0, 1] into latents."""
        encoded = self.vae.encode(image * 2 - 1, return_dict=False)[0]
        latents = encoded if isinstance(encoded, Tensor) else encoded.mode()
        return latents * self.vae.config["scaling_factor"]

    @torch.no_grad()
    def decode(self, latents: Float[Tensor, "f c h w"]) -> UInt8[np.ndarray, "f height width 3"]:
        """Turn latents into pictures."""
        pictures = self.vae.decode(latents / self.vae.config["scaling_factor"], return_dict=False)[0]
        return to_pictures(pictures / 2 + 0.5)

    def finish(self, segments: Iterator[Float[Tensor, "f c h w"]], clip: Conditions) -> Iterator[GeneratedFrame]:
        """Decode finished latents, a few frames at a time, in the order in which they come."""
        first = 0
        try:
            for segment in segments:
                for latents in segment.split(self._decode_chunk):
                    frames = range(first, first + len(latents))
                    clip.forget(frames)
                    for frame, image in zip(frames, self.decode(latents), strict=True):
                        yield GeneratedFrame(image, partial(clip.control, frame))
                    first = frames.stop
        finally:
            self.maybe_free_model_hooks()

    def check_image_size(self, image_size: int) -> None:
        """Raise :class:`InputError` unless the autoencoder can make pictures of this size."""
        if image_size < 1 or image_size % self._stride:
            raise InputError(f"image_size: must be a multiple of the VAE's {self._stride} pixels, found {image_size}.")

    @property
    def _decode_chunk(self) -> int:
        """How many frames are decoded at once."""
        return max(1, min(DECODE_CHUNK, DECODE_CHUNK * 256**2 // int(self.config["image_size"]) ** 2))

    @property
    def _stride(self) -> int:
        """Pixels of the picture for one of the latents."""
        config = self.vae.config
        return 2 ** (len(config.get("block_out_channels") or config["encoder_block_out_channels"]) - 1)

    def _window_size(self, asked: int | None) -> int:
        longest = self.unet.config.get("motion_max_seq_length")
        size = min(self.usual_window, longest or self.usual_window) if asked is None else asked
        if longest is not None:
            check_window(size, longest)
        return size


def load_for_use(module: torch.nn.Module) -> None:
    """Under model offload, bring a module to its device: its projections are used outside its own call."""
    hook = getattr(module, "_hf_hook", None)
    if hook is not None:
        hook.pre_forward(module)


def _autoencoder(folder: Path, index: Mapping[str, Any]) -> type[Autoencoder]:
    """Choose the class of a folder's autoencoder among those that are known to work."""
    found = index.get("vae")
    for name, kind in AUTOENCODERS.items():
        if found == ["diffusers", name]:
            return kind
    raise CheckpointError(
        f"{folder / 'model_index.json'}: the vae is {found}; one of diffusers' {', '.join(AUTOENCODERS)} is needed."
    )


def _check_picture(image: np.ndarray) -> None:
    height, width, channels = image.shape if image.ndim == 3 else (0, 0, 0)
    if image.dtype != np.uint8 or channels != 3 or height != width or not height:
        raise ShapeError(
            f"reference.image: expected a square of RGB bytes (uint8, size size 3), found {image.dtype} {image.shape}; "
            "crop the face with anifacediff.tracking.track_image, or with anifacediff.media.SquareCrop."
        )
