"""The page's layout: what stands where, and which click leads to what."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, no_type_check

import gradio as gr

from anifacediff.sampling import SAMPLING_PRESETS
from anifacediff.web.clicks import READY, Shown, ordered
from anifacediff.web.order import Order
from anifacediff.web.studio import Studio
from anifacediff.web.view import message_html

MOST_STEPS = 50
MOST_VISITORS = 16

_HEAD = """
# Animate an avatar
Drop a picture of an avatar and a clip of a face. The avatar then moves as the face in the clip does.
"""
_FOOT = (
    "Videos made here are **generated**, and carry an invisible mark and a record that say so: label them as such when "
    "you publish them. Animate only faces that are yours, drawn, or whose owner agreed. "
    "Files are deleted from this machine after an hour, or when the page is stopped."
)
_USUAL = "what suits the model"
_FACES = [("the only one", -1), *((f"number {index + 1} by size", index) for index in range(5))]
_STARTS = {"one smooth answer": "zeros", "noise that all frames share": "shared", "noise of each frame": "noise"}


UploadT = TypeVar("UploadT", gr.Image, gr.Video)


def as_uploaded(component: UploadT) -> UploadT:
    """Make a component hand on an uploaded file as it is, and take nothing but uploads.

    The library reads the files, and has words for what is wrong with them. A link in place of an upload, which no
    browser sends by itself, is not followed: who asks must not make this machine visit others.
    """
    keep = component.async_move_resource_to_block_cache

    async def keep_upload(url_or_file_path: str | Path | None) -> str | None:
        if url_or_file_path is not None and "://" in str(url_or_file_path):
            raise gr.Error("Links are not followed: upload the file.", print_exception=False)
        return await keep(url_or_file_path)

    def path_of(payload: Any) -> str | None:
        return None if payload is None else payload.path

    vars(component).update(async_move_resource_to_block_cache=keep_upload, preprocess=path_of)
    return component


@dataclass(frozen=True)
class _Handlers:
    """What gradio calls; a visitor is a browser tab."""

    studio: Studio

    @no_type_check  # gradio asks whether this is a generator function, which checks at run time would hide
    def run(
        self,
        visitor: str,
        reference: str | None,
        driving: str | None,
        model: str,
        preset: str,
        steps: int | float,
        begin: str,
        seed: int | float | None,
        face: int,
        driving_face: int,
    ) -> Generator[tuple[Any, ...]]:
        order = None
        if reference is not None and driving is not None:
            order = Order(
                Path(reference),
                Path(driving),
                model,
                preset=preset or None,
                steps=min(int(steps), MOST_STEPS) or None,
                start=begin or None,
                seed=int(seed or 0),
                face=None if face < 0 else face,
                driving_face=None if driving_face < 0 else driving_face,
            )
        for shown in ordered(self.studio, visitor, order):
            yield _updates(shown)

    def stop(self, visitor: str) -> None:
        self.studio.stop(visitor)

    def arrive(self, request: gr.Request) -> str:
        return str(request.session_hash)

    def leave(self, request: gr.Request) -> None:
        self.studio.stop(str(request.session_hash))


def build_page(studio: Studio, *, samples: Sequence[tuple[Path, Path]] = (), note: str = "") -> gr.Blocks:
    """Lay the page out.

    Args:
        studio: does the work.
        samples: pictures and clips to try.
        note: what visitors ought to know about the models, in Markdown.
    """
    with gr.Blocks(title="anifacediff", analytics_enabled=False, delete_cache=(600, 3600)) as page:
        visitor = gr.State("")
        gr.Markdown(_HEAD)
        with gr.Row(equal_height=False):
            with gr.Column(scale=2, min_width=320):
                with gr.Row():
                    reference = as_uploaded(
                        gr.Image(label="1. Avatar", type="filepath", sources=["upload", "clipboard"], height=240)
                    )
                    driving = as_uploaded(gr.Video(label="2. Clip", sources=["upload"], height=240))
                with gr.Row():
                    start = gr.Button("3. Animate", variant="primary", elem_id="animate")
                    stop = gr.Button("Stop", variant="stop", interactive=False, elem_id="stop")
                settings = _settings(studio)
                if samples:
                    gr.Examples([list(map(str, pair)) for pair in samples], [reference, driving], label="Or try this")
            with gr.Column(scale=3, min_width=320):
                work = gr.HTML(message_html(READY), elem_id="work")
                video = gr.Video(
                    label="Result", interactive=False, autoplay=True, loop=True, height=360, elem_id="result"
                )
        gr.Markdown(note, elem_classes="small")
        gr.Markdown(_FOOT, elem_classes="small")

        outputs = [work, video, start, stop]
        handlers = _Handlers(studio)
        start.click(
            handlers.run,
            [visitor, reference, driving, *settings],
            outputs,
            concurrency_limit=MOST_VISITORS,  # they wait in the studio, which tells them so
            show_progress="hidden",
            api_visibility="private",
        )
        stop.click(handlers.stop, visitor, None, queue=False, show_progress="hidden", api_visibility="private")
        page.load(handlers.arrive, None, visitor, queue=False, api_visibility="private")
        page.unload(handlers.leave)
    return page


def _settings(studio: Studio) -> list[Any]:
    """The controls of :meth:`_Handlers.run`, in the order of its arguments."""
    with gr.Accordion("Settings", open=False):
        model = gr.Dropdown(list(studio.models), label="Model", visible=len(studio.models) > 1)
        presets = [(f"{name}: {preset.about}", name) for name, preset in SAMPLING_PRESETS.items()]
        preset = gr.Dropdown([(_USUAL, ""), *presets], value="", label="Preset", info="How fast, at what cost.")
        steps = gr.Slider(0, MOST_STEPS, 0, step=1, label="Steps", info="0: what suits model and preset.")
        with gr.Row():
            begin = gr.Dropdown([(_USUAL, ""), *_STARTS.items()], value="", label="Start", min_width=140)
            seed = gr.Number(0, label="Seed", precision=0, minimum=0, maximum=2**32 - 1, min_width=140)
        with gr.Row():
            face = gr.Dropdown(_FACES, value=-1, label="Face in the picture", min_width=140)
            driving_face = gr.Dropdown(_FACES, value=-1, label="Face in the clip", min_width=140)
    return [model, preset, steps, begin, seed, face, driving_face]


def _updates(shown: Shown) -> tuple[Any, ...]:
    """What becomes of the work's HTML, the video and the two buttons."""
    video = None if shown.video is None else str(shown.video)
    return shown.html, video, gr.update(interactive=not shown.busy), gr.update(interactive=shown.busy)
