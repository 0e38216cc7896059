"""Hooks that tell a stopwatch which part of a pipeline runs."""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from functools import wraps

from torch import nn

from anifacediff.assemblies.pipeline import AnimationPipeline
from anifacediff.profiling.stopwatch import Stopwatch

REFERENCE, ENCODE, MAPS, DENOISER, DECODE = "reference pass", "VAE encode", "control maps", "denoiser", "VAE decode"


@contextmanager
def watched(pipe: AnimationPipeline, watch: Stopwatch) -> Generator[None]:
    """Let a stopwatch follow a pipeline, whichever assembly it is.

    The reference pass is all of :meth:`AnimationPipeline.prepare` that is not another stage. The networks that make
    conditions are stages under their own names.

    Args:
        pipe: the pipeline; it is as it was afterwards.
        watch: is told the stages.
    """
    with ExitStack() as stack:
        for method, stage in (("prepare", REFERENCE), ("encode", ENCODE), ("decode", DECODE)):
            _watch_method(stack, watch, pipe, method, stage)
        # Of the class: devices other than the CPU get copies of the renderer.
        _watch_method(stack, watch, type(pipe.alignment), "render", MAPS)
        for name, part in pipe.components.items():
            if name not in ("vae", *pipe.reference_parts) and isinstance(part, nn.Module):
                _watch_module(stack, watch, part, DENOISER if name == "unet" else name.replace("_", " "))
        yield


def _watch_method(stack: ExitStack, watch: Stopwatch, owner: object, method: str, stage: str) -> None:
    inner, own = getattr(owner, method), vars(owner).get(method)

    @wraps(inner)
    def timed(*args: object, **kwargs: object) -> object:
        with watch.stage(stage):
            return inner(*args, **kwargs)

    setattr(owner, method, timed)
    if own is None:
        stack.callback(delattr, owner, method)
    else:
        stack.callback(setattr, owner, method, own)


def _watch_module(stack: ExitStack, watch: Stopwatch, module: nn.Module, stage: str) -> None:
    def enter(*_: object) -> None:
        watch.enter(stage)

    def leave(*_: object) -> None:
        watch.leave()

    before = module.register_forward_pre_hook(enter)
    after = module.register_forward_hook(leave, always_call=True)
    stack.callback(before.remove)
    stack.callback(after.remove)
