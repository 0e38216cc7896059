import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer import Exit
from typer.testing import CliRunner

import anifacediff
from anifacediff import errors
from anifacediff.assemblies import AniFaceDiffPipeline
from anifacediff.cli import app
from anifacediff.cli.report import reported_errors
from anifacediff.media import VideoSource, VideoWriter, read_image
from anifacediff.sampling.denoise import MAX_STREAMED_STEPS

SAMPLES = Path(__file__).parents[1] / "examples" / "media"
AVATAR = SAMPLES / "avatar.png"
FRAMES = 4


@pytest.fixture
def driving(tmp_path: Path) -> Path:
    """The first frames of the bundled clip."""
    source = VideoSource(SAMPLES / "driving.mp4")
    path = tmp_path / "driving.mp4"
    with VideoWriter(path, source.fps) as writer:
        for frame in islice(source, FRAMES):
            writer.write(frame)
    return path


def run(*arguments: object) -> tuple[int, str, str]:
    """The exit code, standard output and standard error of a command."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.stdout, " ".join(result.stderr.split())


def test_starting_loads_nothing_heavy() -> None:
    code = "import sys, anifacediff.cli; print({'torch', 'diffusers', 'numpy', 'av'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"


def test_version_from_a_shell() -> None:
    found = subprocess.check_output([sys.executable, "-m", "anifacediff", "--version"], text=True)
    assert found == f"anifacediff {anifacediff.__version__}\n"


def test_help_teaches() -> None:
    code, text, _ = run("--help")
    assert code == 0
    assert "anifacediff animate avatar.png talk.mp4" in text
    assert "130 interrupted" in " ".join(text.split())
    for command in ("animate", "align", "plugins"):
        code, text, _ = run(command, "--help")
        assert code == 0
        assert command == "plugins" or f"anifacediff {command} avatar.png talk.mp4 -o" in text


def test_plugins_are_listed() -> None:
    code, text, _ = run("plugins")
    assert code == 0
    for word in ("anifacediff", "parametric", "span", "dlib", anifacediff.__version__, "ok"):
        assert word in text


def test_align_writes_the_driver_beside_its_maps(tmp_path: Path, driving: Path) -> None:
    code, _, told = run("align", AVATAR, driving, "-o", tmp_path / "out", "--maps", "normal,depth", "--size", 96)
    assert (code, f"face found in {FRAMES} of {FRAMES} frames" in told) == (0, True), told
    frames = list(VideoSource(tmp_path / "out"))
    assert len(frames) == FRAMES
    assert frames[0].shape == (96, 96 * 3 + 4, 3)
    driver, normal, depth = frames[0][:, :96], frames[0][:, 98:194], frames[0][:, 196:]
    assert (driver == 0).mean() < 0.01
    for drawn in (normal, depth):
        assert 0.3 < (drawn.sum(-1) > 0).mean() < 0.9
    assert (depth[..., 0] == depth[..., 2]).all()
    assert not (normal[..., 0] == normal[..., 2]).all()


def test_alignment_can_be_switched_off(tmp_path: Path, driving: Path) -> None:
    aligned = run("align", AVATAR, driving, "-o", tmp_path / "aligned", "--size", 64)
    plain = run(
        "align", AVATAR, driving, "-o", tmp_path / "plain", "--size", 64, "--no-align-shape", "--no-align-scale"
    )
    assert (aligned[0], plain[0]) == (0, 0)
    first, second = (next(iter(VideoSource(tmp_path / name))) for name in ("aligned", "plain"))
    assert (first[:, :64] == second[:, :64]).all()
    assert (first[:, 66:] != second[:, 66:]).any()


def test_animate_beside_its_inputs(tmp_path: Path, driving: Path) -> None:
    code, text, told = run("animate", AVATAR, driving, "-o", tmp_path / "out.mp4", "--compare", "--steps", 2)
    assert (code, text) == (0, ""), told
    assert "nano: a small model" in told
    result = VideoSource(tmp_path / "out.mp4")
    assert (result.fps, len(list(result))) == (24, FRAMES)
    assert result.size[1] == 4 * 256 + 3 * 2
    reference = next(iter(result))[-256:, :256].astype(float)
    assert np.abs(reference - read_image(AVATAR)).mean() < 30  # a crop of the avatar, near enough


def test_an_untrained_pipeline_says_so(tmp_path: Path, driving: Path) -> None:
    AniFaceDiffPipeline.untrained().save_pretrained(tmp_path / "pipeline")
    code, _, told = run(
        "animate", AVATAR, driving, "-o", tmp_path / "out", "--model", tmp_path / "pipeline", "--steps", 1
    )
    assert (code, "untrained: vae" in told, "nano" in told) == (0, True, False), told


@pytest.mark.parametrize("assembly", ["anifacediff", "animate_anyone", "magicportrait", "mimaface"])
def test_every_assembly_animates(assembly: str, tmp_path: Path, driving: Path) -> None:
    out = tmp_path / "out.mp4"
    code, _, told = run("animate", AVATAR, driving, "-o", out, "--assembly", assembly, "--steps", 1)
    assert (code, "untrained: vae" in told) == (0, True), told
    assert len(list(VideoSource(out))) == FRAMES


def test_animate_repeats_with_a_seed(tmp_path: Path, driving: Path) -> None:
    options = ("--steps", 1, "--start", "noise")
    seeds = {"first": 0, "again": 0, "other": 1}
    for name, seed in seeds.items():
        code, _, told = run("animate", AVATAR, driving, "-o", tmp_path / name, *options, "--seed", seed)
        assert code == 0, told
    first, again, other = (np.stack(list(VideoSource(tmp_path / name))) for name in seeds)
    assert first.shape == (FRAMES, 128, 128, 3)
    assert np.abs(first.astype(int) - again).max() <= 1  # the fit to landmarks may round differently
    assert np.abs(first.astype(int) - other).max() > 20


def test_still_as_driver(tmp_path: Path) -> None:
    code, _, told = run("align", AVATAR, AVATAR, "-o", tmp_path / "out.gif", "--size", 64, "--fps", 10)
    assert code == 0, told
    assert len(list(VideoSource(tmp_path / "out.gif"))) == 1


def test_exit_codes_and_one_red_line(tmp_path: Path, driving: Path) -> None:
    Image.new("RGB", (200, 200), "teal").save(tmp_path / "plain.png")
    out = tmp_path / "out.mp4"
    cases = {
        ("align", tmp_path / "none.png", driving, "-o", out): (3, "none.png: there is no such file"),
        ("align", tmp_path / "plain.png", driving, "-o", out): (3, "No face was found"),
        ("align", AVATAR, tmp_path / "plain.png", "-o", out): (3, "No face was found"),
        ("align", AVATAR, driving, "-o", out, "--maps", "colour"): (3, "colour"),
        ("align", AVATAR, driving, "-o", out, "--device", "abacus"): (3, "Try --device cpu"),
        ("align", AVATAR, driving, "-o", out, "--device", "meta"): (3, "Try --device cpu"),
        ("align", AVATAR, driving, "-o", out, "--face", 7): (3, "face=7"),
        ("align", AVATAR, driving, "-o", driving): (4, "the input itself"),
        ("align", AVATAR, driving, "-o", tmp_path / "out.xyz"): (4, "unknown suffix"),
        ("align", AVATAR, driving, "-o", tmp_path / ("x" * 300)): (4, "nothing can be written there"),
        ("align", AVATAR, driving, "-o", out, "--tracker", "eye"): (5, "nothing is called 'eye'"),
        ("align", AVATAR, driving, "-o", out, "--morphable-model", "x"): (5, "nothing is called 'x'"),
        ("animate", AVATAR, driving, "-o", out, "--model", tmp_path): (5, str(tmp_path)),
        ("align", AVATAR, driving): (2, "--output"),
        ("align", AVATAR, driving, "-o", out, "--missing", "never"): (2, "never"),
        ("align", AVATAR, driving, "-o", out, "--smooth", "nan"): (2, "--smooth"),
        ("align", AVATAR, driving, "-o", out, "--fps", "inf"): (2, "--fps"),
        ("animate", AVATAR, driving, "-o", out, "--seed", -1): (2, "--seed"),
        ("animate", AVATAR, driving, "-o", out, "--steps", 0): (2, "--steps"),
        ("animate", AVATAR, driving, "-o", out, "--steps", MAX_STREAMED_STEPS + 1): (2, "--steps"),
    }
    for arguments, (code, message) in cases.items():
        found, _, told = run(*arguments)
        assert (found, message in told) == (code, True), (arguments, told)
        assert "Traceback" not in told
    assert sorted(path.name for path in tmp_path.iterdir()) == ["driving.mp4", "plain.png"]


@pytest.mark.parametrize("command", ["align", "animate"])
def test_a_gif_that_is_too_fast_is_refused_before_tracking(tmp_path: Path, command: str) -> None:
    code, _, told = run(command, AVATAR, AVATAR, "-o", tmp_path / "out.gif", "--fps", 60)
    assert (code, "at most 50 frames per second" in told) == (4, True), told
    assert "face found" not in told


def test_the_driver_is_chosen_with_an_option_of_its_own(tmp_path: Path, driving: Path) -> None:
    with VideoWriter(tmp_path / "two.mp4", 24) as writer:
        for frame in VideoSource(driving):
            writer.write(np.hstack([frame, frame]))
    command = ("align", AVATAR, tmp_path / "two.mp4", "-o", tmp_path / "out", "--size", 64)
    code, _, told = run(*command)
    assert (code, "2 faces were found in frame 0" in told) == (3, True), told
    assert "--driving-face INDEX" in told
    code, _, told = run(*command, "--driving-face", 1)
    assert code == 0, told


def test_every_error_of_the_library_has_an_exit_code_of_its_kind() -> None:
    raised = [each for each in vars(errors).values() if isinstance(each, type) and each is not errors.AniFaceDiffError]
    assert errors.NotFiniteError in raised
    for error in raised:
        with pytest.raises(Exit) as caught, reported_errors(debug=False):
            raise error("told")
        assert caught.value.exit_code in (3, 4, 5), error


def test_commands_run_in_any_thread_and_leave_the_handler_of_signals_alone(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with ThreadPoolExecutor(1) as pool:
        code, text, told = pool.submit(run, "plugins").result()
    assert (code, "parametric" in text) == (0, True), told
    assert run("plugins")[0] == 0
    assert signal.getsignal(signal.SIGTERM) is before


def test_animate_tells_of_every_evaluation_and_decodes_the_clip_once(
    tmp_path: Path, driving: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings: list[Path] = []
    read = VideoSource.__iter__

    def counted(self: VideoSource) -> Iterator[np.ndarray]:
        readings.append(self.path)
        return read(self)

    monkeypatch.setattr(VideoSource, "__iter__", counted)
    code, _, told = run("animate", AVATAR, driving, "-o", tmp_path / "out.mp4", "--steps", 3)
    assert code == 0, told
    assert re.search(r"Animating \(windows x steps\) \S+ 3/3", told), told  # one window at each step
    assert readings == [driving]


def test_debug_shows_the_traceback(tmp_path: Path, driving: Path) -> None:
    code, _, told = run("align", tmp_path / "none.png", driving, "-o", tmp_path / "out.mp4", "--debug")
    assert code == 3
    assert "Traceback" in told


@pytest.mark.parametrize(("raised", "code"), [(RuntimeError("boom"), 1), (KeyboardInterrupt(), 130)])
def test_trouble_in_the_middle_leaves_nothing(
    tmp_path: Path, driving: Path, monkeypatch: pytest.MonkeyPatch, raised: BaseException, code: int
) -> None:
    write = VideoWriter.write

    def second_fails(self: VideoWriter, frame: np.ndarray) -> None:
        monkeypatch.setattr(VideoWriter, "write", fails)
        write(self, frame)

    def fails(self: VideoWriter, frame: np.ndarray) -> None:
        raise raised

    monkeypatch.setattr(VideoWriter, "write", second_fails)
    found, _, told = run("align", AVATAR, driving, "-o", tmp_path / "out.mp4", "--size", 64)
    assert found == code, told
    assert [path.name for path in tmp_path.iterdir()] == ["driving.mp4"]


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_a_request_to_terminate_leaves_nothing(tmp_path: Path) -> None:
    output = ["-o", tmp_path / "out.mp4", "--size", "1200"]
    command = [sys.executable, "-m", "anifacediff", "align", AVATAR, SAMPLES / "driving.mp4", *output]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 120
        while not list(tmp_path.iterdir()) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        process.terminate()
        _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert "nothing was written" in told
    assert list(tmp_path.iterdir()) == []


def test_a_face_that_is_not_found_is_told_with_its_file_and_can_be_boxed(tmp_path: Path, driving: Path) -> None:
    plain = tmp_path / "plain.png"
    Image.new("RGB", (200, 200), "gray").save(plain)
    out = tmp_path / "out"
    code, _, told = run("align", plain, driving, "-o", out, "--size", 64)
    assert code == 3
    assert str(plain) in told
    assert "--box" in told
    code, _, told = run("align", AVATAR, driving, "-o", out, "--size", 64, "--box", "60,70,190,200")
    assert code == 0, told
    for bad in ("60,70", "a,b,c,d", "60,70,50,60"):
        code, _, told = run("align", AVATAR, driving, "-o", tmp_path / "bad", "--box", bad)
        assert code == 3
        assert f"--box {bad}" in told
