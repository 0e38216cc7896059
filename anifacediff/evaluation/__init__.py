"""How good an animation is, in figures; what a network must say about a face is injected."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anifacediff.evaluation.bootstrap import Interval as Interval
    from anifacediff.evaluation.bootstrap import interval as interval
    from anifacediff.evaluation.clips import LabelledClip as LabelledClip
    from anifacediff.evaluation.clips import labelled_clips as labelled_clips
    from anifacediff.evaluation.contracts import Animation as Animation
    from anifacediff.evaluation.contracts import ClipExtractor as ClipExtractor
    from anifacediff.evaluation.contracts import ClipMetric as ClipMetric
    from anifacediff.evaluation.contracts import Detector as Detector
    from anifacediff.evaluation.contracts import FrameExtractor as FrameExtractor
    from anifacediff.evaluation.contracts import SetMetric as SetMetric
    from anifacediff.evaluation.deepfakebench import export_clips as export_clips
    from anifacediff.evaluation.detection import frame_auc as frame_auc
    from anifacediff.evaluation.detection import video_auc as video_auc
    from anifacediff.evaluation.detector_run import DetectorResults as DetectorResults
    from anifacediff.evaluation.detector_run import run_detector as run_detector
    from anifacediff.evaluation.drawn_tracker import DrawnTracker as DrawnTracker
    from anifacediff.evaluation.drawn_tracker import ExpressionExtractor as ExpressionExtractor
    from anifacediff.evaluation.drawn_tracker import IdentityExtractor as IdentityExtractor
    from anifacediff.evaluation.drawn_tracker import PoseExtractor as PoseExtractor
    from anifacediff.evaluation.faces import AED as AED
    from anifacediff.evaluation.faces import APD as APD
    from anifacediff.evaluation.faces import CSIM as CSIM
    from anifacediff.evaluation.faces import cosine as cosine
    from anifacediff.evaluation.frechet import FID as FID
    from anifacediff.evaluation.frechet import FVD as FVD
    from anifacediff.evaluation.frechet import frechet_distance as frechet_distance
    from anifacediff.evaluation.perceptual import LPIPS as LPIPS
    from anifacediff.evaluation.perceptual import LayerExtractor as LayerExtractor
    from anifacediff.evaluation.pixels import PSNR as PSNR
    from anifacediff.evaluation.pixels import SSIM as SSIM
    from anifacediff.evaluation.pixels import TemporalError as TemporalError
    from anifacediff.evaluation.pixels import inside as inside
    from anifacediff.evaluation.pixels import psnr as psnr
    from anifacediff.evaluation.pixels import ssim as ssim
    from anifacediff.evaluation.pixels import temporal_error as temporal_error
    from anifacediff.evaluation.reader import FaceReader as FaceReader
    from anifacediff.evaluation.reader import Reading as Reading
else:
    from anifacediff.exports import lazy_exports

    __getattr__, __all__ = lazy_exports(
        __name__,
        {
            "bootstrap": ("Interval", "interval"),
            "clips": ("LabelledClip", "labelled_clips"),
            "contracts": ("Animation", "ClipExtractor", "ClipMetric", "Detector", "FrameExtractor", "SetMetric"),
            "deepfakebench": ("export_clips",),
            "detection": ("frame_auc", "video_auc"),
            "detector_run": ("DetectorResults", "run_detector"),
            "drawn_tracker": ("DrawnTracker", "ExpressionExtractor", "IdentityExtractor", "PoseExtractor"),
            "faces": ("AED", "APD", "CSIM", "cosine"),
            "frechet": ("FID", "FVD", "frechet_distance"),
            "perceptual": ("LPIPS", "LayerExtractor"),
            "pixels": ("PSNR", "SSIM", "TemporalError", "inside", "psnr", "ssim", "temporal_error"),
            "reader": ("FaceReader", "Reading"),
        },
    )
