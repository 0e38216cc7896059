"""Checks of assemblies."""

import warnings
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from torch import nn

from anifacediff.errors import AniFaceDiffError
from anifacediff.testing.checks import Case, CheckFunction, raised, require


@dataclass(frozen=True)
class AssemblyCase(Case[DiffusionPipeline]):
    """An assembly to check, in its smallest configuration.

    Attributes:
        name: of the component, in reports.
        build: makes a pipeline with few, random weights; a function without arguments.
    """

    @property
    def checks(self) -> tuple[CheckFunction, ...]:
        return CHECKS


def is_a_pipeline_of_parts(case: AssemblyCase) -> None:
    """It is a diffusers pipeline that registers its networks, none of which is in training mode."""
    pipeline: Any = _made(case)
    require(isinstance(pipeline, DiffusionPipeline), f"{type(pipeline).__name__} is no DiffusionPipeline.")
    networks = _networks(pipeline)
    require(networks, "no network is registered; call self.register_modules(unet=unet, ...) when it is built.")
    training = [name for name, network in networks.items() if network.training]
    require(not training, f"{', '.join(training)} are in training mode; call .eval() when the pipeline is built.")


def survives_saving_and_loading(case: AssemblyCase) -> None:
    """Saved by ``save_pretrained`` and loaded by its own ``from_pretrained``, it has the same parts and weights."""
    pipeline: Any = _made(case)
    with TemporaryDirectory() as folder:
        pipeline.save_pretrained(folder)
        loaded = type(pipeline).from_pretrained(folder)
    before, after = _networks(pipeline), _networks(loaded)
    require(before.keys() == after.keys(), f"parts {sorted(before.keys() ^ after.keys())} did not come back.")
    for name, network in before.items():
        weights, again = network.state_dict(), after[name].state_dict()
        same = weights.keys() == again.keys() and all(torch.equal(weights[key], again[key]) for key in weights)
        require(same, f"{name}: the loaded weights are not those that were saved.")


def damaged_weights_are_refused(case: AssemblyCase) -> None:
    """A saved pipeline whose weight files are cut short raises an error of the library when it is loaded."""
    pipeline: Any = _made(case)
    with TemporaryDirectory() as folder:
        pipeline.save_pretrained(folder)
        for path in Path(folder).rglob("*.safetensors"):
            path.write_bytes(path.read_bytes()[:100])
        problem = raised(partial(type(pipeline).from_pretrained, folder))
    require(
        isinstance(problem, AniFaceDiffError),
        f"weight files cut to 100 bytes raised {'nothing' if problem is None else repr(problem)}; expected a "
        "CheckpointError: load parts with anifacediff.checkpoint.load_pretrained.",
    )


CHECKS: tuple[CheckFunction, ...] = (
    is_a_pipeline_of_parts,
    survives_saving_and_loading,
    damaged_weights_are_refused,
)


def _made(case: AssemblyCase) -> DiffusionPipeline:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of untrained weights
        return case.made()


def _networks(pipeline: Any) -> dict[str, nn.Module]:
    return {name: part for name, part in pipeline.components.items() if isinstance(part, nn.Module)}
