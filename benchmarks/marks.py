"""How often the built-in mark is found in clips that nano made, how often where there is none, and what marking costs.

    OMP_NUM_THREADS=1 python benchmarks/marks.py --cache clips

Clips show the drawn avatars that are kept for evaluation, half under their own motion and half under someone else's, by
their true parameters, denoised in 2 steps. They are kept in the folder of ``--cache``, so that a run that was cut off
goes on. Every clip is marked and then encoded with H.264 (CRF 28, libx264's other settings as they are), scaled to
75 %, both, or scaled to 150 pixels and pasted into a picture of 320 x 240 that is encoded. Unmarked frames are looked
at one by one, each as a clip of its own, with the search for pasted squares.
"""

import argparse
import io
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image

from anifacediff.assemblies import AniFaceDiffPipeline
from anifacediff.evaluation import psnr
from anifacediff.evaluation.scenes import find_suite
from anifacediff.media import to_pictures
from anifacediff.media.pictures import to_images
from anifacediff.provenance import MarkEvidence, SpreadMark

Clip = UInt8[np.ndarray, "f h w 3"]
SIZE, SMALLER, PASTED = 128, 96, 150


def make_clips(folder: Path, clips: int, frames: int) -> Iterator[tuple[Clip, Clip]]:
    """Each clip as nano makes it and as it is drawn; read from the folder where it is there."""
    folder.mkdir(exist_ok=True)
    files = [folder / f"{number:03d}-{frames}.npz" for number in range(clips)]
    if not all(file.exists() for file in files):
        pipe = AniFaceDiffPipeline.nano()
        pipe.set_progress_bar_config(disable=True)
        suite = find_suite("nano", identities=(clips + 1) // 2, drivers=1, frames=frames - 1, size=SIZE)
        for file, scene in zip(files, suite.scenes(), strict=False):
            if not file.exists():
                made = pipe.stream(scene.portrait, scene.driving, num_inference_steps=2)
                generated = np.stack([frame.image for frame in made])
                partial = file.with_suffix(".partial.npz")
                np.savez(partial, generated=generated, drawn=to_pictures(scene.truth))
                partial.replace(file)
    for file in files:
        with np.load(file) as arrays:
            yield arrays["generated"], arrays["drawn"]


def encoded(clip: Clip, crf: int = 28) -> Clip:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=8, options={"crf": str(crf)})
        stream.height, stream.width, stream.pix_fmt = clip.shape[1], clip.shape[2], "yuv420p"
        for frame in clip:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file, "r") as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]).astype(np.uint8)


def scaled(clip: Clip, side: int) -> Clip:
    return np.stack([np.array(Image.fromarray(frame).resize((side, side))) for frame in clip])


def pasted(clip: Clip) -> Clip:
    """In the same still picture of blobs, 320 x 240, at the same place."""
    coarse = np.random.default_rng(0).integers(0, 256, (18, 24, 3), dtype=np.uint8)
    picture = np.array(Image.fromarray(coarse).resize((320, 240), Image.Resampling.BICUBIC))
    full = np.repeat(picture[None], len(clip), axis=0)
    full[:, 41 : 41 + PASTED, 93 : 93 + PASTED] = scaled(clip, PASTED)
    return full


def same(clip: Clip) -> Clip:
    return clip


AFTER: dict[str, Callable[[Clip], Clip]] = {
    "as it is": same,
    "H.264, CRF 28": encoded,
    "scaled to 75 %": lambda clip: scaled(clip, SMALLER),
    "scaled to 75 %, then H.264, CRF 28": lambda clip: encoded(scaled(clip, SMALLER)),
    "scaled, pasted, then H.264, CRF 23": lambda clip: encoded(pasted(clip), 23),
}


def seconds_to_mark(mark: SpreadMark, clip: Clip) -> float:
    """Of processor time, for a frame that comes alone, as in a stream."""
    began = time.process_time()
    mark.embed(clip[:1])
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=100)
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--unmarked", type=int, default=1000)
    given = parser.parse_args()
    torch.set_num_threads(1)
    mark = SpreadMark()
    clips = list(make_clips(given.cache, given.clips, given.frames))
    marked = [mark.embed(generated) for generated, _ in clips]
    least = min(
        float(psnr(to_images(after), to_images(before)).min()) for after, (before, _) in zip(marked, clips, strict=True)
    )
    costs = [seconds_to_mark(mark, generated) for generated, _ in clips]
    print(f"{len(clips)} clips of {given.frames} frames; PSNR of marking, the least of all frames: {least:.2f} dB")
    print(f"marking a frame: {1000 * np.median(costs):.1f} ms; threshold {mark.detect(clips[0][0][:1]).threshold}")
    print(
        "| after | found | least score | median score | ms to look at a clip |\n|---|---:|---:|---:|---:|", flush=True
    )
    for name, change in AFTER.items():
        evidence: list[MarkEvidence] = []
        seconds: list[float] = []
        for clip in marked:
            after = change(clip)
            began = time.process_time()
            evidence.append(mark.detect(after))
            seconds.append(time.process_time() - began)
        scores = [each.score for each in evidence]
        found = sum(each.found for each in evidence)
        milliseconds = 1000 * np.median(seconds)
        print(f"| {name} | {found} | {min(scores):.1f} | {np.median(scores):.1f} | {milliseconds:.0f} |", flush=True)
    plain = [frame for both in clips for clip in both for frame in clip]
    step = max(1, len(plain) // given.unmarked)
    looked = [mark.detect([frame]) for frame in plain[::step][: given.unmarked]]
    highest = max(each.score for each in looked)
    print(f"unmarked frames, generated and drawn: {sum(each.found for each in looked)} of {len(looked)} false alarms; ")
    print(f"highest score {highest:.1f}", flush=True)


if __name__ == "__main__":
    main()
