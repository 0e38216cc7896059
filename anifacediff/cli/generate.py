"""Running the pipeline and writing what it draws, one frame after another."""

import warnings
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from jaxtyping import UInt8

from anifacediff.assemblies.anifacediff import AniFaceDiffPipeline
from anifacediff.assemblies.exchange import GeneratedFrame, UntrainedWarning
from anifacediff.cli.faces import Faces
from anifacediff.cli.report import reported_progress
from anifacediff.media import VideoWriter, side_by_side

Picture = UInt8[np.ndarray, "h w 3"]

_SMALLEST = 256
"""Height in pixels below which pictures are enlarged to be looked at side by side."""

_LABELS = ("reference", "driver", "control map", "result")


def load_pipeline(model: str | None, device: torch.device) -> AniFaceDiffPipeline:
    """Load a folder or Hub id, or the small pipeline that comes with the package."""
    pipe = AniFaceDiffPipeline.nano() if model is None else AniFaceDiffPipeline.from_pretrained(model)
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(device)


def write_animated(
    writer: VideoWriter,
    faces: Faces,
    pipe: AniFaceDiffPipeline,
    *,
    steps: int | None,
    start: str | None,
    seed: int,
    compare: bool,
) -> None:
    """Write the result, or reference, driver, control map and result side by side."""
    driving = faces.driving.parameters
    with warnings.catch_warnings(), reported_progress("Animating (windows x steps)") as tell, writer:
        warnings.simplefilter("ignore", UntrainedWarning)  # the command has said so
        results = pipe.stream(
            faces.reference, driving, num_inference_steps=steps, start=start, seed=seed, on_window=tell
        )
        for picture in _compared(results, faces) if compare else (result.image for result in results):
            writer.write(picture)


def _compared(results: Iterable[GeneratedFrame], faces: Faces) -> Iterator[Picture]:
    for result, frame in zip(results, faces.source, strict=True):
        height = max(_SMALLEST, result.image.shape[0])
        driver = faces.driving.crop.apply(frame, height)
        yield side_by_side((faces.reference.image, driver, result.control, result.image), height=height, labels=_LABELS)
