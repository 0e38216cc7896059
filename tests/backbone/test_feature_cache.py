"""The feature cache on stock denoisers, bare and with everything attached."""

from collections.abc import Generator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel, UNetMotionModel
from networks import make_unet
from torch import Tensor, nn

from anifacediff.attachment import refuse_attached
from anifacediff.backbone import FeatureCache, ReferenceNet
from anifacediff.conditioning import ExpressionAdapter, MultiLevelPoseEncoder, PoseEncoder
from anifacediff.errors import AttachmentError, InputError
from anifacediff.testing.denoisers import Snapshot, random, stirred

FRAMES = 4
AnyUNet = UNet2DConditionModel | UNetMotionModel
WINDOW = range(FRAMES)


@pytest.fixture(autouse=True)
def no_gradients() -> Generator[None]:
    with torch.no_grad():
        yield


@pytest.fixture(params=["2d", "video"])
def denoiser(request: pytest.FixtureRequest, unet: UNet2DConditionModel, video_unet: UNetMotionModel) -> AnyUNet:
    return unet if request.param == "2d" else video_unet


def run(unet: AnyUNet, seed: int, timestep: float = 5.0, conditions: Mapping[str, Any] | None = None) -> Tensor:
    sample = random(FRAMES, 4, 8, 8, seed=seed)
    if isinstance(unet, UNetMotionModel):
        sample = sample.transpose(0, 1)[None]
    kwargs = dict(conditions or {})
    context = random(FRAMES, 1, 24, seed=1)
    return unet(sample, timestep, context, cross_attention_kwargs=kwargs, return_dict=False)[0]


def steps(
    cache: FeatureCache, unet: AnyUNet, seeds: range, conditions: Mapping[str, Any] | None = None
) -> list[Tensor]:
    """Evaluate one window at a step for each seed."""
    outputs: list[Tensor] = []
    for seed in seeds:
        with cache.attach(), cache.window(WINDOW, 9.0 - seed):
            outputs.append(run(unet, seed, 9.0 - seed, conditions))
    return outputs


class Written:
    """What a cached step should give, written out: the denoiser whole, with the output of one module replaced."""

    def __init__(self, unet: AnyUNet, place: str) -> None:
        self.unet, self.module = unet, unet.get_submodule(place)

    def deep(self, seed: int, timestep: float) -> Any:
        found: list[Any] = []
        hook = self.module.register_forward_hook(lambda module, args, output: found.append(output))
        run(self.unet, seed, timestep)
        hook.remove()
        return found[0]

    def __call__(self, seed: int, timestep: float, deep: Any) -> Tensor:
        hook = self.module.register_forward_hook(lambda module, args, output: deep)
        output = run(self.unet, seed, timestep)
        hook.remove()
        return output


@pytest.mark.parametrize("layers", [1, 2])
def test_a_cached_step_has_the_deep_features_of_the_last_whole_one(denoiser: AnyUNet, layers: int):
    last = "motion_modules.0" if isinstance(denoiser, UNetMotionModel) else "attentions.0"
    written = Written(denoiser, {1: f"up_blocks.1.{last}", 2: "up_blocks.0.upsamplers.0"}[layers])
    cache = FeatureCache(denoiser, interval=3, layers=layers)
    found = steps(cache, denoiser, range(6))
    for whole in (0, 3):
        deep = written.deep(whole, 9.0 - whole)
        for step in range(whole, whole + 3):
            assert torch.equal(found[step], written(step, 9.0 - step, deep)), step
    assert not torch.allclose(found[1], run(denoiser, 1, 8.0), atol=1e-4), "the test must see the difference"


def test_an_interval_of_one_changes_no_bit(denoiser: AnyUNet):
    cache = FeatureCache(denoiser, interval=1)
    for seed, output in enumerate(steps(cache, denoiser, range(3))):
        assert torch.equal(output, run(denoiser, seed, 9.0 - seed))
    assert len(cache) == 0


def test_skipped_modules_do_not_run(unet: UNet2DConditionModel):
    ran: list[str] = []
    for place, module in unet.named_modules():
        if type(module) is nn.Conv2d:
            module.register_forward_hook(lambda module, args, output, place=place: ran.append(place))
    cache = FeatureCache(unet, interval=2)
    steps(cache, unet, range(1))
    whole = len(ran)
    ran.clear()
    with cache.attach(), cache.window(WINDOW, 8.0):
        run(unet, 1, 8.0)
    deeper = [place for place in ran if not place.startswith(("conv_in", "conv_out", "up_blocks.1.resnets.1"))]
    assert whole > len(ran)
    assert {place.rsplit(".", 1)[0] for place in deeper} <= {"up_blocks.1.attentions.1"}


def with_everything(unet: UNet2DConditionModel) -> tuple[ExitStack, dict[str, Any]]:
    parts = (
        stirred(ReferenceNet.from_unet(unet)),
        stirred(ExpressionAdapter.for_unet(unet, expression_dim=10)),
        stirred(PoseEncoder.for_unet(unet, block_out_channels=(8, 8, 8, 8))),
    )
    stack = ExitStack()
    for part in parts:
        stack.enter_context(part.attach(unet))
    half = FRAMES // 2
    conditions = {
        **parts[0].read(random(1, 4, 8, 8), random(1, 1, 24), unet, guidance=True),
        **parts[1](random(half, 10), guidance=True),
        **parts[2](random(half, 3, 64, 64).abs()),
    }
    return stack, conditions


def test_with_everything_attached_and_both_guidance_halves(unet: UNet2DConditionModel):
    stack, conditions = with_everything(unet)
    with stack:
        cache = FeatureCache(unet, interval=2)
        whole, cached = steps(cache, unet, range(2), conditions)
        assert torch.equal(whole, run(unet, 0, 9.0, conditions))
        changed = {**conditions, "pose_features": conditions["pose_features"] + 1}
        for other in (changed, {**conditions, "expression_tokens": -conditions["expression_tokens"]}, {}):
            again = FeatureCache(unet, interval=2)
            steps(again, unet, range(1), conditions)
            with again.attach(), again.window(WINDOW, 8.0):
                assert not torch.allclose(run(unet, 1, 8.0, other), cached, atol=1e-4), "conditions stay at work"


def test_with_a_multi_level_pose_encoder(unet: UNet2DConditionModel):
    encoder = stirred(MultiLevelPoseEncoder.for_unet(unet, self_attention=False))
    levels = encoder(random(FRAMES, 3, 64, 64))
    with encoder.attach(unet):
        whole, cached = steps(FeatureCache(unet, interval=2), unet, range(2), levels)
        assert torch.equal(whole, run(unet, 0, 9.0, levels))
        assert cached.shape == whole.shape
        assert bool(cached.isfinite().all())


def test_windows_are_apart_in_any_order(unet: UNet2DConditionModel):
    windows = (range(0, 4), range(3, 7), range(6, 10))

    def outputs(order: list[tuple[int, int]]) -> dict[tuple[int, int], Tensor]:
        cache, found = FeatureCache(unet, interval=2), {}
        for window, step in order:
            with cache.attach(), cache.window(windows[window], 9.0 - step):
                found[window, step] = run(unet, 10 * window + step, 9.0 - step)
        return found

    clip_wide = outputs([(window, step) for step in range(3) for window in range(3)])
    skewed = outputs([(0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2), (2, 1), (1, 2), (2, 2)])
    for key, output in clip_wide.items():
        assert torch.equal(skewed[key], output), key


def test_held_is_what_a_later_step_reads_until_it_is_forgotten(unet: UNet2DConditionModel):
    cache = FeatureCache(unet, interval=2)
    for start in (0, 3, 6):
        with cache.attach(), cache.window(range(start, start + 4), 9.0):
            run(unet, start)
    assert len(cache) == 3
    with cache.attach(), cache.window(range(0, 4), 8.0):
        run(unet, 0)
    assert len(cache) == 2, "the next step is whole, so nothing is held for it"
    cache.forget(range(3, 5))
    assert len(cache) == 1


def test_the_same_timestep_again_is_the_same_step(unet: UNet2DConditionModel):
    cache = FeatureCache(unet, interval=2)
    for _ in range(2):
        with cache.attach(), cache.window(WINDOW, 9.0):
            assert torch.equal(run(unet, 0, 9.0), run(unet, 0, 9.0))
    assert torch.equal(steps(cache, unet, range(0, 1))[0], run(unet, 0, 9.0))


def test_several_calls_in_a_step_are_held_apart(unet: UNet2DConditionModel):
    together = FeatureCache(unet, interval=2)
    outputs: list[list[Tensor]] = []
    for step in range(2):
        with together.attach(), together.window(WINDOW, 9.0 - step):
            outputs.append([run(unet, 10 + step), run(unet, 20 + step)])
    for call, seed in enumerate((10, 20)):
        alone = FeatureCache(unet, interval=2)
        for step in range(2):
            with alone.attach(), alone.window(WINDOW, 9.0 - step):
                assert torch.equal(run(unet, seed + step), outputs[step][call])
    with together.attach(), together.window(WINDOW, 7.0):
        run(unet, 0)
    with together.attach(), together.window(WINDOW, 6.0):
        run(unet, 0)
        with pytest.raises(AttachmentError, match="more often"):
            run(unet, 0)


def test_detaching_restores_the_same_objects(denoiser: AnyUNet):
    before, keys = dict(denoiser.named_modules()), list(denoiser.state_dict())
    processors = list(denoiser.attn_processors)
    own = {place: frozenset(vars(module)) for place, module in before.items()}
    output = run(denoiser, 0)
    cache = FeatureCache(denoiser, interval=2)
    with cache.attach():
        assert list(denoiser.state_dict()) == keys
        assert list(denoiser.attn_processors) == processors
        assert set(dict(denoiser.named_modules())) == set(before)
    with pytest.raises(ZeroDivisionError), cache.attach(), cache.window(WINDOW, 9.0):
        raise ZeroDivisionError
    after = dict(denoiser.named_modules())
    assert list(after) == list(before)
    assert all(after[place] is module for place, module in before.items())
    assert {place: frozenset(vars(module)) for place, module in after.items()} == own
    assert torch.equal(run(denoiser, 0), output)


def test_a_snapshot_of_the_denoiser_is_unchanged(unet: UNet2DConditionModel):
    before = Snapshot.of(unet)
    steps(FeatureCache(unet, interval=2), unet, range(3))
    assert not before.difference(Snapshot.of(unet))


def test_attached_outside_of_a_window_the_denoiser_is_whole(unet: UNet2DConditionModel):
    cache = FeatureCache(unet, interval=2)
    output = run(unet, 0)
    with cache.attach():
        assert torch.equal(run(unet, 0), output)
    assert len(cache) == 0


def test_attaching_twice_is_refused(unet: UNet2DConditionModel):
    first, second = FeatureCache(unet, interval=2), FeatureCache(unet, interval=3)
    with first.attach():
        for cache in (first, second):
            with pytest.raises(AttachmentError, match="attached to this denoiser already"):
                cache.attach()
        with pytest.raises(AttachmentError, match="inflating"):
            refuse_attached(unet, "inflating")
    steps(second, unet, range(1))


def test_a_module_replaced_since_is_refused(unet: UNet2DConditionModel):
    cache = FeatureCache(unet, interval=2)
    resnets = unet.get_submodule("up_blocks.0.resnets")
    assert isinstance(resnets, nn.ModuleList)
    before, resnets[0] = resnets[0], nn.Identity()
    with pytest.raises(AttachmentError, match="replaced by a Identity"):
        cache.attach()
    resnets[0] = before
    cache.attach().detach()


def test_a_window_that_failed_begins_anew(unet: UNet2DConditionModel):
    cache = FeatureCache(unet, interval=2)
    with pytest.raises(ZeroDivisionError), cache.attach(), cache.window(WINDOW, 9.0):
        raise ZeroDivisionError
    assert torch.equal(steps(cache, unet, range(1, 2))[0], run(unet, 1, 8.0))


@pytest.mark.parametrize(("interval", "layers"), [(0, 1), (2, 0)])
def test_numbers_out_of_range_are_refused(unet: UNet2DConditionModel, interval: int, layers: int):
    with pytest.raises(InputError, match="at least 1"):
        FeatureCache(unet, interval=interval, layers=layers)


def test_denoisers_without_such_layers_are_refused(unet: UNet2DConditionModel):
    with pytest.raises(AttachmentError, match="of 2 layers; a feature cache of 3"):
        FeatureCache(unet, interval=2, layers=3)
    flat = make_unet(
        block_out_channels=(32,), down_block_types=("DownBlock2D",), up_block_types=("UpBlock2D",), attention_head_dim=2
    )
    with pytest.raises(AttachmentError, match="0 up blocks before"):
        FeatureCache(flat, interval=2)
