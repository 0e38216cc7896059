"""What is written about a clip: that it was generated, by what, and from what."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar, get_args, get_origin, get_type_hints

from anifacediff.errors import ProvenanceError
from anifacediff.provenance.files import fingerprint

FORMAT = "anifacediff record 1"
LIBRARIES = ("anifacediff", "torch", "diffusers", "transformers", "av")

IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"
SourceType: TypeAlias = Literal[
    "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia",
    "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia",
]
GENERATED: SourceType = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
COMPOSITE: SourceType = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
Setting: TypeAlias = str | int | float | bool | None
T = TypeVar("T")


@dataclass(frozen=True)
class ModelFacts:
    """Which model drew the pictures.

    Attributes:
        assembly: the class of the pipeline.
        weights: :func:`fingerprint` of its weights' files; None if they did not come from files.
    """

    assembly: str
    weights: str | None


@dataclass(frozen=True)
class Record:
    """Where a clip comes from. Names of files are left out, since they can tell more than their owner wants.

    Attributes:
        model: which drew it.
        inputs: the fingerprint of each input, by what it is for.
        settings: the seed, and whatever else was chosen.
        versions: of the libraries that took part.
        mark: name of the invisible mark inside of the pictures; None if there is none.
        digital_source_type: in the words of the IPTC: all of it is generated, or parts of it are.
        generated: always true.
        format: of this record.
    """

    model: ModelFacts
    inputs: Mapping[str, str]
    settings: Mapping[str, Setting]
    versions: Mapping[str, str]
    mark: str | None = None
    digital_source_type: SourceType = GENERATED
    generated: Literal[True] = True
    format: Literal["anifacediff record 1"] = FORMAT

    @property
    def comment(self) -> str:
        """The record as JSON in one line, as it is kept inside of files."""
        return json.dumps(asdict(self), sort_keys=True, allow_nan=False)

    def sidecar(self, file: Path) -> str:
        """The record as JSON to be laid beside a file, with the file's fingerprint.

        Args:
            file: the finished clip, or folder of pictures.
        """
        told = {"sha256": fingerprint(file), **asdict(self)}
        return json.dumps(told, sort_keys=True, indent=1, allow_nan=False) + "\n"

    @classmethod
    def parse(cls, text: str, where: str) -> "Record":
        """Read what :attr:`comment` says, strictly.

        Args:
            text: JSON.
            where: it was found, for messages.

        Raises:
            ProvenanceError: if it is no JSON, or anything is missing, left over, or of another type.
        """
        return cls.parse_fields(parse_object(text, where), where)

    @classmethod
    def parse_fields(cls, told: Mapping[str, Any], where: str) -> "Record":
        """Make a record of an object of JSON; arguments and errors as of :meth:`parse`."""
        if isinstance(told.get("model"), dict):
            told = {**told, "model": _checked(ModelFacts, told["model"], f"{where}, model")}
        return _checked(cls, told, where)


def installed_versions() -> Mapping[str, str]:
    """Versions of the libraries that take part in drawing and writing."""
    return {name: metadata.version(name) for name in LIBRARIES}


def parse_object(text: str, where: str) -> Mapping[str, Any]:
    """Read a JSON object.

    Raises:
        ProvenanceError: if it is anything else.
    """
    try:
        told = json.loads(text)
        json.dumps(told, ensure_ascii=False).encode()  # fails at half a character, which nobody could print
    except (ValueError, RecursionError) as error:
        raise ProvenanceError(f"{where}: the record is no JSON ({error}); it was cut off or changed.") from error
    if not isinstance(told, dict):
        raise ProvenanceError(f"{where}: the record is a {type(told).__name__} and not an object of JSON.")
    return told


def _checked(kind: type[T], told: Mapping[str, Any], where: str) -> T:
    """Make a dataclass of exactly its fields, each of its type."""
    hints = {field.name: get_type_hints(kind)[field.name] for field in fields(kind)}  # pyright: ignore[reportArgumentType]
    odd = sorted(set(hints) ^ set(told))
    if odd:
        raise ProvenanceError(
            f"{where}: the record has no {odd[0]!r}, or it should have none; its fields are {', '.join(hints)}. "
            "It was changed, or made by another version of anifacediff."
        )
    for name, hint in hints.items():
        if not _is_of(told[name], hint):
            raise ProvenanceError(f"{where}: {name} is {told[name]!r:.80}, which no record of ours says.")
    return kind(**told)


def _is_of(value: object, hint: Any) -> bool:
    """Whether a value is of a type; of a mapping every key and value, of which beartype looks at one only."""
    from beartype.door import is_bearable  # here, because it takes 0.1 s

    if get_origin(hint) is not Mapping:
        return is_bearable(value, hint)
    keys, values = get_args(hint)
    return isinstance(value, Mapping) and all(_is_of(key, keys) and _is_of(value[key], values) for key in value)
