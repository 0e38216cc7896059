"""Draw the bundled samples: an avatar and a driving clip, of people whom nothing was trained on.

    python examples/media/make_samples.py [FOLDER]

Nobody's face is in them. The dlib tracker finds the face in every frame.
"""

import sys
from pathlib import Path

from anifacediff.media import VideoWriter, write_image
from anifacediff.media.pictures import to_pictures
from anifacediff.synthetic import AvatarArtist, random_avatar, random_motion

AVATAR, MOMENT = 40_011, 1
DRIVER, FRAMES, FPS = 40_007, 72, 24
SIZE = 256


def main(folder: Path) -> None:
    artist = AvatarArtist()
    avatar, driver = random_avatar(AVATAR), random_avatar(DRIVER)
    posing = artist.parameters(avatar, random_motion(AVATAR, 6, fps=0.5), size=SIZE)
    write_image(folder / "avatar.png", to_pictures(artist.draw(avatar, posing[MOMENT : MOMENT + 1]))[0])
    talking = artist.parameters(driver, random_motion(DRIVER, FRAMES, fps=FPS), size=SIZE)
    with VideoWriter(folder / "driving.mp4", FPS) as video:
        for picture in to_pictures(artist.draw(driver, talking)):
            video.write(picture)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
