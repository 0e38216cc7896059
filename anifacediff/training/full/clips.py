"""Prepared clips, read from their shards in any order."""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.torch import load

from anifacediff.errors import InputError, MediaError
from anifacediff.media.pictures import to_images
from anifacediff.shapes import Float, Tensor
from anifacediff.training.preparation.reports import VideoReport, read_reports
from anifacediff.training.preparation.settings import Preparation
from anifacediff.training.preparation.shards import FOLDER

KINDS = ("normal", "depth", "shaded")


@dataclass(frozen=True)
class StoredClip:
    """A clip in a shard; its files are found by the tar file's own table, and read one by one.

    Attributes:
        key: its name.
        shard: the tar file.
        frames: how many it has.
    """

    key: str
    shard: Path
    frames: int

    def pictures(self, frames: Sequence[int], kind: str = "picture") -> Float[Tensor, "f 3 h w"]:
        """Crops or control maps of some frames, RGB in [0, 1].

        Raises:
            MediaError: if the shard is damaged.
        """
        suffix = next(name.rpartition(".")[2] for name in self._names if name.startswith(f"{self.key}.{kind}."))
        stored = [self._read(f"{kind}.{frame:04d}.{suffix}") for frame in frames]
        return to_images(np.stack([np.array(Image.open(io.BytesIO(content))) for content in stored]))

    @property
    def kinds(self) -> tuple[str, ...]:
        """The control maps that there are."""
        return tuple(kind for kind in KINDS if any(name.startswith(f"{self.key}.{kind}.") for name in self._names))

    def latents(self) -> Float[Tensor, "f c h w"] | None:
        """Latents of all frames, if they are kept."""
        if f"{self.key}.latents.safetensors" not in self._names:
            return None
        return load(self._read("latents.safetensors"))["latents"].float()

    def parameters(self) -> dict[str, Tensor]:
        """The face in every frame, see :func:`~anifacediff.training.preparation.shards.named_tensors`."""
        return load(self._read("parameters.safetensors"))

    @property
    def _names(self) -> Mapping[str, tuple[int, int]]:
        return _table(self.shard)

    def _read(self, suffix: str) -> bytes:
        try:
            offset, size = self._names[f"{self.key}.{suffix}"]
            with self.shard.open("rb") as file:
                file.seek(offset)
                return file.read(size)
        except (OSError, KeyError) as error:
            raise MediaError(
                f"{self.shard}: cannot be read ({error}). Remove it and its note in videos/, and prepare again."
            ) from error


@dataclass(frozen=True)
class PreparedSet:
    """The clips of a prepared folder.

    Attributes:
        preparation: how it was made.
        clips: in the order of their names.
        digest: of what the shards hold.
    """

    preparation: Preparation
    clips: tuple[StoredClip, ...] = field(repr=False)
    digest: str

    @classmethod
    def open(cls, folder: Path, *, held_out: int = 0) -> tuple["PreparedSet", "PreparedSet"]:
        """Open what `anifacediff prepare` wrote.

        Args:
            folder: the prepared folder.
            held_out: how many videos, the last by name, are for validation.

        Returns:
            The set to learn from, and the one to look at.

        Raises:
            InputError: if nothing is there, or nothing is left to learn from.
        """
        preparation = Preparation.of(folder)
        kept = [report for report in read_reports(folder) if report.clips]
        if len(kept) <= held_out:
            raise InputError(
                f"{folder}: {len(kept)} videos have clips, and {held_out} are held out, so none is left to learn from; "
                "see its report.json for what was left out and why."
            )
        split = len(kept) - held_out
        return tuple(cls._of(preparation, folder, part) for part in (kept[:split], kept[split:]))  # pyright: ignore[reportReturnType]

    @classmethod
    def _of(cls, preparation: Preparation, folder: Path, reports: Sequence[VideoReport]) -> "PreparedSet":
        clips = tuple(
            StoredClip(f"{report.key}-{number:04d}", folder / FOLDER / f"{report.key}.tar", frames)
            for report in reports
            for number, frames in enumerate(report.clips)
        )
        listed = json.dumps([(report.key, report.digest) for report in reports])
        return cls(preparation, clips, hashlib.sha256(listed.encode()).hexdigest()[:16])


@lru_cache(maxsize=4096)
def _table(shard: Path) -> Mapping[str, tuple[int, int]]:
    """Where each file of a tar file begins, and how long it is."""
    try:
        with tarfile.open(shard, "r:") as archive:
            return {member.name: (member.offset_data, member.size) for member in archive}
    except (OSError, tarfile.TarError) as error:
        raise MediaError(
            f"{shard}: cannot be read ({error}). Remove it and its note in videos/, and prepare again."
        ) from error
