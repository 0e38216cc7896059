"""Making the pipeline and the clip that are timed, and telling what they took."""

import json
import os
import platform
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from anifacediff.assemblies.exchange import Reference
from anifacediff.assemblies.pipeline import AnimationPipeline
from anifacediff.cli.faces import landmarked_model
from anifacediff.cli.generate import find_assembly, load_pipeline, placed
from anifacediff.errors import InputError, OutputError
from anifacediff.evaluation.drawn_tracker import DrawnTracker
from anifacediff.evaluation.scenes import Suite
from anifacediff.geometry.faces import FaceParameters
from anifacediff.media import VideoWriter, to_pictures, write_image
from anifacediff.profiling import FULL_SIZE, Profile, profile_clip
from anifacediff.profiling.picture import profile_picture
from anifacediff.provenance import SpreadMark
from anifacediff.tracking import track_clip, track_image

_FPS = 8
_results = Console(soft_wrap=True, highlight=False)


@dataclass(frozen=True)
class Choice:
    """Which pipeline is timed, and where; the fields are the command line's options."""

    model: str | None
    assembly: str | None
    size: str
    image_size: int | None
    dtype: str
    device: torch.device

    def build(self) -> AnimationPipeline:
        """Load or make the pipeline.

        Raises:
            InputError: if a loaded pipeline is asked for another size, or there is no such assembly at full size.
        """
        loaded = self.model is not None or (self.assembly is None and self.size == "small")
        if loaded and (self.image_size is not None or self.size == "full"):
            raise InputError(
                "--image-size, --size: a pipeline with trained weights has its own; with --assembly NAME or --size "
                "full and without --model, one with random weights is made in any size."
            )
        if loaded or (self.size == "small" and self.image_size is None):
            return load_pipeline(self.model, self.assembly, self.device, dtype=self.dtype)
        name = self.assembly or "anifacediff"
        return placed(self._full(name) if self.size == "full" else self._small(name), self.device, self.dtype)

    @property
    def told(self) -> str:
        """Which weights they are, in words."""
        if self.size == "full":
            return "full size, random weights"
        return self.model or ("nano" if self.assembly is None else "small, random weights")

    def _small(self, name: str) -> AnimationPipeline:
        chosen: dict[str, Any] = {"image_size": self.image_size}
        return find_assembly(name).untrained(**chosen)

    def _full(self, name: str) -> AnimationPipeline:
        if name not in FULL_SIZE:
            raise InputError(f"--assembly {name}: at full size there are {', '.join(FULL_SIZE)}.")
        return FULL_SIZE[name](self.image_size or 256)


@dataclass(frozen=True)
class Figures:
    """A profile, and what it is of.

    Attributes:
        profile: the figures.
        clip: what was animated.
        machine: where.
    """

    profile: Profile
    clip: dict[str, str | int | float | bool | None]
    machine: dict[str, str | int | float]


def measure(choice: Choice, *, frames: int, steps: int, guidance: float | None, compiled: bool) -> Figures:
    """Draw a clip and profile its animation.

    Args:
        choice: of the pipeline.
        frames: of the clip, at least 2.
        steps: of denoising.
        guidance: scale; what suits the assembly if None.
        compiled: compile the denoiser.
    """
    pipe = choice.build()
    size = int(pipe.config["image_size"])
    scene = next(Suite(identities=1, frames=frames - 1, fps=_FPS, size=size).scenes())
    fitted, tracker = landmarked_model(pipe.config["morphable_model"]).model, DrawnTracker()

    def track() -> tuple[Reference, FaceParameters]:
        margin = float(pipe.config["crop_margin"])
        options: dict[str, Any] = {"tracker": tracker, "model": fitted, "margin": margin, "image_size": size}
        reference = track_image(scene.portrait.image, **options)
        return reference, track_clip(to_pictures(scene.driving_images), **options).parameters

    with TemporaryDirectory() as folder:
        profile = profile_clip(
            pipe,
            track,
            partial(VideoWriter, Path(folder, "out.mp4"), _FPS),
            num_inference_steps=steps,
            guidance_scale=guidance,
            mark=SpreadMark(),
            compiled=compiled,
        )
    clip = {"assembly": type(pipe).__name__, "model": choice.told, "frames": frames, "steps": steps, "image_size": size}
    scale = pipe.usual_guidance if guidance is None else guidance
    return Figures(profile, {**clip, "guidance": scale, "dtype": choice.dtype, "compiled": compiled}, _machine(choice))


def to_json(figures: Figures) -> str:
    """The figures as JSON."""
    return json.dumps({**figures.profile.to_json(), "clip": figures.clip, "machine": figures.machine}, indent=2)


def print_table(figures: Figures) -> None:
    """Print the figures for people."""
    titles = ("stage", "calls", "seconds", "share", "GFLOP", "floor s", "x floor", "GiB")
    table = Table(*titles, box=SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    for index, column in enumerate(table.columns):
        column.no_wrap, column.justify = True, "right" if index else "left"
    profile = figures.profile
    for stage in profile.stages:
        floor = stage.floor_seconds
        table.add_row(
            stage.name,
            str(stage.calls),
            f"{stage.seconds:.3f}",
            f"{stage.seconds / profile.seconds:.1%}",
            "" if stage.flops is None else f"{stage.flops / 1e9:.1f}",
            "" if floor is None else f"{floor:.3f}",
            "" if floor is None else f"{stage.seconds / floor:.2f}",
            "" if stage.peak_gib is None else f"{stage.peak_gib:.2f}",
        )
    _results.print(_title(figures))
    _results.print(table)
    _results.print(f"{profile.seconds:.2f} s in all; a matrix product: {profile.flops_per_second / 1e12:.3g} TFLOP/s.")


def made(folder: Path) -> Path:
    """Make a folder if it is missing.

    Raises:
        OutputError: if that is not possible.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror}); choose another folder.") from error
    return folder


def write(figures: Figures, folder: Path) -> None:
    """Write ``benchmark.json`` and ``benchmark.png`` into a folder."""
    (folder / "benchmark.json").write_text(to_json(figures) + "\n")
    write_image(folder / "benchmark.png", profile_picture(figures.profile, _title(figures)))


def _title(figures: Figures) -> str:
    clip = figures.clip
    return (
        f"{clip['assembly']} ({clip['model']}), {clip['frames']} frames of {clip['image_size']} px, {clip['steps']} "
        f"steps, {clip['dtype']}{', compiled' if clip['compiled'] else ''}; {figures.machine['device']}"
    )


def _machine(choice: Choice) -> dict[str, str | int | float]:
    cuda = choice.device.type == "cuda"
    name = torch.cuda.get_device_name(choice.device) if cuda else f"{choice.device.type}, {platform.machine()}"
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return {"device": name, "threads": torch.get_num_threads(), "load": load, "torch": torch.__version__}
