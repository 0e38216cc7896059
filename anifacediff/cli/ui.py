"""``anifacediff ui``: the page in a browser."""

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anifacediff.cli.options import Assembly, Debug, Device, Dtype, Tracker
from anifacediff.cli.report import note, reported_errors, warn

if TYPE_CHECKING:
    from anifacediff.assemblies.pipeline import AnimationPipeline
    from anifacediff.web import Studio

_NANO = "nano (drawn avatars)"
_ABOUT_NANO = (
    "**nano**, the model that comes with this page, was trained on *drawn* avatars. Photographs and paintings are "
    "outside of what it knows."
)
_HERE = "127.0.0.1"


def ui(
    model: Annotated[
        list[str] | None,
        typer.Option("--model", help="Folder or Hub id of a pipeline; several can be given. nano if none is."),
    ] = None,
    assembly: Assembly = None,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen to; 0.0.0.0 lets every machine on the network in.")
    ] = _HERE,
    port: Annotated[
        int | None, typer.Option("--port", min=1, max=65535, help="Port; the first free one from 7860 on if not given.")
    ] = None,
    longest: Annotated[
        float, typer.Option("--longest", min=1, help="Longest driving clip that is taken, in seconds.")
    ] = 120.0,
    tracker: Tracker = None,
    device: Device = None,
    dtype: Dtype = "float32",
    debug: Debug = False,
) -> None:
    """Show a page in the browser: drop a picture and a clip, and see the result appear. It needs the extra ui.

    Only this machine reaches it unless --host is given. One animation is made at a time, others wait. Visitors
    choose among the models named here, and name no files of this machine.

    [bold]anifacediff ui[/bold]

    [bold]anifacediff ui --model path/to/pipeline --device cuda --port 8000[/bold]
    """
    with reported_errors(debug):
        from anifacediff.errors import ConfigurationError

        try:
            from anifacediff.web import samples, served
        except ImportError as error:
            raise ConfigurationError(f'{error}; the page needs gradio: pip install "anifacediff[ui]".') from error
        if host != _HERE:
            warn(f"whoever reaches {host} can use this page, its models and this machine's processor.")
        studio = _studio(model or [], assembly, tracker, device, dtype, longest)
        pipe = studio.load(next(iter(studio.models))).pipe
        about = _untrained(pipe) if pipe.untrained_parts else "" if model else _ABOUT_NANO
        with served(studio, host=host, port=port, samples=samples(), note=about) as address:
            note(f"The page is at {address} until you press Ctrl-C here.")
            _wait()
        note("Stopped; what was uploaded and made is deleted.")


def _studio(
    models: list[str], assembly: str | None, tracker: str | None, device: str | None, dtype: str, longest: float
) -> "Studio":
    from functools import partial

    from anifacediff import registry
    from anifacediff.cli.faces import find_device
    from anifacediff.cli.generate import load_pipeline
    from anifacediff.errors import InputError
    from anifacediff.tracking import default_tracker
    from anifacediff.web import Studio

    where = find_device(device)
    usual = _NANO if assembly is None else f"{assembly}, untrained"
    named = {Path(each).name: each for each in models} or {usual: None}
    if models and len(named) < len(models):
        raise InputError(f"--model: folders of the same name cannot be told apart: {', '.join(models)}.")
    loaders = {name: partial(load_pipeline, each, assembly, where, dtype=dtype) for name, each in named.items()}
    build_tracker = default_tracker if tracker is None else registry.trackers[tracker]
    return Studio(loaders, build_tracker, longest=longest)


def _untrained(pipe: "AnimationPipeline") -> str:
    return f"The model is **untrained** ({', '.join(pipe.untrained_parts)}): its pictures mean nothing."


def _wait() -> None:
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        return
