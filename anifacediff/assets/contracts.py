"""What a plugin says about the files that it needs and may not bring along."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from numpy.typing import NDArray

Commercial = Literal["yes", "no", "ask"]
Fact: TypeAlias = str | int | float | bool | list[int] | list[float] | list[str]


@dataclass(frozen=True)
class Licence:
    """On which terms a file may be used.

    Attributes:
        name: as its authors call it.
        commercial: whether commercial use is allowed; ``"ask"``: only by agreement with its authors.
        url: where the terms are.
    """

    name: str
    commercial: Commercial
    url: str


@dataclass(frozen=True)
class AssetFile:
    """One file, as its authors hand it out.

    Attributes:
        name: of the file; ``*`` stands for anything, as in a shell.
        sha256: of its contents in hexadecimal, if all copies are alike; None if that is not known.
        most_bytes: a larger file is refused.
    """

    name: str
    sha256: str | None = None
    most_bytes: int = 2**30


@dataclass(frozen=True)
class Converted:
    """What remains of foreign files: arrays for safetensors, and facts for JSON.

    Attributes:
        tensors: by name.
        facts: by name: sizes, names of joints, versions.
    """

    tensors: Mapping[str, NDArray[Any]]
    facts: Mapping[str, Fact] = field(default_factory=dict[str, Fact])


@dataclass(frozen=True)
class Asset:
    """Files that make one component work.

    Attributes:
        name: on the command line, and of the folder that it is converted into.
        purpose: what needs it, in one line.
        source: where it is obtained, in one line.
        licence: the terms.
        files: what ``convert`` reads.
        convert: reads the files (paths in the order of ``files``) without running code; None: they are kept as they
            are.
    """

    name: str
    purpose: str
    source: str
    licence: Licence
    files: tuple[AssetFile, ...]
    convert: Callable[[tuple[Path, ...]], Converted] | None = None
