"""Running the pipeline and writing what it draws, one frame after another."""

import warnings
from pathlib import Path

import torch

from anifacediff.assemblies.anifacediff import AniFaceDiffPipeline, UntrainedWarning
from anifacediff.cli.faces import Faces
from anifacediff.cli.report import progress
from anifacediff.media import VideoWriter, side_by_side

_SMALLEST = 256
"""Height in pixels below which pictures are enlarged to be looked at side by side."""

_LABELS = ("reference", "driver", "control map", "result")


def load_pipeline(model: str | None, device: torch.device) -> AniFaceDiffPipeline:
    """Load a folder or Hub id, or build the small untrained pipeline."""
    pipe = AniFaceDiffPipeline.untrained() if model is None else AniFaceDiffPipeline.from_pretrained(model)
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(device)


def write_animated(
    output: Path, faces: Faces, pipe: AniFaceDiffPipeline, *, steps: int, seed: int, compare: bool
) -> None:
    """Write the result, or reference, driver, control map and result side by side."""
    driving = faces.driving
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UntrainedWarning)  # the command has said so
        results = pipe.stream(faces.reference, driving.parameters, num_inference_steps=steps, seed=seed)
        with VideoWriter(output, faces.source.fps, audio_from=faces.source.path) as writer:
            pairs = zip(progress(results, "Animating", len(driving.parameters)), faces.source, strict=True)
            for result, frame in pairs:
                if not compare:
                    writer.write(result.image)
                    continue
                height = max(_SMALLEST, result.image.shape[0])
                pictures = (faces.reference.image, driving.crop.apply(frame, height), result.control, result.image)
                writer.write(side_by_side(pictures, height=height, labels=_LABELS))
