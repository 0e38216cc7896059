"""The denoiser of a pipeline is compiled once for all windows. Runs only without the run-time type checks."""

from collections.abc import Generator

import numpy as np
import pytest
import torch
from portraits import arrays, faces, portrait
from torch._dynamo.utils import counters

from anifacediff.assemblies import AniFaceDiffPipeline
from anifacediff.errors import AttachmentError

pytestmark = pytest.mark.filterwarnings("ignore::anifacediff.assemblies.exchange.UntrainedWarning")


@pytest.fixture(autouse=True)
def unhooked(request: pytest.FixtureRequest) -> Generator[None]:
    if request.config.getoption("--jaxtyping-packages", default=None):
        pytest.skip("run-time type checks break torch.compile; run with -o addopts=... that leaves them out")
    torch.compiler.reset()
    counters.clear()
    yield
    torch.compiler.reset()


def generate(pipe: AniFaceDiffPipeline, frames: int) -> np.ndarray:
    options = {"num_inference_steps": 2, "window_size": 3, "overlap": 1}
    return arrays(pipe(portrait(pipe), faces(pipe, frames), **options)).astype(int)


def test_one_graph_for_all_windows_and_another_for_a_shorter_clip():
    pipe = AniFaceDiffPipeline.untrained(image_size=64)
    pipe.set_progress_bar_config(disable=True)
    long, short = generate(pipe, 6), generate(pipe, 2)
    pipe.compile_denoiser(backend="eager")
    assert np.array_equal(generate(pipe, 6), long)
    assert counters["stats"]["unique_graphs"] == 1
    assert np.array_equal(generate(pipe, 2), short)
    assert counters["stats"]["unique_graphs"] == 2
    generate(pipe, 5)
    assert counters["stats"]["unique_graphs"] == 2, "whatever the length, a window is a window"


def test_under_offload_it_is_refused():
    pipe = AniFaceDiffPipeline.untrained(image_size=64)
    pipe.enable_model_cpu_offload(device="cpu")
    with pytest.raises(AttachmentError, match=r"hooks of diffusers' offload.*before enable_model_cpu_offload"):
        pipe.compile_denoiser(backend="eager")


def test_offload_may_follow():
    pipe = AniFaceDiffPipeline.untrained(image_size=64)
    pipe.set_progress_bar_config(disable=True)
    plain = generate(pipe, 3)
    pipe.compile_denoiser(backend="eager")
    pipe.enable_model_cpu_offload(device="cpu")
    assert np.array_equal(generate(pipe, 3), plain)
