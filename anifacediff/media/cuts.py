"""Where one shot of a clip ends and the next begins."""

from collections import deque

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image

from anifacediff.media.images import check_picture

_SIZE = 32  # pixels of the small pictures that are compared
_REMEMBERED = 8  # frames
_LEAST = 15.0  # of 255: how much the pixels of a cut differ at least, on average
_RATIO = 3.0  # how much more than the movement before it


class SceneCuts:
    """Finds cuts while frames pass by; looks at no later frame and keeps none but a small one.

    A frame begins a new shot if its small picture differs from the one before by at least 15 of 255 on average, and by
    three times as much as is usual in the shot so far: so movement, however quick, is no cut. Cuts between pictures
    that hardly differ, fades, and shots of one or two frames are not found; a flash looks like a cut.

    Source: the rule, and both its numbers, are those of the adaptive detector of PySceneDetect, on RGB in place of HSV
    and with the median of the frames before in place of the mean of both sides.
    """

    def __init__(self) -> None:
        self._last: Float32[np.ndarray, "32 32 3"] | None = None
        self._usual: deque[float] = deque(maxlen=_REMEMBERED)

    def __call__(self, frame: UInt8[np.ndarray, "h w 3"]) -> bool:
        """Take the next frame: h w 3, RGB; whether it begins a new shot. The first of a clip does not.

        Raises:
            ShapeError: if it is not h w 3 bytes.
        """
        check_picture("frame", frame)
        small = np.asarray(Image.fromarray(frame).resize((_SIZE, _SIZE), Image.Resampling.BOX), np.float32)
        last, self._last = self._last, small
        if last is None:
            return False
        change = float(abs(small - last).mean())
        usual = float(np.median(self._usual)) if self._usual else 0.0
        is_cut = change >= max(_LEAST, _RATIO * usual)
        if is_cut:
            self._usual.clear()
        self._usual.append(change)  # of a cut, too: until the new shot has shown how much it moves
        return is_cut
