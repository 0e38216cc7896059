"""PlaneSweep alone: a drawn avatar, moved as head and body move at several depths; writes all of them and truth."""

import sys

import torch

from anifacediff.conditioning import PlaneSweep
from anifacediff.media import side_by_side, to_pictures, write_image
from anifacediff.synthetic import AvatarArtist, ExpressiveHead, random_avatar, random_motion

artist, avatar = AvatarArtist(), random_avatar(3)
motion = artist.parameters(avatar, random_motion(3, 2, fps=0.5), size=128)
reference, truth = artist.draw(avatar, motion).split(1)

sweep = PlaneSweep(ExpressiveHead(), image_size=128, depths=(0.0, 0.5, 1.0))  # any MorphableModel
planes = sweep(reference, motion[:1], motion[1:])  # f p 3 h w: each is right for what lies as deep

pictures = to_pictures(torch.cat([reference, planes[0], truth]))
path = sys.argv[1] if len(sys.argv) > 1 else "plane_sweep.png"
labels = ["reference", *(f"head {depth}" for depth in sweep.depths), *(f"body {d}" for d in sweep.body_depths), "truth"]
write_image(path, side_by_side(list(pictures), labels=labels))
