"""``--preset`` of ``anifacediff animate``."""

import inspect
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any, get_args

import pytest
from typer.testing import CliRunner

from anifacediff.cli import app
from anifacediff.cli.animate import animate as animate_command
from anifacediff.media import VideoSource, VideoWriter
from anifacediff.sampling import SAMPLING_PRESETS

SAMPLES = Path(__file__).parents[2] / "examples" / "media"


@pytest.fixture
def driving(tmp_path: Path) -> Path:
    source = VideoSource(SAMPLES / "driving.mp4")
    path = tmp_path / "driving.mp4"
    with VideoWriter(path, source.fps) as writer:
        for frame in islice(source, 3):
            writer.write(frame)
    return path


def animate(driving: Path, *options: object) -> tuple[int, str]:
    arguments = ("animate", SAMPLES / "avatar.png", driving, "-o", driving.parent / "out.mp4", "--device", "cpu")
    result = CliRunner().invoke(app, [str(each) for each in (*arguments, *options)])
    return result.exit_code, " ".join(result.stderr.split())


def test_every_preset_can_be_chosen_by_its_name():
    chosen, _ = get_args(inspect.signature(animate_command).parameters["preset"].annotation)
    assert set(get_args(get_args(chosen)[0])) == set(SAMPLING_PRESETS)


def test_a_preset_is_used_and_steps_go_before_it(driving: Path, monkeypatch: pytest.MonkeyPatch):
    from anifacediff.assemblies.pipeline import AnimationPipeline

    given: list[Mapping[str, Any]] = []
    stream = AnimationPipeline.stream

    def recorded(pipe: AnimationPipeline, *arguments: Any, **options: Any) -> Any:
        given.append(options)
        return stream(pipe, *arguments, **options)

    monkeypatch.setattr(AnimationPipeline, "stream", recorded)
    for options in (("--preset", "preview"), ("--preset", "preview", "--steps", 1)):
        code, told = animate(driving, *options)
        assert code == 0, told
    first, second = given
    assert [each["num_inference_steps"] for each in given] == [2, 1]
    assert (first["cache_interval"], first["overlap"]) == (second["cache_interval"], second["overlap"]) == (2, 1)


def test_clips_in_a_chain_take_a_preset_with_a_cache(driving: Path):
    code, told = animate(driving, "--assembly", "mimaface", "--preset", "fast", "--steps", 2)
    assert code == 0, told
    assert len(list(VideoSource(driving.parent / "out.mp4"))) == 3
