import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from prepared_clips import some_clip
from webdataset.compat import WebDataset

from anifacediff.assemblies import AniFaceDiffPipeline
from anifacediff.errors import ConfigurationError, InputError, MediaError
from anifacediff.media import VideoWriter, to_pictures
from anifacediff.synthetic.artist import AvatarArtist
from anifacediff.synthetic.casting import random_avatar
from anifacediff.synthetic.motion import random_motion
from anifacediff.tracking.contracts import DetectedFace
from anifacediff.training.full.clips import PreparedSet
from anifacediff.training.latents import fingerprint
from anifacediff.training.preparation.reports import Summary, VideoReport, read_reports
from anifacediff.training.preparation.settings import Limits, Preparation
from anifacediff.training.preparation.shards import PreparedClip, write_shard
from anifacediff.training.preparation.videos import Studio, find_videos, prepare_videos, shared_out

SIZE, FRAMES = 64, 5
HOW = Preparation(
    "drawn", "expressive", SIZE, 1.8, "anifacediff", clip_frames=4, limits=Limits(face=10.0, sharpness=1.0, run=2)
)


@pytest.fixture(scope="module")
def pipe() -> AniFaceDiffPipeline:
    return AniFaceDiffPipeline.untrained(seed=0, image_size=SIZE, morphable_model="expressive")


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn avatar, a damaged file, and a file that is no video."""
    folder = tmp_path_factory.mktemp("videos")
    artist, avatar = AvatarArtist(supersampling=1), random_avatar(1)
    motion = artist.parameters(avatar, random_motion(1, FRAMES), size=SIZE)
    (folder / "more").mkdir()
    with VideoWriter(folder / "more" / "an avatar.mp4", Fraction(25)) as writer:
        for frame in to_pictures(artist.draw(avatar, motion)):
            writer.write(frame)
    (folder / "broken.mp4").write_bytes(b"no video" * 50)
    (folder / "notes.txt").write_text("not looked at")
    return folder


@pytest.fixture(scope="module")
def prepared(videos: Path, pipe: AniFaceDiffPipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    studio = Studio(replace(HOW, vae=fingerprint(pipe.vae)), pipe)
    list(prepare_videos(find_videos(videos), videos, folder, studio))
    return folder


def test_what_is_left_out_is_told_with_a_reason(prepared: Path):
    avatar, broken = read_reports(prepared)
    assert (avatar.video, avatar.frames, avatar.clips, avatar.left_out) == ("more/an avatar.mp4", 5, [4], {"short": 1})
    assert (broken.video, broken.refused) == ("broken.mp4", "unreadable")
    assert "broken.mp4" in broken.message
    summary = Summary.of([avatar, broken])
    assert (summary.videos, summary.clips, summary.frames) == (2, 1, 4)
    assert summary.refused == {"unreadable": ["broken.mp4"]}
    assert "1 short" in str(summary)


def test_webdataset_reads_the_shards(prepared: Path):
    (shard,) = (prepared / "shards").glob("*.tar")
    read: Any = WebDataset(str(shard), shardshuffle=False).decode("rgb8")
    (sample,) = read
    assert sample["facts.json"] == {"video": "more/an avatar.mp4", "first": 0, "frames": 4}
    assert sample["picture.0003.png"].shape == sample["normal.0000.png"].shape == (SIZE, SIZE, 3)
    clip = PreparedSet.open(prepared)[0].clips[0]
    assert np.array_equal((clip.pictures([3])[0].permute(1, 2, 0) * 255).round().byte(), sample["picture.0003.png"])


def test_latents_and_maps_are_those_of_the_pipeline(prepared: Path, pipe: AniFaceDiffPipeline):
    clip = PreparedSet.open(prepared)[0].clips[0]
    latents = clip.latents()
    assert latents is not None
    with torch.no_grad():
        torch.testing.assert_close(latents, pipe.encode(clip.pictures(range(4))), atol=2e-3, rtol=1e-3)
    drawn = clip.pictures(range(4), "normal")
    assert 0.05 < (drawn.sum(1) > 0).float().mean() < 0.9
    assert clip.parameters()["expression_code"].shape == (4, pipe.expression_adapter.expression_dim)


def test_a_finished_video_is_not_done_again_and_a_lost_one_becomes_the_same(
    prepared: Path, videos: Path, pipe: AniFaceDiffPipeline
):
    before = read_reports(prepared)
    asked: list[int] = []

    def tracker(image: np.ndarray) -> tuple[DetectedFace, ...]:
        asked.append(len(asked))
        return ()

    how = replace(HOW, vae=fingerprint(pipe.vae))
    done = list(prepare_videos(find_videos(videos), videos, prepared, Studio(how, pipe, tracker)))
    assert sorted(done, key=lambda report: report.key) == before
    assert not asked
    (prepared / "videos" / f"{before[0].key}.json").unlink()
    list(prepare_videos(find_videos(videos), videos, prepared, Studio(how, pipe)))
    assert read_reports(prepared) == before  # the digest of the shard among it
    with pytest.raises(ConfigurationError, match="another folder"):
        list(prepare_videos(find_videos(videos), videos, prepared, Studio(replace(how, margin=1.5), pipe)))


def test_faces_that_are_not_one_are_told(videos: Path, pipe: AniFaceDiffPipeline, tmp_path: Path):
    face = DetectedFace.at(np.random.default_rng(0).uniform(10, 40, (68, 2)))
    for faces, reason in (((), "no_face"), ((face, face), "several_faces")):
        studio = Studio(HOW, pipe, lambda image, faces=faces: faces)
        report = studio.prepare(videos / "more" / "an avatar.mp4", "a", "a", tmp_path / "a.tar")
        assert report.refused == reason
    strict = Studio(replace(HOW, limits=Limits(face=1000.0, run=2)), pipe)
    report = strict.prepare(videos / "more" / "an avatar.mp4", "a", "a", tmp_path / "a.tar")
    assert (report.refused, report.left_out) == ("nothing_left", {"small": FRAMES})
    assert not (tmp_path / "a.tar").exists()


def test_a_shard_appears_whole_or_not_at_all(tmp_path: Path):
    def breaking():
        yield some_clip("a-0000", 0)
        raise MediaError("the video breaks off")

    with pytest.raises(MediaError, match="breaks off"):
        write_shard(tmp_path / "a.tar", breaking(), "png")
    assert list(tmp_path.iterdir()) == []


def test_jpeg_is_smaller_and_near(tmp_path: Path):
    ramp = np.broadcast_to(np.arange(0, 256, 8, dtype=np.uint8)[:, None, None], (32, 32, 3))
    clip = replace(some_clip("a", 0), pictures=np.stack([ramp] * 6))
    assert isinstance(clip, PreparedClip)
    png, jpg = (clip.sample(kind) for kind in ("png", "jpg"))
    assert png.keys() != jpg.keys()
    assert "normal.0000.png" in jpg


def test_shares_are_every_video_once():
    videos = [Path(f"{number}.mp4") for number in range(5)]
    shares = [shared_out(videos, share, 3) for share in range(3)]
    assert sorted(video for share in shares for video in share) == videos
    for wrong in (3, -1):
        with pytest.raises(InputError, match="from 0 to 2"):
            shared_out(videos, wrong, 3)


def test_a_folder_without_videos_is_refused(tmp_path: Path):
    with pytest.raises(MediaError, match="no videos"):
        find_videos(tmp_path)


def test_reports_survive_their_files(tmp_path: Path):
    report = VideoReport("v.mp4", "v", 3, [3], {"pose": 2}, None, "", "abc")
    report.write(tmp_path)
    assert read_reports(tmp_path) == [report]
    assert json.loads((tmp_path / "videos" / "v.json").read_text())["left_out"] == {"pose": 2}
