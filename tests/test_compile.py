"""A denoiser with everything attached compiles as one graph, once. Runs only without the run-time type checks:

``python -m pytest -o addopts="--import-mode=importlib -ra --strict-markers" tests/test_compile.py``
"""

import logging
from collections.abc import Generator
from contextlib import ExitStack
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel, UNetMotionModel
from networks import make_unet
from torch import Tensor, nn
from torch._dynamo import config as dynamo_config
from torch._dynamo.utils import counters

from anifacediff.backbone import FeatureCache, ReferenceNet, TemporalModules
from anifacediff.conditioning import ExpressionAdapter, PoseEncoder

FRAMES = 3
AnyUNet = UNet2DConditionModel | UNetMotionModel


@pytest.fixture(autouse=True)
def unhooked(request: pytest.FixtureRequest) -> Generator[None]:
    if request.config.getoption("--jaxtyping-packages", default=None):
        pytest.skip("run-time type checks break torch.compile; run with -o addopts=... that leaves them out")
    logging.disable()  # pytest would keep thousands of records of what the compiler does
    torch.compiler.reset()
    counters.clear()
    yield
    logging.disable(logging.NOTSET)


class Parts:
    """Our components with weights that matter, and conditions for them."""

    def __init__(self, unet: UNet2DConditionModel, seed: int = 1) -> None:
        torch.manual_seed(seed)
        self.reference = ReferenceNet.from_unet(unet)
        self.expression = ExpressionAdapter.for_unet(unet, expression_dim=10)
        self.pose = PoseEncoder.for_unet(unet, block_out_channels=(8, 8, 8, 8))
        for part in (self.expression, self.pose):
            for parameter in part.parameters():
                nn.init.normal_(parameter, std=0.2)

    def attached(self, unet: AnyUNet) -> ExitStack:
        stack = ExitStack()
        for part in (self.reference, self.expression, self.pose):
            stack.enter_context(part.attach(unet))
        return stack

    @torch.no_grad()
    def conditions(self, unet: AnyUNet, *, guidance: bool, seed: int) -> dict[str, Any]:
        torch.manual_seed(seed)
        return {
            **self.reference.read(torch.randn(1, 4, 8, 8), torch.randn(1, 1, 24), unet, guidance=guidance),
            **self.expression(torch.randn(FRAMES, 10), guidance=guidance),
            **self.pose(torch.rand(FRAMES, 3, 64, 64)),
        }


@pytest.fixture
def unet() -> UNet2DConditionModel:
    """Build a denoiser of one block, because tracing takes its time."""
    blocks = {"down_block_types": ("CrossAttnDownBlock2D",), "up_block_types": ("CrossAttnUpBlock2D",)}
    return make_unet(**blocks, block_out_channels=(32,), attention_head_dim=2)


@pytest.fixture
def parts(unet: UNet2DConditionModel) -> Parts:
    return Parts(unet)


@pytest.fixture(params=["2d", "video"])
def denoiser(request: pytest.FixtureRequest, unet: UNet2DConditionModel) -> AnyUNet:
    if request.param == "2d":
        return unet
    temporal = TemporalModules.for_unet(unet, heads=4, max_frames=16)
    for parameter in temporal.parameters():
        nn.init.normal_(parameter, std=0.05)
    return temporal.inflate(unet)


@torch.no_grad()
def predict(call: Any, video: bool, conditions: dict[str, Any] | None, *, guidance: bool, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    clips = 2 if guidance else 1
    sample = torch.randn(clips, 4, FRAMES, 8, 8, generator=generator)
    sample = sample if video else sample.transpose(1, 2).flatten(0, 1)
    context = torch.randn(clips * FRAMES, 1, 24, generator=generator)
    timestep = torch.tensor(seed)
    return call(sample, timestep, context, cross_attention_kwargs=conditions, return_dict=False)[0]


@pytest.mark.parametrize("guidance", [False, True], ids=["unguided", "guided"])
def test_everything_attached_compiles_without_a_break_and_once(denoiser: AnyUNet, parts: Parts, guidance: bool):
    video = isinstance(denoiser, UNetMotionModel)
    compiled = torch.compile(denoiser, fullgraph=True, backend="eager")
    with parts.attached(denoiser):
        check_against_eager(compiled, denoiser, parts, video, guidance=guidance, seed=5)
        graphs = counters["stats"]["unique_graphs"]
        with dynamo_config.patch(error_on_recompile=True):
            check_against_eager(compiled, denoiser, parts, video, guidance=guidance, seed=6)
    assert counters["stats"]["unique_graphs"] == graphs > 0
    assert not counters["graph_break"]


def test_a_compiled_denoiser_follows_what_is_attached(unet: UNet2DConditionModel, parts: Parts):
    compiled = torch.compile(unet, fullgraph=True, backend="eager")
    graphs: list[int] = []
    for attached in (parts, Parts(unet, seed=8)):
        with attached.attached(unet):
            check_against_eager(compiled, unet, attached, False, guidance=False, seed=5)
        graphs.append(counters["stats"]["unique_graphs"])
    assert graphs[0] == graphs[1], "attaching others of the same kind needs no new graph"
    with parts.attached(unet):
        parts.expression.scale = 0.5
        check_against_eager(compiled, unet, parts, False, guidance=False, seed=6)
    plain = predict(unet, False, None, guidance=False, seed=7)
    torch.testing.assert_close(predict(compiled, False, None, guidance=False, seed=7), plain)


def check_against_eager(
    compiled: Any, denoiser: AnyUNet, parts: Parts, video: bool, *, guidance: bool, seed: int
) -> None:
    conditions = parts.conditions(denoiser, guidance=guidance, seed=seed)
    found = predict(compiled, video, conditions, guidance=guidance, seed=seed)
    torch.testing.assert_close(found, predict(denoiser, video, conditions, guidance=guidance, seed=seed))
    without = {name: value for name, value in conditions.items() if name != "expression_tokens"}
    assert not torch.allclose(found, predict(denoiser, video, without, guidance=guidance, seed=seed), atol=1e-3)


def test_a_feature_cache_compiles_to_a_whole_and_a_short_graph():
    unet = make_unet()
    compiled = torch.compile(unet, fullgraph=True, backend="eager")

    def steps(call: Any) -> list[Tensor]:
        cache, outputs = FeatureCache(unet, interval=2), list[Tensor]()
        for step in range(4):
            with cache.attach(), cache.window(range(FRAMES), 9 - step):
                outputs.append(predict(call, False, None, guidance=False, seed=step))
        return outputs

    expected = steps(unet)
    for _ in range(2):
        for found, eager in zip(steps(compiled), expected, strict=True):
            torch.testing.assert_close(found, eager)
    assert counters["stats"]["unique_graphs"] == 2
    assert not counters["graph_break"]
