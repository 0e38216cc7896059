"""A camera drives an avatar: frames in, frames out; what comes too fast is dropped, so nothing that is seen is old.

    python examples/webcam.py OUTPUT [CAMERA]

CAMERA is ``/dev/video0`` on Linux, ``0`` on macOS, ``video=NAME`` on Windows; Ctrl-C ends it. Without one, the bundled
clip is played at its own speed. The output, of 24 frames per second, shows in place of a dropped frame
the result after it.
"""

import sys
from contextlib import suppress
from pathlib import Path

from anifacediff.assemblies import AniFaceDiffPipeline
from anifacediff.geometry import LandmarkedModel
from anifacediff.live import FrameAnimator, LiveRun, LiveTracker, at_own_speed, camera_frames
from anifacediff.media import VideoSource, VideoWriter, read_image, side_by_side
from anifacediff.provenance import SpreadMark
from anifacediff.tracking import default_tracker, track_image

if len(sys.argv) < 2:
    sys.exit(__doc__)
media = Path(__file__).parent / "media"
source = camera_frames(sys.argv[2]) if len(sys.argv) > 2 else at_own_speed(VideoSource(media / "driving.mp4"))

pipe, tracker = AniFaceDiffPipeline.nano(), default_tracker()
head, margin = pipe.alignment.morphable_model, pipe.config["crop_margin"]
assert isinstance(head, LandmarkedModel)
avatar = track_image(read_image(media / "avatar.png"), tracker=tracker, model=head, margin=margin)
face = LiveTracker(tracker, head, margin=margin)
animator = FrameAnimator(pipe, avatar, face, num_inference_steps=2, mark=SpreadMark())

with VideoWriter(sys.argv[1], 24) as video, LiveRun(source, animator) as run, suppress(KeyboardInterrupt):
    written = 0
    for shown in run:
        picture = side_by_side([shown.source, shown.result.control, shown.result.image], height=128)
        for _ in range(written, shown.number + 1):
            video.write(picture)
        written = shown.number + 1
        print(f"frame {shown.number}: {1000 * shown.latency:.0f} ms after it came, {run.dropped} dropped so far")
