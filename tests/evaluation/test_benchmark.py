import math
import warnings
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace

import pytest
import torch
from suites import SUITE, make_pipeline, scenes_of

from anifacediff.assemblies.anifacediff import AniFaceDiffPipeline
from anifacediff.assemblies.exchange import UntrainedWarning
from anifacediff.errors import InputError
from anifacediff.evaluation.animate import Sampling
from anifacediff.evaluation.arms import ARMS
from anifacediff.evaluation.benchmark import run_benchmark
from anifacediff.evaluation.contracts import Animation
from anifacediff.evaluation.measures import PIXEL_METRICS
from anifacediff.evaluation.scenes import Scene
from anifacediff.shapes import Tensor

PERFECT = {"psnr": 100, "psnr-eyes": 100, "psnr-mouth": 100, "ssim": 1, "flicker": 0}


@pytest.fixture(autouse=True)
def _quiet() -> Generator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UntrainedWarning)
        yield


@pytest.fixture(scope="module")
def pipeline() -> AniFaceDiffPipeline:
    return make_pipeline()


@dataclass(frozen=True)
class Brightness:
    """Judges one clip."""

    unit = "lx"
    higher_is_better = True

    def __call__(self, animation: Animation) -> float:
        return float(animation.output.mean())


@dataclass(frozen=True)
class HowMany:
    """Judges a set."""

    unit = ""
    higher_is_better = True
    sampling = "all"

    def __call__(self, animations: Sequence[Animation]) -> float:
        return float(len(animations))


@dataclass(frozen=True)
class OnlyFor:
    """Judges clips of some identities."""

    identities: tuple[int, ...]
    unit = ""
    higher_is_better = True

    def judge(self, scene: Scene, animation: Animation) -> float:
        return float(scene.identity) if scene.identity in self.identities else math.nan


def test_the_metrics_find_the_truth_perfect_and_nothing_else(pipeline: AniFaceDiffPipeline):
    rows = run_benchmark(pipeline, SUITE, ("truth", "copy"), PIXEL_METRICS)
    assert [(row.task, row.arm, row.metric) for row in rows] == [
        (task, arm, metric) for task in ("same", "cross") for arm in ("truth", "copy") for metric in PERFECT
    ]
    for row in rows:
        assert row.unit == PIXEL_METRICS[row.metric].unit
        assert row.n == SUITE.identities
        ends = (row.low, row.mean, row.high)
        if row.arm == "truth":
            assert ends == pytest.approx([PERFECT[row.metric]] * 3, abs=1e-5)
        else:
            better = PIXEL_METRICS[row.metric].higher_is_better
            assert (row.mean < PERFECT[row.metric]) if better else (row.mean > PERFECT[row.metric])


def test_a_figure_is_the_mean_over_judged_frames_and_clips(pipeline: AniFaceDiffPipeline):
    rows = run_benchmark(pipeline, SUITE, ("copy", "mean"), {"psnr": PIXEL_METRICS["psnr"], "light": Brightness()})
    found = {(row.task, row.arm, row.metric): row for row in rows}
    for task in ("same", "cross"):
        scenes = scenes_of(task)
        errors = [(scene.truth[1:] - scene.reference).double().square().mean((1, 2, 3)) for scene in scenes]
        each = [float((-10 * error.log10()).mean()) for error in errors]
        row = found[task, "copy", "psnr"]
        assert row.mean == pytest.approx(sum(each) / len(each), abs=1e-4)
        assert (row.low, row.high) == pytest.approx((min(each), max(each)), abs=1e-4)
        light = torch.stack([scene.truth[1:] for scene in scenes]).double().mean()
        assert found[task, "mean", "light"].mean == pytest.approx(float(light), abs=1e-5)
        assert found[task, "mean", "light"].unit == "lx"


def test_a_metric_of_sets_has_no_interval(pipeline: AniFaceDiffPipeline):
    same, cross = run_benchmark(pipeline, replace(SUITE, drivers=2, frames=1), ("truth",), {"clips": HowMany()})
    assert (same.mean, same.low, same.high, same.n) == (2, None, None, 2)
    assert (cross.mean, cross.low, cross.high, cross.n) == (4, None, None, 2)


def test_clips_in_which_there_is_nothing_to_judge_are_left_out(pipeline: AniFaceDiffPipeline):
    rows = run_benchmark(pipeline, SUITE, ("truth",), {"known": OnlyFor((30_001,))})
    assert [(row.mean, row.n) for row in rows] == [(30_001, 1)] * 2
    with pytest.raises(InputError, match="known: there is nothing to judge in any clip of 'same'"):
        run_benchmark(pipeline, SUITE, ("truth",), {"known": OnlyFor(())})


def test_every_arm_can_be_run_and_is_told_of(pipeline: AniFaceDiffPipeline):
    told: list[tuple[int, int]] = []
    seen: dict[tuple[str, str], list[Tensor]] = {}

    def see(arm: str, scene: Scene, clip: Tensor) -> None:
        seen.setdefault((scene.task, arm), []).append(clip)

    arms = [arm for arm in ARMS if arm != "model-tracked"]
    rows = run_benchmark(
        pipeline,
        SUITE,
        arms,
        {"psnr": PIXEL_METRICS["psnr"]},
        sampling=Sampling(steps=1),
        on_progress=lambda done, total: told.append((done, total)),
        on_clip=see,
    )
    expected = {(task, arm) for arm in arms for task in ARMS[arm].tasks}
    assert {(row.task, row.arm) for row in rows} == set(seen) == expected
    total = 4 + 2 * len(expected)
    assert told == [(done, total) for done in range(1, total + 1)]
    for clip, scene in zip(seen["cross", "truth"], scenes_of("cross"), strict=True):
        assert torch.equal(clip, scene.truth)
    figures = {row.arm: row.mean for row in rows if row.task == "cross"}
    assert figures["align-both"] == figures["model"] != figures["align-none"]
    assert figures["model-no-expression"] != figures["model"] != figures["model-shuffled-expression"]


def test_what_cannot_be_measured_is_refused(pipeline: AniFaceDiffPipeline):
    with pytest.raises(InputError, match=r"arms: expected some of truth, vae, .*; found 'perfect'"):
        run_benchmark(pipeline, SUITE, ("perfect",), PIXEL_METRICS)
    with pytest.raises(InputError, match="metrics: there are none"):
        run_benchmark(pipeline, SUITE, ("truth",), {})
    with pytest.raises(InputError, match=r"suite.size: 64 pixels, but the pipeline draws 32"):
        run_benchmark(pipeline, replace(SUITE, size=64), ("truth",), PIXEL_METRICS)
    with pytest.raises(InputError, match="need a tracker"):
        run_benchmark(pipeline, SUITE, ("model-tracked",), PIXEL_METRICS)


def test_a_pipeline_of_another_face_model_is_refused_at_once():
    with pytest.raises(InputError, match="ParametricHead"):
        run_benchmark(AniFaceDiffPipeline.untrained(), replace(SUITE, size=128), ("copy",), PIXEL_METRICS)


def test_the_moved_reference_is_nearer_to_the_truth_than_the_reference(pipeline: AniFaceDiffPipeline):
    rows = run_benchmark(pipeline, SUITE, ("copy", "warp"), {"psnr": PIXEL_METRICS["psnr"]})
    found = {(row.task, row.arm): row.mean for row in rows}
    for task in ("same", "cross"):
        assert found[task, "warp"] > found[task, "copy"] + 0.5
