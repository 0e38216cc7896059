"""Parts leave the device when their work is done, in every assembly, and the pictures stay the same to the bit."""

import weakref
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
import torch
from portraits import arrays, faces, portrait, stir
from torch import nn

from anifacediff.assemblies import AniFaceDiffPipeline, AnimateAnyonePipeline, MagicPortraitPipeline, MIMAFacePipeline
from anifacediff.assemblies.pipeline import AnimationPipeline
from anifacediff.errors import InputError

ASSEMBLIES = (AniFaceDiffPipeline, AnimateAnyonePipeline, MagicPortraitPipeline, MIMAFacePipeline)

pytestmark = pytest.mark.filterwarnings("ignore::anifacediff.assemblies.exchange.UntrainedWarning")


@pytest.fixture(params=range(len(ASSEMBLIES)), ids=[each.__name__ for each in ASSEMBLIES])
def pipe(request: pytest.FixtureRequest) -> AnimationPipeline:
    made = ASSEMBLIES[request.param].untrained(image_size=64)
    made.set_progress_bar_config(disable=True)
    stir(made)
    return made


def generate(pipe: AnimationPipeline, **options: Any) -> np.ndarray:
    return arrays(pipe(portrait(pipe), faces(pipe, 3), num_inference_steps=2, guidance_scale=2.0, **options))


def networks(pipe: AnimationPipeline) -> dict[str, nn.Module]:
    return {name: part for name, part in pipe.components.items() if isinstance(part, nn.Module)}


def never_offloaded(pipe: AnimationPipeline) -> Sequence[str]:
    return pipe._exclude_from_cpu_offload


def test_what_looks_at_the_reference_alone_is_given_up(pipe: AnimationPipeline):
    expected = generate(pipe)
    held = [weakref.ref(part) for name, part in networks(pipe).items() if name in pipe.reference_parts]
    assert held
    found = generate(pipe, free_after_reference=True)
    assert np.array_equal(found, expected)
    assert [part() for part in held] == [None] * len(held)
    with pytest.raises(InputError, match="load the pipeline again"):
        generate(pipe)


def test_the_order_of_offload_names_every_network_once(pipe: AnimationPipeline):
    named = [*str(pipe.model_cpu_offload_seq).split("->"), *never_offloaded(pipe)]
    assert sorted(named) == sorted(networks(pipe))


@pytest.mark.skipif(not find_spec("accelerate"), reason="accelerate is not installed")
def test_model_offload_gives_the_same_pictures_time_after_time(pipe: AnimationPipeline):
    expected = generate(pipe)
    pipe.enable_model_cpu_offload(device="cpu")
    offloaded = [name for name, part in networks(pipe).items() if hasattr(part, "_hf_hook")]
    assert set(offloaded) == {*networks(pipe)} - {*never_offloaded(pipe)}
    for _ in range(2):
        assert np.array_equal(generate(pipe, free_after_reference=True), expected)
    pipe.remove_all_hooks()
    assert not any(hasattr(part, "_hf_hook") for part in networks(pipe).values())
    assert np.array_equal(generate(pipe), expected)


def test_sequential_offload_works_with_weights_that_are_there_only_when_they_are_used(pipe: AnimationPipeline):
    accelerate = pytest.importorskip("accelerate")
    expected = generate(pipe)
    for name, part in networks(pipe).items():
        if name not in never_offloaded(pipe):  # as diffusers does, whose own call refuses a mere CPU
            accelerate.cpu_offload(part, torch.device("cpu"), offload_buffers=len(part._parameters) > 0)
    assert np.array_equal(generate(pipe), expected)
    assert all(parameter.is_meta for parameter in pipe.unet.parameters())


@pytest.mark.parametrize(("image_size", "frames"), [(64, 8), (256, 8), (512, 2), (1024, 1)])
def test_fewer_frames_are_decoded_at_once_if_they_are_large(image_size: int, frames: int):
    pipe = AniFaceDiffPipeline.untrained(image_size=64)
    pipe.register_to_config(image_size=image_size)
    assert pipe._decode_chunk == frames
