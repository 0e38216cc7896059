"""PasteBack alone: an avatar's square with another expression, laid back; writes before, square and after."""

import sys

from anifacediff.media import PasteBack, SquareCrop, side_by_side, to_pictures, write_image
from anifacediff.synthetic import AvatarArtist, random_avatar, random_motion

artist, avatar = AvatarArtist(), random_avatar(3)
motion = artist.parameters(avatar, random_motion(3, 2, fps=0.5), size=256)
picture, moved = to_pictures(artist.draw(avatar, motion.seen_as(motion[:1])))

left, top, right, bottom = motion.box.corners[0].tolist()
crop = SquareCrop.around((left, top, right, bottom), margin=1.5)
square = crop.apply(moved, 128)  # in an application, what a pipeline drew of crop.apply(picture, 128)

paste = PasteBack(picture, [crop])  # several faces: several crops
frame = paste([square])

path = sys.argv[1] if len(sys.argv) > 1 else "paste_back.png"
write_image(path, side_by_side([picture, square, frame], height=256, labels=["before", "square", "after"]))
