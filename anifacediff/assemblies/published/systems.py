"""The systems whose checkpoints can be converted, and how their files are found in what was downloaded."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from anifacediff.assemblies.published.aniportrait import convert_aniportrait
from anifacediff.assemblies.published.magicportrait import GUIDANCE_FILES, convert_magicportrait
from anifacediff.assemblies.published.mimaface import convert_mimaface
from anifacediff.assemblies.published.moore import convert_moore
from anifacediff.errors import InputError

Convert: TypeAlias = Callable[[Mapping[str, Path], Path], dict[str, tuple[str, ...]]]
"""Writes a folder from the files by their names, and returns the keys that are not used, part by part."""

_UNETS = {
    "denoising_unet": ("denoising_unet.pth", "denoising_unet.safetensors"),
    "reference_unet": ("reference_unet.pth", "reference_unet.safetensors"),
    "motion_module": ("motion_module*.pth", "motion_module*.safetensors"),
}


@dataclass(frozen=True)
class PublishedSystem:
    """One system.

    Attributes:
        convert: writes its parts.
        files: patterns of each file's path, as its authors lay them out; the first that fits counts.
    """

    convert: Convert
    files: Mapping[str, tuple[str, ...]]

    def find(self, sources: Sequence[Path]) -> dict[str, Path]:
        """Find the files of the system among files, and in folders; those that are not found are left out.

        Raises:
            InputError: if several files could be meant, or a source does not exist.
        """
        missing = [source for source in sources if not source.exists()]
        if missing:
            raise InputError(f"{missing[0]}: there is no such file or folder.")
        given = [path for source in sources for path in (source.rglob("*") if source.is_dir() else (source,))]
        found = {name: _only(name, patterns, sorted(given)) for name, patterns in self.files.items()}
        return {name: path for name, path in found.items() if path is not None}


SYSTEMS: Mapping[str, PublishedSystem] = {
    "magicportrait": PublishedSystem(
        convert_magicportrait,
        {**_UNETS, **{file: (f"{file}.pth", f"{file}.safetensors") for file in GUIDANCE_FILES.values()}},
    ),
    "mimaface": PublishedSystem(
        convert_mimaface,
        {
            "unet": ("image/pretrained_unet/unet.pth", "image/pretrained_unet/*.safetensors", "unet.pth"),
            "3dunet": ("3dunet.pth", "3dunet.safetensors"),
            "mim": ("video/mim.pth", "mim.pth"),
        },
    ),
    "moore-animateanyone": PublishedSystem(convert_moore, {**_UNETS, "pose_guider": ("pose_guider.pth",)}),
    "aniportrait": PublishedSystem(convert_aniportrait, {**_UNETS, "pose_guider": ("pose_guider.pth",)}),
}


def _only(name: str, patterns: tuple[str, ...], given: Sequence[Path]) -> Path | None:
    for pattern in patterns:
        fitting = [path for path in given if path.match(pattern)]
        if len(fitting) > 1:
            raise InputError(f"{name}: could be any of {', '.join(map(str, fitting))}; give the files one by one.")
        if fitting:
            return fitting[0]
    return None
