import copy
from collections.abc import Callable

import pytest
import torch
from portraits import faces, portrait

from anifacediff.assemblies import AniFaceDiffPipeline, AnimationPipeline, MagicPortraitPipeline, MIMAFacePipeline
from anifacediff.profiling import Stopwatch, watched
from anifacediff.profiling.stages import DECODE, DENOISER, ENCODE, MAPS, REFERENCE

FRAMES, STEPS = 3, 2
ASSEMBLIES = (AniFaceDiffPipeline, MagicPortraitPipeline, MIMAFacePipeline)

pytestmark = pytest.mark.filterwarnings("ignore::anifacediff.assemblies.exchange.UntrainedWarning")


def animate(pipe: AnimationPipeline) -> None:
    for _ in pipe.stream(portrait(pipe), faces(pipe, FRAMES), num_inference_steps=STEPS):
        pass


@pytest.mark.parametrize("assembly", range(len(ASSEMBLIES)), ids=[each.__name__ for each in ASSEMBLIES])
def test_each_stage_is_seen_and_nothing_is_left_behind(assembly: int):
    pipe = ASSEMBLIES[assembly].untrained(image_size=64)
    before, render = copy.copy(vars(pipe)), type(pipe.alignment).render
    watch = Stopwatch(torch.device("cpu"))
    with watched(pipe, watch):
        animate(pipe)
    spent = watch.spent
    assert {REFERENCE, ENCODE, MAPS, DENOISER, DECODE} <= set(spent)
    assert {"pose encoder", "guidance encoder", "modulation"} & set(spent)
    assert not {"reference net", "image encoder"} & set(spent), "they are the reference pass"
    assert (spent[REFERENCE].calls, spent[DENOISER].calls, spent[DECODE].calls) == (1, STEPS, 1)
    assert all(each.seconds >= 0 for each in spent.values())
    assert vars(pipe) == before
    assert type(pipe.alignment).render is render
    animate(pipe)
    assert watch.spent[DENOISER] == spent[DENOISER]


def test_a_failure_leaves_the_stage(monkeypatch: pytest.MonkeyPatch):
    pipe = AniFaceDiffPipeline.untrained(image_size=64)
    watch = Stopwatch(torch.device("cpu"))

    def broken(*args: object, **kwargs: object) -> Callable[..., object]:
        raise ZeroDivisionError

    monkeypatch.setattr(pipe.unet, "forward", broken)
    with watched(pipe, watch), pytest.raises(ZeroDivisionError):
        animate(pipe)
    with watch.stage("after"):
        pass
    assert watch._stack == ["everything else"]
