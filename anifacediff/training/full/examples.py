"""What is in a step: drawn by the numbers of step and example alone, whichever process asks."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from anifacediff.errors import InputError
from anifacediff.shapes import Float, Int, Tensor
from anifacediff.training.full.clips import PreparedSet, StoredClip
from anifacediff.training.run import Schedule


@dataclass(frozen=True)
class Examples:
    """Some clips, each with a reference from the same video.

    Attributes:
        seeds: b, what noise and time of each are drawn from.
        reference: b 3 h w, RGB in [0, 1].
        reference_maps: b 3 h w of each kind, its control maps.
        maps: b f 3 h w of each kind.
        parameters: b f ... of each name, the faces, see
            :func:`~anifacediff.training.preparation.shards.named_tensors`.
        pictures: b f 3 h w, unless there are latents.
        latents: b f c h w, clean.
        reference_latents: b c h w.
    """

    seeds: Int[Tensor, "b"]
    reference: Float[Tensor, "b 3 h w"]
    reference_maps: Mapping[str, Tensor]
    maps: Mapping[str, Tensor]
    parameters: Mapping[str, Tensor]
    pictures: Float[Tensor, "b f 3 h w"] | None = None
    latents: Float[Tensor, "b f c h2 w2"] | None = None
    reference_latents: Float[Tensor, "b c h2 w2"] | None = None

    def map(self, change: Callable[[Tensor], Tensor]) -> "Examples":
        """A copy with ``change`` applied to every tensor."""
        changed: dict[str, object] = {}
        for each in fields(self):
            value = getattr(self, each.name)
            changed[each.name] = (
                {name: change(tensor) for name, tensor in value.items()}
                if isinstance(value, Mapping)
                else None
                if value is None
                else change(value)
            )
        return Examples(**changed)  # pyright: ignore[reportArgumentType]

    def rounded(self, dtype: torch.dtype) -> "Examples":
        """The same with pictures, maps and latents in another precision; the faces stay as they are."""
        changed = self.map(lambda tensor: tensor.to(dtype) if tensor.is_floating_point() else tensor)
        return replace(changed, parameters=self.parameters)

    def encoded(self, encode: Callable[[Tensor], Tensor]) -> "Examples":
        """The same with latents, made of the pictures where they are not kept."""
        if self.latents is not None:
            return self
        assert self.pictures is not None
        latents = encode(self.pictures.flatten(0, 1)).unflatten(0, self.pictures.shape[:2])
        return replace(self, pictures=None, latents=latents, reference_latents=encode(self.reference))

    @classmethod
    def joined(cls, parts: Sequence["Examples"]) -> "Examples":
        """Put examples into one batch."""
        joined: dict[str, object] = {}
        for each in fields(cls):
            values = [getattr(part, each.name) for part in parts]
            if isinstance(values[0], Mapping):
                joined[each.name] = {name: torch.cat([value[name] for value in values]) for name in values[0]}
            else:
                joined[each.name] = None if values[0] is None else torch.cat(values)
        return cls(**joined)  # pyright: ignore[reportArgumentType]


@dataclass(frozen=True)
class Draw:
    """What is drawn from a clip.

    Attributes:
        frames: neighbours that are denoised together: 1 for stills.
        stride: frames of the video from one to the next.
    """

    frames: int = 1
    stride: int = 1

    @property
    def span(self) -> int:
        """How many frames of the video it takes."""
        return (self.frames - 1) * self.stride + 1

    def within(self, frames: int) -> "Draw":
        """The same, or as many of its frames as a clip of so many has."""
        return replace(self, frames=min(self.frames, (frames - 1) // self.stride + 1))

    def __call__(self, clip: StoredClip, generator: torch.Generator) -> Examples:
        """Draw frames of a clip, and another one as their reference."""
        first = _number(clip.frames - self.span + 1, generator)
        targets = [first + number * self.stride for number in range(self.frames)]
        others = [frame for frame in range(clip.frames) if frame not in targets] or list(range(clip.frames))
        reference = others[_number(len(others), generator)]
        seed = torch.randint(2**62, (1,), generator=generator)
        latents = clip.latents()
        return Examples(
            seeds=seed,
            reference=clip.pictures([reference]),
            reference_maps={kind: clip.pictures([reference], kind) for kind in clip.kinds},
            maps={kind: clip.pictures(targets, kind)[None] for kind in clip.kinds},
            parameters={name: values[targets][None] for name, values in clip.parameters().items()},
            pictures=clip.pictures(targets)[None] if latents is None else None,
            latents=None if latents is None else latents[targets][None],
            reference_latents=None if latents is None else latents[[reference]],
        )


class DrawnExamples(Dataset[Examples]):
    """All examples that a run will ever see; number n is example n % size of step n // size.

    Args:
        prepared: the clips.
        draw: what is drawn from one.
        schedule: gives the random numbers.
        size: examples in a step, of all processes.

    Raises:
        InputError: if no clip is long enough.
    """

    def __init__(self, prepared: PreparedSet, draw: Draw, schedule: Schedule, size: int) -> None:
        self._clips = [clip for clip in prepared.clips if clip.frames >= max(2, draw.span)]
        if not self._clips:
            raise InputError(f"no prepared clip has {max(2, draw.span)} frames; ask for fewer, or prepare longer runs.")
        self._draw = draw
        self._schedule = schedule
        self.size = size

    def __getitem__(self, index: int) -> Examples:
        generator = self._schedule.generator(*divmod(index, self.size))
        return self._draw(self._clips[_number(len(self._clips), generator)], generator)


@dataclass(frozen=True)
class Share(Sampler[list[int]]):
    """The batches of one process, from a step on, without end.

    Attributes:
        first: the step.
        batch: examples at once.
        accumulation: batches in a step.
        rank: which process.
        processes: how many there are.
    """

    first: int
    batch: int
    accumulation: int
    rank: int
    processes: int

    @property
    def size(self) -> int:
        """Examples in a step, of all processes."""
        return self.batch * self.accumulation * self.processes

    def __iter__(self) -> Iterator[list[int]]:
        begin = self.first * self.size + self.rank * self.batch
        while True:  # a process's batches are as far apart as all processes' batches are long
            yield list(range(begin, begin + self.batch))
            begin += self.batch * self.processes


def load_examples(examples: DrawnExamples, share: Share, workers: int) -> Iterator[Examples]:
    """The batches of a process, read ahead by workers if there are any."""
    loader = DataLoader(examples, batch_sampler=share, collate_fn=Examples.joined, num_workers=workers)
    return iter(loader)


def _number(below: int, generator: torch.Generator) -> int:
    return int(torch.randint(below, (1,), generator=generator))
