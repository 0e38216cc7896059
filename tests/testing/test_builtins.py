"""Everything that is registered here, by the package and by the plugins that are installed, conforms."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from anifacediff.media import read_image
from anifacediff.registry import registry
from anifacediff.testing import (
    AssemblyCase,
    Case,
    MetricCase,
    TrackerCase,
    clip_colours,
    mean_colours,
    parametrize_with_checks,
    plugin_cases,
)

AVATAR = Path(__file__).parents[2] / "examples/media/avatar.png"


def of_metric(name: str, *extractors: object, **options: Any) -> MetricCase:
    return MetricCase(name, lambda: registry.metrics[f"anifacediff/{name}"](*extractors, **options))


def of_assembly(name: str) -> AssemblyCase:
    kind: Any = registry.assemblies[f"anifacediff/{name}"]
    return AssemblyCase(name, lambda: kind.untrained(image_size=32))


OWN: dict[str, tuple[Case[Any], ...]] = {
    "anifacediff": (
        *(of_metric(name, mean_colours) for name in ("fid", "csim", "apd", "aed")),
        of_metric("fvd", clip_colours, frames=4),
        of_metric("lpips", lambda images: (images,)),  # pyright: ignore[reportUnknownLambdaType]
        *(of_assembly(name) for name in ("anifacediff", "animate_anyone", "magicportrait", "mimaface")),
    ),
    "dlib": (TrackerCase("dlib", lambda: registry.trackers["dlib/dlib"](), picture=read_image(AVATAR)),),
}
CASES = [
    case
    for status in registry.plugins()
    if status.status != "rejected"
    for case in plugin_cases(status.plugin, *(OWN.get(status.plugin, ()) if status.components else ()))
]


@pytest.mark.filterwarnings("ignore:dlib's 68-landmark file")
@parametrize_with_checks(*CASES)
def test_conforms(check: Callable[[], None]) -> None:
    check()
