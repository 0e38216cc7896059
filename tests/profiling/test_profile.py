import json
import time

import numpy as np
import pytest
from portraits import faces, portrait

from anifacediff.assemblies.anifacediff import AniFaceDiffPipeline
from anifacediff.profiling import Profile, StageCost, counted_work, profile_clip
from anifacediff.profiling.picture import profile_picture
from anifacediff.profiling.stages import DENOISER
from anifacediff.provenance import SpreadMark

SLOW = 0.2  # seconds


class Written:
    """Keeps the frames, and takes its time to finish."""

    def __init__(self) -> None:
        self.pictures: list[np.ndarray] = []
        self.closed = False

    def __enter__(self) -> "Written":
        return self

    def __exit__(self, *error: object) -> None:
        time.sleep(SLOW)
        self.closed = True

    def write(self, image: np.ndarray) -> None:
        self.pictures.append(image)


@pytest.mark.filterwarnings("ignore::anifacediff.assemblies.exchange.UntrainedWarning")
def test_a_clip_is_timed_and_its_work_counted():
    pipe = AniFaceDiffPipeline.untrained(image_size=64)
    written = Written()
    profile = profile_clip(
        pipe,
        lambda: (portrait(pipe), faces(pipe, 3)),
        lambda: written,
        num_inference_steps=2,
        guidance_scale=1.0,
        mark=SpreadMark(),
    )
    stream = pipe.stream(portrait(pipe), faces(pipe, 3), num_inference_steps=2, guidance_scale=1.0)
    assert all(map(np.array_equal, written.pictures, (frame.marked(SpreadMark()).image for frame in stream)))
    assert len(written.pictures) == 3
    assert written.closed
    stages = {stage.name: stage for stage in profile.stages}
    assert next(iter(stages)) == "tracking"
    assert list(stages)[-1] == "everything else"
    assert stages["mark"].calls == 3
    assert stages["write"].calls == 5  # opened, three frames, and finished
    assert stages["write"].seconds > SLOW
    assert stages["write"].floor_seconds is None
    denoiser = stages[DENOISER]
    assert denoiser.flops is not None
    assert denoiser.floor_seconds == denoiser.flops / profile.flops_per_second
    assert denoiser.flops == 2 * counted_step(pipe)
    assert profile.seconds == pytest.approx(sum(stage.seconds for stage in profile.stages))
    assert json.loads(json.dumps(profile.to_json()))["stages"][0]["name"] == "tracking"


def counted_step(pipe: AniFaceDiffPipeline) -> int:
    """All that is counted in a run of one step, less what its other parts take; of the denoiser itself."""
    work: list[int] = []
    with counted_work() as count:

        def begin(*_: object) -> None:
            work.append(-count())

        def end(*_: object) -> None:
            work.append(count())

        before = pipe.unet.register_forward_pre_hook(begin)
        after = pipe.unet.register_forward_hook(end)
        for _ in pipe.stream(portrait(pipe), faces(pipe, 3), num_inference_steps=1, guidance_scale=1.0):
            pass
    before.remove()
    after.remove()
    return sum(work)


def test_bars_are_as_long_as_the_seconds():
    known = StageCost("denoiser", 4, 2.0, 10**9, 1.0, 0.5)
    profile = Profile((StageCost("tracking", 1, 1.0, None, None, None), known), 1e9)
    picture = profile_picture(profile, "a title")
    tracking, denoiser = picture[28 + 14, 150:650], picture[2 * 28 + 14, 150:650]
    assert [(row != 255).any(axis=1).sum() for row in (tracking, denoiser)] == pytest.approx([250, 500], abs=2)
    assert (denoiser == (30, 80, 150)).all(axis=1).sum() == pytest.approx(250, abs=2)
