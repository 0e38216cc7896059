"""The metrics of the benchmark: those of clips, those of sets, and those that need to know the scene."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from anifacediff.evaluation.contracts import Animation, ClipMetric, FrameExtractor, SetMetric
from anifacediff.evaluation.faces import AED, APD, CSIM
from anifacediff.evaluation.pixels import PSNR, SSIM, TemporalError, inside, psnr
from anifacediff.evaluation.scenes import Scene


@runtime_checkable
class SceneMetric(Protocol):
    """Judges a clip by what is known about its scene."""

    @property
    def unit(self) -> str: ...

    @property
    def higher_is_better(self) -> bool: ...

    def judge(self, scene: Scene, animation: Animation) -> float:
        """Judge a clip of the scene; NaN if there is nothing to judge in it."""
        ...


Metric: TypeAlias = ClipMetric | SetMetric | SceneMetric


@dataclass(frozen=True)
class RegionPSNR:
    """The mean of :func:`psnr` over the frames, within a region of the truth.

    Attributes:
        region: which one.
    """

    region: Literal["eyes", "mouth"]

    unit = "dB"
    higher_is_better = True

    def judge(self, scene: Scene, animation: Animation) -> float:
        """Judge a clip of the scene; NaN if no frame of it shows the region."""
        boxes = scene.eyes if self.region == "eyes" else scene.mouth
        height, width = animation.output.shape[2:]
        where = inside(boxes.corners[-len(animation.output) :], height, width)
        return float(psnr(animation.output, animation.needed("truth", "PSNR"), where).nanmean())


PIXEL_METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "psnr": PSNR(),
        "psnr-eyes": RegionPSNR("eyes"),
        "psnr-mouth": RegionPSNR("mouth"),
        "ssim": SSIM(),
        "flicker": TemporalError(),
    }
)
"""What needs no network."""


@runtime_checkable
class DrawnFaceReader(Protocol):
    """Networks that read drawn faces; trained on other avatars than those that are judged."""

    @property
    def identity(self) -> FrameExtractor: ...

    @property
    def pose(self) -> FrameExtractor: ...

    @property
    def expression(self) -> FrameExtractor: ...


READER_METRICS: Mapping[str, Callable[[DrawnFaceReader], Metric]] = MappingProxyType(
    {
        "csim (drawn reader)": lambda reader: CSIM(reader.identity),
        "apd (drawn reader)": lambda reader: APD(reader.pose),
        "aed (drawn reader)": lambda reader: AED(reader.expression),
    }
)
"""What our own reader of drawn faces says; not to be set beside figures of papers, whose networks are others."""
