"""Clips in tar files that webdataset reads, too.

A clip is a sample of its shard. Its files are::

    KEY.facts.json                 video, first frame, number of frames
    KEY.parameters.safetensors     the face in every frame: shape, expression, pose, box, ...
    KEY.latents.safetensors        latents of every frame in float16, if they were asked for
    KEY.picture.0000.png           the crops (or .jpg)
    KEY.normal.0000.png            the control maps: normal, depth, shaded, as the pipeline draws them
"""

import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from safetensors.torch import save

from anifacediff.errors import AniFaceDiffError, ConfigurationError, OutputError
from anifacediff.geometry.faces import FaceParameters
from anifacediff.shapes import Float, Tensor
from anifacediff.training.preparation.settings import PictureFormat
from anifacediff.writing import appearing

FOLDER = "shards"
_QUALITY = 95


@dataclass(frozen=True)
class PreparedClip:
    """A clip, ready to be written.

    Attributes:
        key: its name.
        video: path of the video it is from.
        first: number of its first frame there.
        pictures: f h w 3, the crops.
        maps: f h w 3 of each kind, the control maps.
        parameters: the face in every frame, in pixels of the crop.
        latents: of every frame, if they are kept.
    """

    key: str
    video: str
    first: int
    pictures: UInt8[np.ndarray, "f h w 3"]
    maps: Mapping[str, UInt8[np.ndarray, "f h w 3"]]
    parameters: FaceParameters
    latents: Float[Tensor, "f c h2 w2"] | None

    def sample(self, pictures: PictureFormat) -> dict[str, object]:
        """The clip's files by their suffix, as webdataset writes them."""
        facts = {"video": self.video, "first": self.first, "frames": len(self.pictures)}
        files: dict[str, object] = {
            "__key__": self.key,
            "facts.json": json.dumps(facts).encode(),
            "parameters.safetensors": save(named_tensors(self.parameters)),
        }
        if self.latents is not None:
            files["latents.safetensors"] = save({"latents": self.latents.half().cpu().contiguous()})
        for kind, frames in {"picture": self.pictures, **self.maps}.items():
            suffix: PictureFormat = pictures if kind == "picture" else "png"
            files |= {f"{kind}.{number:04d}.{suffix}": _encoded(frame, suffix) for number, frame in enumerate(frames)}
        return files


def write_shard(path: Path, clips: Iterable[PreparedClip], pictures: PictureFormat) -> str:
    """Write a tar file, which appears whole or not at all.

    Args:
        path: of the file.
        clips: what is in it; the next is asked for when the one before is written.
        pictures: how the crops are kept.

    Returns:
        A digest of the file.

    Raises:
        OutputError: if it cannot be written.
        ConfigurationError: if webdataset is not installed.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with appearing(path) as partial:
            with partial.open("wb") as file:
                _fill(file, (clip.sample(pictures) for clip in clips))
            return hashlib.sha256(partial.read_bytes()).hexdigest()[:16]
    except AniFaceDiffError:  # of what the clips are made from
        raise
    except OSError as error:
        raise OutputError(f"{path}: the shard cannot be written ({error}).") from error


def named_tensors(parameters: FaceParameters) -> dict[str, Tensor]:
    """The tensors of parameters by name, those of camera and box under the field's name."""
    found: dict[str, Tensor] = {"expression_code": parameters.expression_code.contiguous()}
    for name, value in _named(parameters):
        if isinstance(value, Tensor):
            found[name] = value.contiguous()
        elif is_dataclass(value):
            parts = _named(value)
            found |= {f"{name}.{part}": each.contiguous() for part, each in parts if isinstance(each, Tensor)}
    return found


def _named(value: object) -> Iterator[tuple[str, object]]:
    assert is_dataclass(value)
    for field in fields(value):
        yield field.name, getattr(value, field.name)


def _fill(file: io.BufferedWriter, samples: Iterable[dict[str, object]]) -> None:
    try:
        from webdataset.writer import TarWriter
    except ImportError as error:
        raise ConfigurationError('webdataset is not installed: pip install "anifacediff[train]".') from error
    with TarWriter(file, mtime=0) as writer:  # no times, so that the same clips are the same bytes
        for sample in samples:
            writer.write(sample)


def _encoded(picture: UInt8[np.ndarray, "h w 3"], suffix: PictureFormat) -> bytes:
    stream = io.BytesIO()
    options = {"quality": _QUALITY, "subsampling": 0} if suffix == "jpg" else {"compress_level": 4}
    Image.fromarray(picture).save(stream, "JPEG" if suffix == "jpg" else "PNG", **options)
    return stream.getvalue()
