"""Our own components, registered through the hooks that plugins use; every loader imports when it is called."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from anifacediff.registry import ByNameOnly, Loader, hookimpl

if TYPE_CHECKING:
    from diffusers.pipelines.pipeline_utils import DiffusionPipeline

    from anifacediff.backbone.contracts import ReferenceNetwork, TemporalNetwork
    from anifacediff.conditioning.contracts import AttentionAdapter, ControlRenderer
    from anifacediff.evaluation.contracts import ClipMetric, SetMetric
    from anifacediff.geometry.contracts import MorphableModel, Rasterizer
    from anifacediff.provenance.contracts import Mark
    from anifacediff.tracking.contracts import Tracker


def _parametric_head():
    from anifacediff.geometry.head import ParametricHead

    return ParametricHead


def _expressive_head():
    from anifacediff.synthetic.expression import ExpressiveHead

    return ExpressiveHead


def _drawn_tracker():
    from anifacediff.evaluation.drawn_tracker import DrawnTracker

    return DrawnTracker


def _span_rasterizer():
    from anifacediff.geometry.rasterizer import SpanRasterizer

    return SpanRasterizer


def _facial_alignment():
    from anifacediff.conditioning.facial_alignment import FacialAlignment

    return FacialAlignment


def _expression_adapter():
    from anifacediff.conditioning.expression_adapter import ExpressionAdapter

    return ExpressionAdapter


def _reference_net():
    from anifacediff.backbone.reference_net import ReferenceNet

    return ReferenceNet


def _temporal_modules():
    from anifacediff.backbone.temporal import TemporalModules

    return TemporalModules


def _anifacediff():
    from anifacediff.assemblies.anifacediff import AniFaceDiffPipeline

    return AniFaceDiffPipeline


def _animate_anyone():
    from anifacediff.assemblies.animate_anyone import AnimateAnyonePipeline

    return AnimateAnyonePipeline


def _magicportrait():
    from anifacediff.assemblies.magicportrait import MagicPortraitPipeline

    return MagicPortraitPipeline


def _mimaface():
    from anifacediff.assemblies.mimaface import MIMAFacePipeline

    return MIMAFacePipeline


def _psnr():
    from anifacediff.evaluation.pixels import PSNR

    return PSNR


def _ssim():
    from anifacediff.evaluation.pixels import SSIM

    return SSIM


def _temporal_error():
    from anifacediff.evaluation.pixels import TemporalError

    return TemporalError


def _lpips():
    from anifacediff.evaluation.perceptual import LPIPS

    return LPIPS


def _fid():
    from anifacediff.evaluation.frechet import FID

    return FID


def _fvd():
    from anifacediff.evaluation.frechet import FVD

    return FVD


def _csim():
    from anifacediff.evaluation.faces import CSIM

    return CSIM


def _apd():
    from anifacediff.evaluation.faces import APD

    return APD


def _aed():
    from anifacediff.evaluation.faces import AED

    return AED


def _spread_mark():
    from anifacediff.provenance.spread import SpreadMark

    return SpreadMark


@hookimpl
def anifacediff_morphable_models() -> Mapping[str, Loader[Callable[..., "MorphableModel"]]]:
    """Offer the built-in head, and the one of drawn avatars, whose mesh does not carry all of the expression."""
    return {"parametric": _parametric_head, "expressive": _expressive_head}


@hookimpl
def anifacediff_trackers() -> Mapping[str, Loader[Callable[..., "Tracker"]]]:
    """Offer the tracker of drawn avatars."""
    return {"drawn": ByNameOnly(_drawn_tracker)}


@hookimpl
def anifacediff_rasterizers() -> Mapping[str, Loader[Callable[..., "Rasterizer"]]]:
    """Offer the default rasteriser."""
    return {"span": _span_rasterizer}


@hookimpl
def anifacediff_control_renderers() -> Mapping[str, Loader[Callable[..., "ControlRenderer"]]]:
    """Offer FacialAlignment."""
    return {"facial_alignment": _facial_alignment}


@hookimpl
def anifacediff_attention_adapters() -> Mapping[str, Loader[type["AttentionAdapter"]]]:
    """Offer the ExpressionAdapter."""
    return {"expression": _expression_adapter}


@hookimpl
def anifacediff_reference_nets() -> Mapping[str, Loader[type["ReferenceNetwork"]]]:
    """Offer the ReferenceNet."""
    return {"reference_net": _reference_net}


@hookimpl
def anifacediff_temporal_modules() -> Mapping[str, Loader[type["TemporalNetwork"]]]:
    """Offer AnimateDiff's motion modules."""
    return {"animatediff": _temporal_modules}


@hookimpl
def anifacediff_assemblies() -> Mapping[str, Loader[type["DiffusionPipeline"]]]:
    """Offer the pipelines of the papers."""
    return {
        "anifacediff": _anifacediff,
        "animate_anyone": _animate_anyone,
        "magicportrait": _magicportrait,
        "mimaface": _mimaface,
    }


@hookimpl
def anifacediff_metrics() -> Mapping[str, Loader[Callable[..., "ClipMetric | SetMetric"]]]:
    """Offer metrics of pixels, of distributions, and of faces; networks are injected."""
    return {
        "psnr": _psnr,
        "ssim": _ssim,
        "temporal_error": _temporal_error,
        "lpips": _lpips,
        "fid": _fid,
        "fvd": _fvd,
        "csim": _csim,
        "apd": _apd,
        "aed": _aed,
    }


@hookimpl
def anifacediff_marks() -> Mapping[str, Loader[Callable[..., "Mark"]]]:
    """Offer the mark that ``animate`` leaves."""
    return {"spread": _spread_mark}
