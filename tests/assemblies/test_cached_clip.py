"""The feature cache in whole pipelines: streamed, in the closed order, and in chains of clips."""

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DPMSolverMultistepScheduler
from portraits import arrays, faces, portrait, stir

from anifacediff.assemblies.anifacediff import AniFaceDiffPipeline
from anifacediff.assemblies.cached_clip import CachedChain, CachedClip, cached
from anifacediff.assemblies.clip import Chain, Clip
from anifacediff.assemblies.mimaface import MIMAFacePipeline
from anifacediff.backbone.feature_cache import FeatureCache
from anifacediff.errors import InputError
from anifacediff.sampling import FrameNoise, denoise_clip, open_windows, stream_latents
from anifacediff.sampling.chained import ClipChain, stream_chained

SIZE = 64
pytestmark = pytest.mark.filterwarnings("ignore::anifacediff.assemblies.exchange.UntrainedWarning")


@pytest.fixture(scope="module")
def pipe() -> AniFaceDiffPipeline:
    pipe = AniFaceDiffPipeline.untrained(image_size=SIZE)
    pipe.set_progress_bar_config(disable=True)
    stir(pipe)
    return pipe


def generate(pipe: AniFaceDiffPipeline, **options: Any) -> np.ndarray:
    usual: dict[str, Any] = {"num_inference_steps": 3, "window_size": 4, "overlap": 1}
    return arrays(pipe(portrait(pipe), faces(pipe, 7), **{**usual, **options}))


def test_an_interval_of_one_changes_no_bit_and_two_does(pipe: AniFaceDiffPipeline):
    before = dict(pipe.unet.named_modules())
    whole = generate(pipe)
    assert np.array_equal(generate(pipe, cache_interval=1), whole)
    assert not np.array_equal(generate(pipe, cache_interval=2), whole)
    after = dict(pipe.unet.named_modules())
    assert list(after) == list(before)
    assert all(after[place] is module for place, module in before.items())


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_streaming_with_a_cache_changes_no_bit(pipe: AniFaceDiffPipeline, guidance: float):
    windows = open_windows(7, 4, 1)
    noise = FrameNoise(0, (4, SIZE // 8, SIZE // 8))
    options: dict[str, Any] = {"windows": windows, "noise": noise, "num_steps": 4}

    def clip() -> CachedClip:
        clip = cached(pipe.prepare(portrait(pipe), faces(pipe, 7), guidance), pipe.unet, 2)
        assert isinstance(clip, CachedClip)
        return clip

    scheduler = DPMSolverMultistepScheduler()
    streamed = torch.cat(list(stream_latents(clip(), scheduler, **options)))
    assert torch.equal(streamed, denoise_clip(clip(), scheduler, **options))


def test_two_clips_at_once_do_not_disturb_each_other(pipe: AniFaceDiffPipeline):
    stream = partial(pipe.stream, num_inference_steps=3, window_size=4, overlap=1, cache_interval=2)
    alone = generate(pipe, cache_interval=2)
    first, second = (stream(portrait(pipe), faces(pipe, 7)) for _ in range(2))
    for expected, one, other in zip(alone, first, second, strict=True):
        assert np.array_equal(one.image, expected)
        assert np.array_equal(other.image, expected)


def test_the_closed_order_knows_the_cache(pipe: AniFaceDiffPipeline):
    assert not np.array_equal(generate(pipe, cache_interval=2, closed_loop=True), generate(pipe, closed_loop=True))


def test_nothing_is_held_for_finished_frames(pipe: AniFaceDiffPipeline):
    cache = FeatureCache(pipe.unet, interval=3)
    conditions = pipe.prepare(portrait(pipe), faces(pipe, 7), 1.0)
    assert isinstance(conditions, Clip)
    clip = CachedClip(conditions, cache)
    noise = FrameNoise(0, (4, SIZE // 8, SIZE // 8))
    done = 0
    for latents in stream_latents(clip, pipe.scheduler, windows=open_windows(7, 4, 1), noise=noise, num_steps=2):
        clip.forget(range(done, done + len(latents)))
        done += len(latents)
    assert len(cache) == 0


def test_another_scheduler_for_one_clip(pipe: AniFaceDiffPipeline):
    own = pipe.scheduler
    other = DPMSolverMultistepScheduler(beta_end=0.01)
    found = generate(pipe, scheduler=other)
    assert pipe.scheduler is own
    pipe.scheduler = other
    try:
        assert np.array_equal(generate(pipe), found)
    finally:
        pipe.scheduler = own
    assert not np.array_equal(generate(pipe), found)


@pytest.fixture(scope="module")
def chained() -> MIMAFacePipeline:
    pipe = MIMAFacePipeline.untrained(image_size=SIZE)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def test_clips_in_a_chain_have_a_cache(chained: MIMAFacePipeline):
    options: dict[str, Any] = {"num_inference_steps": 3, "window_size": 4, "overlap": 1}
    whole, same, every_other = (
        arrays(chained(portrait(chained), faces(chained, 9), cache_interval=interval, **options))
        for interval in (1, 1, 2)
    )
    assert np.array_equal(same, whole)
    assert not np.array_equal(every_other, whole)
    np.testing.assert_allclose(every_other.astype(float), whole, atol=60)


def test_a_chain_holds_features_of_one_clip_at_a_time(chained: MIMAFacePipeline):
    cache = FeatureCache(chained.unet, interval=3)
    conditions = chained.prepare(portrait(chained), faces(chained, 20), 1.0)
    assert isinstance(conditions, Chain)
    held: list[int] = []
    noise = FrameNoise(0, (4, SIZE // 8, SIZE // 8))
    chain = ClipChain(20, 4, 1)
    begin = CachedChain(conditions, cache).begin
    for _ in stream_chained(begin, chained.scheduler, chain=chain, noise=noise, num_steps=2):
        held.append(len(cache))
    assert held == [1] * len(chain)


def test_other_conditions_are_refused(pipe: AniFaceDiffPipeline):
    class Still:
        def control(self, frame: int) -> np.ndarray:
            return np.zeros((8, 8, 3), np.uint8)

        def forget(self, frames: range) -> None:
            pass

    with pytest.raises(InputError, match="cache_interval: a Still is denoised neither in windows nor"):
        cached(Still(), pipe.unet, 2)
