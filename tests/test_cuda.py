"""What must hold on a GPU; skipped where there is none."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from anifacediff.assemblies.anifacediff import AniFaceDiffPipeline
from anifacediff.geometry.faces import Box, FaceParameters, WeakPerspective
from anifacediff.geometry.head import ParametricHead
from anifacediff.geometry.rasterizer import SpanRasterizer

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
    pytest.mark.filterwarnings("ignore::anifacediff.assemblies.exchange.UntrainedWarning"),
]
FRAMES = 12


@dataclass(frozen=True)
class Portrait:
    image: np.ndarray
    parameters: FaceParameters


def faces(head: ParametricHead, frames: int) -> FaceParameters:
    pose = torch.zeros(frames, 5, 3)
    pose[:, 0, 1] = torch.linspace(-0.5, 0.5, frames)
    return FaceParameters(
        shape=torch.zeros(frames, head.num_shape),
        expression=torch.zeros(frames, head.num_expression),
        pose=pose,
        camera=WeakPerspective(torch.full((frames,), 900.0), torch.full((frames, 2), 128.0)),
        box=Box(torch.tensor([[60.0, 60.0, 190.0, 190.0]]).expand(frames, 4)),
        canvas=(256, 256),
    )


def test_the_rasteriser_sees_the_same_triangles():
    head = ParametricHead()
    parameters = faces(head, FRAMES)
    vertices = parameters.camera.project(head(parameters.shape, parameters.expression, parameters.pose))
    rasterize = SpanRasterizer()
    cpu = rasterize(vertices, head.triangles, height=256, width=256)
    gpu = rasterize(vertices.cuda(), head.triangles.cuda(), height=256, width=256)
    assert torch.equal(gpu.triangle_map.cpu(), cpu.triangle_map)
    torch.testing.assert_close(gpu.barycentric.cpu(), cpu.barycentric, rtol=1e-4, atol=1e-4)


def generate(pipe: AniFaceDiffPipeline) -> np.ndarray:
    head = ParametricHead()
    reference = Portrait(np.full((256, 256, 3), 90, np.uint8), faces(head, 1))
    output = pipe(reference, faces(head, 2 * FRAMES), num_inference_steps=3, window_size=FRAMES)
    return np.stack([np.asarray(frame) for frame in output.frames]).astype(int)


def test_the_pipeline_agrees_with_the_cpu():
    pipe = AniFaceDiffPipeline.untrained()
    cpu = generate(pipe)
    gpu = generate(pipe.to("cuda"))
    assert np.abs(gpu - cpu).max() <= 2
    assert np.array_equal(generate(pipe), gpu), "the same seed gives the same video"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_close(dtype: torch.dtype):
    exact = generate(AniFaceDiffPipeline.untrained().to("cuda"))
    half = generate(AniFaceDiffPipeline.untrained().to("cuda", dtype))
    assert np.abs(half - exact).mean() <= 2


@pytest.mark.parametrize("kind", ["model", "sequential"])
def test_offload_gives_the_same_video(kind: str):
    expected = generate(AniFaceDiffPipeline.untrained().to("cuda"))
    pipe = AniFaceDiffPipeline.untrained()
    (pipe.enable_model_cpu_offload if kind == "model" else pipe.enable_sequential_cpu_offload)()
    assert np.abs(generate(pipe) - expected).max() <= 1
