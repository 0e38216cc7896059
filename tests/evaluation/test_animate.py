import warnings
from collections.abc import Generator
from dataclasses import replace

import numpy as np
import pytest
import torch
from suites import make_pipeline, scenes_of

from anifacediff.assemblies.anifacediff import AniFaceDiffPipeline
from anifacediff.assemblies.exchange import UntrainedWarning
from anifacediff.conditioning import FacialAlignment
from anifacediff.errors import InputError
from anifacediff.evaluation.animate import Animated, ParameterReader, Sampling, Studio
from anifacediff.evaluation.scenes import Scene
from anifacediff.geometry import FaceParameters
from anifacediff.shapes import Float, Tensor
from anifacediff.synthetic import GROUPS, ExpressiveHead

SAMPLING = Sampling(steps=2, start="noise", seed=3)


@pytest.fixture(autouse=True)
def _quiet() -> Generator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UntrainedWarning)
        yield


@pytest.fixture(scope="module")
def studio() -> Studio:
    return Studio(make_pipeline(), scenes_of("cross"), SAMPLING)


def directly(pipeline: AniFaceDiffPipeline, scene: Scene, driving: FaceParameters) -> Tensor:
    """The clip as a user of the pipeline would make it."""
    output = pipeline(scene.portrait, driving, num_inference_steps=2, start="noise", seed=3)
    return torch.stack([torch.tensor(np.array(frame)).permute(2, 0, 1) / 255 for frame in output.frames])


class Oracle:
    """A tracker that knows the pictures."""

    def parameters(self, images: Float[Tensor, "f 3 h w"]) -> FaceParameters:
        for scene in scenes_of("cross"):
            if torch.equal(images, scene.driving_images):
                return scene.driving
            if torch.equal(images, scene.reference):
                return scene.portrait.parameters
        raise AssertionError


def test_the_model_is_the_pipeline_with_true_parameters(studio: Studio):
    scene = studio.scenes[0]
    found = Animated()(studio, 0)
    assert torch.allclose(found, directly(make_pipeline(), scene, scene.driving))
    assert not torch.allclose(found, Animated()(studio, 1), atol=0.02)


def test_tracked_parameters_are_read_off_the_pictures(studio: Studio):
    assert isinstance(Oracle(), ParameterReader)
    found = Animated(tracked=True)(replace(studio, tracker=Oracle()), 1)
    assert torch.equal(found, Animated()(studio, 1))
    with pytest.raises(InputError, match="need a tracker"):
        Animated(tracked=True)(studio, 1)


def test_without_expression_is_an_adapter_that_adds_nothing(studio: Studio):
    silent = make_pipeline()
    for name, weight in silent.expression_adapter.named_parameters():
        if "to_v_expression" in name:
            torch.nn.init.zeros_(weight)
    scene = studio.scenes[0]
    found = Animated(expressive=False)(studio, 0)
    assert torch.allclose(found, directly(silent, scene, scene.driving), atol=1.01 / 255)
    assert not torch.allclose(found, Animated()(studio, 0), atol=2 / 255)
    assert studio.pipeline.expression_adapter.scale == 1


def test_shuffled_expression_is_the_next_clips_for_the_adapter(studio: Studio):
    pipeline = make_pipeline()
    pipeline.alignment = FacialAlignment(ExpressiveHead(withheld=tuple(GROUPS)), image_size=32)  # maps without any
    deaf = replace(studio, pipeline=pipeline)
    mine, other = (scene.driving for scene in studio.scenes)
    expected = directly(pipeline, studio.scenes[0], replace(mine, expression=other.expression))
    assert torch.allclose(Animated(shuffled=True)(deaf, 0), expected)
    assert not torch.allclose(expected, Animated()(deaf, 0), atol=2 / 255)
    assert not pipeline.expression_adapter._forward_pre_hooks


def test_shuffled_expression_leaves_the_control_maps(studio: Studio):
    found = Animated(shuffled=True, expressive=False)(studio, 0)
    assert torch.equal(found, Animated(expressive=False)(studio, 0))


def test_there_must_be_another_clip_to_shuffle_with(studio: Studio):
    with pytest.raises(InputError, match="take more identities"):
        Animated(shuffled=True)(replace(studio, scenes=studio.scenes[:1]), 0)


@pytest.mark.parametrize("alignment", [(False, False), (True, False), (False, True), (True, True)])
def test_alignment_is_that_of_a_pipeline_made_so(studio: Studio, alignment: tuple[bool, bool]):
    shape, scale = alignment
    scene = studio.scenes[1]
    expected = directly(make_pipeline(align_shape=shape, align_scale=scale), scene, scene.driving)
    found = Animated(alignment=alignment)(studio, 1)
    assert torch.allclose(found, expected)
    assert torch.equal(found, Animated()(studio, 1)) == (shape and scale)


def test_a_clip_that_cannot_be_made_leaves_the_pipeline_as_it_was(studio: Studio):
    bad = replace(studio, sampling=Sampling(start="elsewhere"))
    with pytest.raises(InputError, match="elsewhere"):
        Animated(expressive=False, shuffled=True, alignment=(False, False))(bad, 0)
    align = studio.pipeline.alignment
    assert isinstance(align, FacialAlignment)
    assert (align.align_shape, align.align_scale, studio.pipeline.expression_adapter.scale) == (True, True, 1)
    assert not studio.pipeline.expression_adapter._forward_pre_hooks
