"""AniFaceDiffPipeline on parameters by hand: frames stream out while later ones are still being denoised."""

import sys

import numpy as np
from PIL import Image
from tiny import portrait, save_clip, turning_head

from anifacediff.assemblies import AniFaceDiffPipeline
from anifacediff.media import SquareCrop, side_by_side, to_pictures
from anifacediff.tracking import TrackedImage

pipe = AniFaceDiffPipeline.untrained(image_size=128)
driving = turning_head(pipe.alignment.morphable_model, 12)
avatar = to_pictures(portrait())[0]
reference = TrackedImage(avatar, SquareCrop(64.0, 64.0, 128.0), driving[:1], reprojection_error=0.0)

frames: list[Image.Image] = []
for frame in pipe.stream(reference, driving, num_inference_steps=4, window_size=8, overlap=2):
    frames.append(Image.fromarray(side_by_side([avatar, frame.control, frame.image])))
    print(f"frame {len(frames)} of {len(driving)}, mean level {np.mean(frame.image):.0f}")
save_clip(frames, sys.argv[1] if len(sys.argv) > 1 else "pipeline.gif")
