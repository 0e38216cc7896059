from dataclasses import replace

import pytest
import torch
from suites import scenes_of

from anifacediff.evaluation.animate import ParameterReader
from anifacediff.evaluation.contracts import Animation, ClipMetric
from anifacediff.evaluation.drawn_tracker import DrawnTracker
from anifacediff.evaluation.measures import READER_METRICS, DrawnFaceReader, RegionPSNR, SceneMetric
from anifacediff.evaluation.reader import FaceReader
from anifacediff.geometry import Box

BOXES = Box(torch.tensor([[0.0, 0.0, 1.0, 1.0], [2.0, 3.0, 7.0, 5.0], [4.0, 1.0, 9.0, 8.0]]))


def test_the_psnr_of_a_region_sees_that_region_of_the_judged_frames_alone():
    scene = replace(scenes_of("same")[0], eyes=BOXES)
    error = torch.rand(scene.truth.shape, generator=torch.Generator().manual_seed(0)) * 0.2
    output = (scene.truth + error).clamp(0, 1)
    expected = []
    for frame, (left, top, right, bottom) in ((1, (2, 3, 7, 5)), (2, (4, 1, 9, 8))):
        part = (output - scene.truth)[frame, :, top:bottom, left:right].double()
        expected.append(float(-10 * part.square().mean().log10()))
    found = RegionPSNR("eyes").judge(scene, scene.animation(output))
    assert found == pytest.approx(sum(expected) / 2, abs=1e-4)
    elsewhere = output.clone()
    elsewhere[:, :, 20:] = 0
    assert RegionPSNR("eyes").judge(scene, scene.animation(elsewhere)) == pytest.approx(found)


def test_a_region_outside_the_picture_has_no_figure():
    scene = replace(scenes_of("same")[0], mouth=Box(BOXES.corners + 100))
    found = RegionPSNR("mouth").judge(scene, scene.animation(scene.truth))
    assert found != found
    assert isinstance(RegionPSNR("mouth"), SceneMetric)


def test_our_own_reader_can_judge_and_its_name_is_in_the_figures():
    tracker = DrawnTracker(FaceReader(num_shape=63).eval())
    assert isinstance(tracker, DrawnFaceReader)
    assert isinstance(tracker, ParameterReader)
    scene = scenes_of("same")[0]
    figures = {name: make(tracker) for name, make in READER_METRICS.items()}
    assert all(name.endswith(" (drawn reader)") for name in figures)
    perfect, other = scene.animation(scene.truth), scene.animation(scene.truth.flip(2))
    for name, metric in figures.items():
        assert isinstance(metric, ClipMetric)
        assert (metric(other) > metric(perfect)) != metric.higher_is_better
        assert metric(perfect) == pytest.approx(0, abs=1e-6) or name.startswith("csim")


def test_an_animation_of_the_truth_is_perfect():
    scene = scenes_of("cross")[0]
    perfect: Animation = scene.animation(scene.truth)
    assert RegionPSNR("eyes").judge(scene, perfect) == pytest.approx(100)
