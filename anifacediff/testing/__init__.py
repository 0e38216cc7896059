"""Checks with which an author finds out whether a component does what its kind promises; pytest is optional."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anifacediff.testing.adapters import AdapterCase as AdapterCase
    from anifacediff.testing.adapters import ReferenceCase as ReferenceCase
    from anifacediff.testing.assemblies import AssemblyCase as AssemblyCase
    from anifacediff.testing.assets import AssetCase as AssetCase
    from anifacediff.testing.checks import Case as Case
    from anifacediff.testing.checks import Check as Check
    from anifacediff.testing.checks import NotApplicable as NotApplicable
    from anifacediff.testing.checks import checks_of as checks_of
    from anifacediff.testing.checks import parametrize_with_checks as parametrize_with_checks
    from anifacediff.testing.denoisers import tiny_unet as tiny_unet
    from anifacediff.testing.detectors import DetectorCase as DetectorCase
    from anifacediff.testing.identity_encoders import IdentityEncoderCase as IdentityEncoderCase
    from anifacediff.testing.marks import MarkCase as MarkCase
    from anifacediff.testing.metrics import MetricCase as MetricCase
    from anifacediff.testing.metrics import clip_colours as clip_colours
    from anifacediff.testing.metrics import mean_colours as mean_colours
    from anifacediff.testing.models import ModelCase as ModelCase
    from anifacediff.testing.pictured import drawn_portrait as drawn_portrait
    from anifacediff.testing.plugins import PluginCase as PluginCase
    from anifacediff.testing.plugins import plugin_cases as plugin_cases
    from anifacediff.testing.rasterizers import RasterizerCase as RasterizerCase
    from anifacediff.testing.renderers import RendererCase as RendererCase
    from anifacediff.testing.temporal import TemporalCase as TemporalCase
    from anifacediff.testing.trackers import TrackerCase as TrackerCase
else:
    from anifacediff.exports import lazy_exports

    __getattr__, __all__ = lazy_exports(
        __name__,
        {
            "adapters": ("AdapterCase", "ReferenceCase"),
            "assemblies": ("AssemblyCase",),
            "assets": ("AssetCase",),
            "checks": ("Case", "Check", "NotApplicable", "checks_of", "parametrize_with_checks"),
            "denoisers": ("tiny_unet",),
            "detectors": ("DetectorCase",),
            "identity_encoders": ("IdentityEncoderCase",),
            "marks": ("MarkCase",),
            "metrics": ("MetricCase", "clip_colours", "mean_colours"),
            "models": ("ModelCase",),
            "pictured": ("drawn_portrait",),
            "plugins": ("PluginCase", "plugin_cases"),
            "rasterizers": ("RasterizerCase",),
            "renderers": ("RendererCase",),
            "temporal": ("TemporalCase",),
            "trackers": ("TrackerCase",),
        },
    )
