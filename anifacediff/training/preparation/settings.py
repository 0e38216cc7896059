"""What decides how videos are prepared; written beside the shards, and compared when the work goes on."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, get_args

from anifacediff.errors import ConfigurationError, InputError
from anifacediff.writing import appearing

PictureFormat = Literal["png", "jpg"]
SETTINGS_FILE = "prepare.json"


@dataclass(frozen=True)
class Limits:
    """Which frames are taken.

    Attributes:
        pose: the most that a head is turned away from the camera, in degrees.
        sharpness: the least variance of the Laplacian of the crop's grey levels (0 to 255).
        face: the least mean of width and height of the face's box, in pixels of the video.
        misfit: the most that landmarks are off, as a share of the face's width.
        run: the least number of such frames in a row.

    Raises:
        InputError: if a limit is negative, or a run shorter than the two frames that training takes.
    """

    pose: float = 60.0
    sharpness: float = 20.0
    face: float = 96.0
    misfit: float = 0.15
    run: int = 16

    def __post_init__(self) -> None:
        if min(self.pose, self.sharpness, self.face, self.misfit) < 0 or self.run < 2:
            raise InputError(f"{self}: limits are not negative, and a run has two frames at least.")


@dataclass(frozen=True)
class Preparation:
    """How videos are prepared.

    Attributes:
        tracker: registered name of the tracker.
        morphable_model: registered name of the face model, that of the pipeline to be trained.
        image_size: height and width of the crops in pixels.
        margin: side of the crops over the size of a face.
        convention: named convention of the control maps; empty for a pipeline that has none.
        vae: fingerprint of the autoencoder whose latents are kept; empty if none are.
        smoothing: of the tracked motion, in frames.
        clip_frames: the most frames in a clip; longer runs are cut.
        pictures: how the crops are kept; the control maps are PNG.
        limits: which frames are taken.
    """

    tracker: str
    morphable_model: str
    image_size: int
    margin: float
    convention: str = ""
    vae: str = ""
    smoothing: float = 1.0
    clip_frames: int = 64
    pictures: PictureFormat = "png"
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if self.clip_frames < self.limits.run:
            raise InputError(f"clip_frames={self.clip_frames}: is less than the shortest run of {self.limits.run}.")
        if self.pictures not in get_args(PictureFormat):
            raise InputError(f"pictures: expected one of {', '.join(get_args(PictureFormat))}, found {self.pictures!r}")

    def claim(self, folder: Path) -> None:
        """Begin a prepared set in a folder, or go on with the one that is there.

        Raises:
            ConfigurationError: if it was begun in another way.
        """
        path = folder / SETTINGS_FILE
        if not path.is_file():
            folder.mkdir(parents=True, exist_ok=True)
            with appearing(path) as partial:
                partial.write_text(json.dumps(asdict(self), indent=2) + "\n")
        found = Preparation.of(folder)  # perhaps another process was faster
        if found != self:
            raise ConfigurationError(f"{folder}: was prepared with {found}, not with {self}; use another folder.")

    @classmethod
    def of(cls, folder: Path) -> "Preparation":
        """How a folder was prepared.

        Raises:
            InputError: if it was not.
        """
        try:
            found = json.loads((folder / SETTINGS_FILE).read_text())
            return cls(**found | {"limits": Limits(**found["limits"])})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{folder}: holds no prepared videos ({error}); make them with `anifacediff prepare`."
            ) from error
