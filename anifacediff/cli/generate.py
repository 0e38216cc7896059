"""Running the pipeline and writing what it draws, one frame after another."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8

from anifacediff import registry
from anifacediff.assemblies.anifacediff import AniFaceDiffPipeline
from anifacediff.assemblies.exchange import UntrainedWarning
from anifacediff.assemblies.in_place import Role, animate_in_place
from anifacediff.assemblies.pipeline import AnimationPipeline
from anifacediff.cli.faces import Faces, Media, Request, find_faces, landmarked_model
from anifacediff.cli.report import reported_progress
from anifacediff.errors import InputError
from anifacediff.media import VideoWriter, side_by_side
from anifacediff.provenance import Mark
from anifacediff.sampling import sampling_options
from anifacediff.tracking import retimed

Picture = UInt8[np.ndarray, "h w 3"]

_SMALLEST = 256
"""Height in pixels below which faces are not cut out, and pictures are enlarged to be looked at side by side."""


def load_pipeline(
    model: str | None, assembly: str | None, device: torch.device, *, dtype: str = "float32"
) -> AnimationPipeline:
    """Load a folder or Hub id.

    Args:
        model: the folder or Hub id; if None, the pipeline that comes with the package, or if an assembly is named,
            a small one with random weights.
        assembly: registered name of the kind of pipeline, AniFaceDiff if None.
        device: where it runs.
        dtype: name of torch's type in which the networks compute.

    Raises:
        InputError: if the assembly is no :class:`AnimationPipeline`.
    """
    kind = find_assembly(assembly or "anifacediff")
    computed = getattr(torch, dtype)
    if model is not None:
        pipe = kind.from_pretrained(model, torch_dtype=computed)
    else:
        pipe = AniFaceDiffPipeline.nano(torch_dtype=computed) if assembly is None else kind.untrained()
    return placed(pipe, device, dtype)


def find_assembly(name: str) -> type[AnimationPipeline]:
    """Look up a registered assembly.

    Raises:
        InputError: if it is no :class:`AnimationPipeline`.
    """
    kind = registry.assemblies[name]
    if not issubclass(kind, AnimationPipeline):
        raise InputError(f"--assembly {name}: a {kind.__name__} cannot stream animations; see AnimationPipeline.")
    return kind


def placed(pipe: AnimationPipeline, device: torch.device, dtype: str) -> AnimationPipeline:
    """Bring a pipeline to a device and into a precision, and silence its own progress bar.

    Args:
        pipe: the pipeline.
        device: where it runs.
        dtype: name of torch's type in which the networks compute.
    """
    pipe.set_progress_bar_config(disable=True)
    computed = getattr(torch, dtype)
    return pipe.to(device) if pipe.unet.dtype == computed else pipe.to(device, computed)


@dataclass(frozen=True)
class Drawing:
    """How a result is drawn, and what of it is shown; the fields are the command line's options."""

    steps: int | None
    preset: str | None
    start: str | None
    seed: int
    compare: bool
    paste: bool


def find_cast(requests: Sequence[Request], media: Sequence[Media], pipe: AnimationPipeline) -> list[Faces]:
    """Find the faces of every request, as a pipeline needs them.

    Args:
        requests: for each face of the reference.
        media: of each, what :func:`open_media` returned.
        pipe: draws them.

    Raises:
        InputError: if a face is not found, or a motion is of another face model.
    """
    model = landmarked_model(pipe.config["morphable_model"])
    size, margin = max(_SMALLEST, int(pipe.config["image_size"])), float(pipe.config["crop_margin"])
    return [find_faces(request, one, model, size, margin) for request, one in zip(requests, media, strict=True)]


def write_animated(
    writer: VideoWriter, cast: Sequence[Faces], pipe: AnimationPipeline, drawing: Drawing, *, mark: Mark | None = None
) -> None:
    """Write the result, or everything that it is made of side by side.

    Args:
        writer: of the output.
        cast: the face to animate; several only if they are pasted.
        pipe: draws them.
        drawing: how.
        mark: left in what is generated, and nowhere else.
    """
    with warnings.catch_warnings(), reported_progress("Animating (windows x steps)") as tell, writer:
        warnings.simplefilter("ignore", UntrainedWarning)  # the command has said so
        options: dict[str, Any] = {
            "free_after_reference": True,
            "start": drawing.start,
            "seed": drawing.seed,
            "on_window": tell,
            "mark": mark,
            **sampling_options(pipe, drawing.preset, drawing.steps),
        }
        for picture in (_pasted if drawing.paste else _alone)(pipe, cast, options, drawing.compare):
            writer.write(picture)


def _alone(
    pipe: AnimationPipeline, cast: Sequence[Faces], options: Mapping[str, Any], compare: bool
) -> Iterator[Picture]:
    (faces,) = cast
    results = pipe.stream(faces.reference, faces.driving.parameters, **options)
    if not compare:
        yield from (result.image for result in results)
        return
    height = max(_SMALLEST, int(pipe.config["image_size"]))
    for result, driver in zip(results, faces.driver_pictures(height), strict=True):
        shown = [faces.reference.image, *driver, result.control, result.image]
        yield side_by_side(
            shown, height=height, labels=_labels(("reference", "driver", "control map", "result"), driver)
        )


def _pasted(
    pipe: AnimationPipeline, cast: Sequence[Faces], options: Mapping[str, Any], compare: bool
) -> Iterator[Picture]:
    first = cast[0]
    results = animate_in_place(pipe, first.picture, [_role(faces, first) for faces in cast], **options)
    if not compare:
        yield from results
        return
    for result, driver in zip(results, first.driver_pictures(first.picture.shape[0]), strict=True):
        labels = _labels(("reference", "driver", "result"), driver)
        yield side_by_side([first.picture, *driver, result], labels=labels)


def _labels(words: tuple[str, ...], driver: tuple[Picture, ...]) -> list[str]:
    return [word for word in words if driver or word != "driver"]


def _role(faces: Faces, first: Faces) -> Role:
    """A face with its driver at the speed and length of the first one's."""
    driving, num_frames = faces.driving.parameters, len(first.driving.parameters)
    return Role(faces.reference, retimed(driving, faces.driver.fps, to=first.driver.fps, num_frames=num_frames))
