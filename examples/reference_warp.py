"""ReferenceWarp alone: a drawn avatar's own pixels, moved to another pose; writes reference, warp and truth."""

import sys

import torch

from anifacediff.conditioning import ReferenceWarp
from anifacediff.media import side_by_side, to_pictures, write_image
from anifacediff.synthetic import AvatarArtist, ExpressiveHead, random_avatar, random_motion

artist, avatar = AvatarArtist(), random_avatar(3)
motion = artist.parameters(avatar, random_motion(3, 2, fps=0.5), size=128)
reference, truth = artist.draw(avatar, motion).split(1)

warp = ReferenceWarp(ExpressiveHead(), image_size=128)  # any MorphableModel, any Rasterizer
warped = warp(reference, motion[:1], motion[1:])  # warped.image: f 3 h w; warped.shown: where the reference shows it

pictures = to_pictures(torch.cat([reference, warped.image, truth]))
path = sys.argv[1] if len(sys.argv) > 1 else "reference_warp.png"
write_image(path, side_by_side(list(pictures), labels=["reference", "warped", "truth"]))
