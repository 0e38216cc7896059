"""A folder to look at: figures, and pictures of the first clips of each task."""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from anifacediff.conditioning.contracts import ControlRenderer
from anifacediff.errors import OutputError
from anifacediff.evaluation.results import Row, to_json, to_tables
from anifacediff.evaluation.scenes import Scene
from anifacediff.media.compare import side_by_side
from anifacediff.media.images import write_image
from anifacediff.media.pictures import to_pictures
from anifacediff.shapes import Float, Tensor

Strip = UInt8[np.ndarray, "_ _ 3"]

_HEIGHT = 160  # of a picture in a strip, in pixels
_STYLE = (
    "body{font:14px/1.5 sans-serif;margin:2rem}img{max-width:100%}table{border-collapse:collapse}"
    "td,th{border:1px solid #ccc;padding:.2rem .5rem;text-align:left}"
)


@dataclass
class Gallery:
    """Keeps the first clips of one arm as strips: reference, driver, control map, result, truth.

    Attributes:
        arm: whose results are shown.
        renderer: draws the control maps, as the pipeline does.
        most: clips of each task.
        strips: by task, for each clip the strips of its frames.
    """

    arm: str
    renderer: ControlRenderer
    most: int = 6
    strips: dict[str, list[Sequence[Strip]]] = field(default_factory=dict)

    def __call__(self, arm: str, scene: Scene, clip: Float[Tensor, "f 3 h w"]) -> None:
        """Keep a clip if it is to be shown; fits ``on_clip`` of :func:`run_benchmark`."""
        kept = self.strips.setdefault(scene.task, [])
        if arm == self.arm and len(kept) < self.most:
            kept.append(self._strips(scene, clip))

    def _strips(self, scene: Scene, clip: Float[Tensor, "f 3 h w"]) -> Sequence[Strip]:
        plan = self.renderer.plan(scene.portrait.parameters, scene.driving[:1])
        maps = self.renderer.render(plan, scene.driving).normal
        assert maps is not None
        labels = ("reference", "driver", "control map", self.arm, "truth")
        columns = [to_pictures(images) for images in (scene.driving_images, maps, clip, scene.truth)]
        frames = zip(*columns, strict=True)
        return [side_by_side((scene.portrait.image, *frame), height=_HEIGHT, labels=labels) for frame in frames]


@dataclass(frozen=True)
class Report:
    """What is written about a benchmark.

    Attributes:
        rows: the figures.
        notes: what a reader must know, a paragraph each.
        gallery: the pictures.
        fps: frames per second of the moving ones.
    """

    rows: Sequence[Row]
    notes: Sequence[str]
    gallery: Gallery
    fps: float | int

    def write(self, folder: Path) -> None:
        """Write ``results.json``, ``table.md`` and ``index.html`` with its ``pictures``, all or nothing.

        Args:
            folder: must be missing or empty, see :func:`~anifacediff.media.check_writable`.

        Raises:
            OutputError: if it cannot be written.
        """
        try:
            partial = Path(tempfile.mkdtemp(prefix=".", suffix=".partial", dir=folder.parent))
            try:
                self._fill(partial)
                partial.chmod(0o755)
                partial.replace(folder)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
        except OSError as error:
            raise OutputError(f"{folder}: writing failed ({error.strerror or error}). Is the disk full?") from error

    def _fill(self, folder: Path) -> None:
        (folder / "pictures").mkdir()
        tables = to_tables(self.rows)
        figures = [table.markdown() for table in tables]
        (folder / "results.json").write_text(to_json(self.rows), encoding="utf-8")
        (folder / "table.md").write_text("\n\n".join(["# Benchmark", *self.notes, *figures]), encoding="utf-8")
        sections = [f"<p>{escape(note)}</p>" for note in self.notes]
        for table in tables:
            pictures = _pictures(folder, table.task, self.gallery.strips.get(table.task, ()), self.fps)
            sections += [f"<h2>{escape(table.task)}</h2>", table.html(), *pictures]
        html = f"<!doctype html><html lang=en><meta charset=utf-8><title>Benchmark</title><style>{_STYLE}</style>"
        html += f"<h1>Benchmark</h1>{''.join(sections)}</html>\n"
        (folder / "index.html").write_text(html, encoding="utf-8")


def _pictures(folder: Path, task: str, clips: Sequence[Sequence[Strip]], fps: float | int) -> Sequence[str]:
    """Write the pictures of a task: one clip moving, then the middle frames of all."""
    if not clips:
        return []
    names = [f"pictures/{task}.webp"]
    first, *rest = (Image.fromarray(strip) for strip in clips[0])
    first.save(folder / names[0], save_all=True, append_images=rest, duration=round(1000 / fps), loop=0, quality=90)
    for number, strips in enumerate(clips):
        names.append(f"pictures/{task}-{number}.png")
        write_image(folder / names[-1], strips[len(strips) // 2])
    return [f'<p><img src="{name}" alt="{escape(task)}"></p>' for name in names]
