"""A cache of the deep features of a denoiser, which change slowly from one denoising step to the next.

A UNet is evaluated whole at every n-th step only; at the steps between, the last layers of its way up run on the fresh
input beside what the layers below gave at the last whole evaluation *of the same window*::

    conv_in -----------------------------------> last layer -> conv_out      fresh at every step
       down, middle, and the way up to there  ->                             every n-th step, else as remembered

Modules that do not run are stood in for by ones that give states of no channels, which cost nothing.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from anifacediff.attachment import AttachedModule, Attachment
from anifacediff.backbone.deep_layers import LayeredDenoiser, Slot, deep_layers
from anifacediff.errors import AttachmentError, InputError
from anifacediff.shapes import Float, Int, Tensor


@dataclass
class _Window:
    """Where a window stands: its steps so far, and what each call of the denoiser gave at the last whole one."""

    timestep: float | None = None
    step: int = -1
    held: list[Any] = field(default_factory=list)


class FeatureCache:
    """Evaluates a denoiser whole at every n-th step of each window, its last layers alone at the others.

    Windows may be evaluated in any order among each other. Held is one feature map for each window that has a step
    ahead which will read it. Whatever is attached to the denoiser stays at work in the layers that run; conditions that
    enter at its input are fresh at every step.

    Args:
        unet: the denoiser.
        interval: n; 1 evaluates it whole at every step, to the bit.
        layers: how many of its last layers run at every step.

    Raises:
        InputError: if a number is out of range.
        AttachmentError: if the denoiser has one resolution only, or fewer such layers.

    Source: DeepCache (arXiv 2312.00858), section 3.2, with the uniform schedule; windows are ours.

    Example:
        >>> cache = FeatureCache(unet, interval=2)                     # doctest: +SKIP
        >>> with cache.attach(), cache.window(range(24), timestep):    # doctest: +SKIP
        ...     unet(latents, timestep, tokens)
    """

    def __init__(self, unet: LayeredDenoiser, *, interval: int, layers: int = 1) -> None:
        if interval < 1 or layers < 1:
            raise InputError(f"interval, layers: must be at least 1, found {interval} and {layers}.")
        self.interval = interval
        self._windows: dict[tuple[int, ...], _Window] = {}
        self._ahead: list[Any] | None = None  # what the calls of a cached step will read, the next one last
        self._hold: list[Any] | None = None
        *slots, last = deep_layers(unet, layers)
        self._stand_ins = [*(_Skipped(self, slot) for slot in slots), _Remembered(self, last)]

    def __len__(self) -> int:
        """For how many windows something is held."""
        return sum(bool(window.held) for window in self._windows.values())

    def attach(self) -> Attachment:
        """Let the denoiser use the cache until detached; outside of :meth:`window` it is evaluated whole.

        Its modules keep their names, so do its weights.

        Raises:
            AttachmentError: if a cache is attached already, or a module was replaced since this one was made.
        """
        for each in self._stand_ins:
            each.check_place()
        for each in self._stand_ins:
            each.enter()

        def undo() -> None:
            for each in self._stand_ins:
                each.leave()

        return Attachment(undo)

    @contextmanager
    def window(
        self, frames: Sequence[int], timestep: Float[Tensor, ""] | Int[Tensor, ""] | float | int
    ) -> Generator[None]:
        """Say of which window the calls of the denoiser within are, and at which step.

        Args:
            frames: the numbers of its frames; each window's steps are counted for themselves.
            timestep: as the scheduler counts; the same one again is the same step.
        """
        key = tuple(frames)
        window = self._windows.setdefault(key, _Window())
        if window.timestep != float(timestep):
            window.timestep, window.step = float(timestep), window.step + 1
        phase = window.step % self.interval
        self._begin(window, phase)
        try:
            yield
        except BaseException:
            self._windows.pop(key)
            raise
        finally:
            self._ahead = self._hold = None
        if phase == self.interval - 1:
            window.held.clear()

    def forget(self, frames: range) -> None:
        """Drop the windows that begin with one of some frames, which are finished."""
        for key in [key for key in self._windows if key[0] in frames]:
            del self._windows[key]

    def _begin(self, window: _Window, phase: int) -> None:
        if phase:
            self._ahead = window.held[::-1]
        elif self.interval > 1:
            window.held.clear()
            self._hold = window.held

    @property
    def reuses(self) -> bool:
        """Whether the denoiser's deep layers are skipped now."""
        return self._ahead is not None

    def recall(self) -> Any:
        """What is held for this call of the denoiser.

        Raises:
            AttachmentError: if it is called more often than at the window's last whole step.
        """
        if not self._ahead:
            raise AttachmentError(
                "The denoiser is called more often at this step than at the window's last whole one, so that nothing "
                "is held for it. Enter FeatureCache.window once for each step of a window."
            )
        return self._ahead.pop()

    def remember(self, output: Any) -> None:
        """Hold what the deep layers gave, if a step ahead reads it."""
        if self._hold is not None:
            self._hold.append(output)


class _Skipped(AttachedModule, nn.Module):
    """Stands in for a module; its children and parameters are the stock module's own, under the same names."""

    def __init__(self, cache: FeatureCache, slot: Slot) -> None:
        super().__init__()
        self._cache = cache
        self._place = (slot,)  # in tuples, so that torch does not take them for children
        self._stock = (slot[0][slot[1]],)
        for name in ("_modules", "_parameters", "_buffers", "training"):
            setattr(self, name, getattr(self._stock[0], name))

    def check_place(self) -> None:
        """Raise :class:`AttachmentError` unless the stock module stands where it did."""
        modules, index = self._place[0]
        if isinstance(modules[index], _Skipped):
            raise AttachmentError("A feature cache is attached to this denoiser already; detach it first.")
        if modules[index] is not self._stock[0]:
            raise AttachmentError(
                f"A {type(self._stock[0]).__name__} of this denoiser was replaced by a {type(modules[index]).__name__} "
                "since the feature cache was made; make a new one."
            )

    def enter(self) -> None:
        """Take the stock module's place."""
        modules, index = self._place[0]
        modules[index] = self

    def leave(self) -> None:
        """Give the place back, if nobody else has taken it since."""
        modules, index = self._place[0]
        if modules[index] is self:
            modules[index] = self._stock[0]

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        if self._cache.reuses:
            return self.instead(*args, **kwargs)
        return self._stock[0](*args, **kwargs)

    def instead(self, *args: Any, return_dict: bool = True, **kwargs: Any) -> Any:
        """What is given in place of the module's output: its input without channels."""
        states = args[0] if args else next(iter(kwargs.values()))
        return states[:, :0] if return_dict else (states[:, :0],)


class _Remembered(_Skipped):
    """Stands in for the module at which the cached part ends."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        output = super().forward(*args, **kwargs)
        if not self._cache.reuses:
            self._cache.remember(output)
        return output

    def instead(self, *args: Any, **kwargs: Any) -> Any:
        return self._cache.recall()
