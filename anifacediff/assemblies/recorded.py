"""What a pipeline's record says."""

from collections.abc import Mapping
from pathlib import Path

from anifacediff.assemblies.pipeline import AnimationPipeline
from anifacediff.provenance.files import fingerprint
from anifacediff.provenance.record import COMPOSITE, GENERATED, ModelFacts, Record, Setting, installed_versions


def record_of(
    pipe: AnimationPipeline,
    inputs: Mapping[str, Path],
    settings: Mapping[str, Setting],
    *,
    mark: str | None,
    composite: bool = False,
) -> Record:
    """Describe a clip that a pipeline is about to draw.

    Args:
        pipe: draws it; its weights are identified by the safetensors files that they were loaded from.
        inputs: files and folders by what they are for, such as ``reference``; read here to identify them.
        settings: the seed, and whatever else was chosen. What is None is left out; ``start``, and ``steps`` where no
            ``preset`` was chosen, are then what suits the pipeline. Its precision is told in any case.
        mark: name of the mark that is left; None if there is none.
        composite: whether pictures that were not generated are part of the clip.

    Raises:
        MediaError: if an input cannot be read.
    """
    chosen = {name: value for name, value in settings.items() if value is not None}
    own: dict[str, Setting] = {"start": pipe.config["start"], "dtype": str(pipe.unet.dtype).removeprefix("torch.")}
    if "preset" not in chosen:
        own["steps"] = pipe.config["num_inference_steps"]
    weights = None if pipe.folder is None else fingerprint(pipe.folder, "*.safetensors")
    return Record(
        model=ModelFacts(type(pipe).__name__, weights),
        inputs={name: fingerprint(path) for name, path in inputs.items()},
        settings={**own, **chosen},
        versions=installed_versions(),
        mark=mark,
        digital_source_type=COMPOSITE if composite else GENERATED,
    )
