"""From images of faces to face parameters: find the faces, follow one, fit a model to its landmarks."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anifacediff.tracking.contracts import DetectedFace as DetectedFace
    from anifacediff.tracking.contracts import LandmarkDetector as LandmarkDetector
    from anifacediff.tracking.contracts import ManualBox as ManualBox
    from anifacediff.tracking.contracts import ManualTracker as ManualTracker
    from anifacediff.tracking.contracts import ParameterTracker as ParameterTracker
    from anifacediff.tracking.contracts import Tracker as Tracker
    from anifacediff.tracking.default import default_tracker as default_tracker
    from anifacediff.tracking.fit import LandmarkFit as LandmarkFit
    from anifacediff.tracking.fit import projected_landmarks as projected_landmarks
    from anifacediff.tracking.fit import reprojection_error as reprojection_error
    from anifacediff.tracking.motion import Motion as Motion
    from anifacediff.tracking.motion_files import read_motion as read_motion
    from anifacediff.tracking.motion_files import write_motion as write_motion
    from anifacediff.tracking.retime import retimed as retimed
    from anifacediff.tracking.shots import Shot as Shot
    from anifacediff.tracking.smoothing import smooth_parameters as smooth_parameters
    from anifacediff.tracking.smoothing import smooth_signal as smooth_signal
    from anifacediff.tracking.track import track_clip as track_clip
    from anifacediff.tracking.track import track_faces as track_faces
    from anifacediff.tracking.track import track_image as track_image
    from anifacediff.tracking.tracked import TrackedClip as TrackedClip
    from anifacediff.tracking.tracked import TrackedImage as TrackedImage
    from anifacediff.tracking.tracked import TrackingReport as TrackingReport
else:
    from anifacediff.exports import lazy_exports

    __getattr__, __all__ = lazy_exports(
        __name__,
        {
            "contracts": (
                "DetectedFace",
                "LandmarkDetector",
                "ManualBox",
                "ManualTracker",
                "ParameterTracker",
                "Tracker",
            ),
            "default": ("default_tracker",),
            "fit": ("LandmarkFit", "projected_landmarks", "reprojection_error"),
            "motion": ("Motion",),
            "motion_files": ("read_motion", "write_motion"),
            "retime": ("retimed",),
            "shots": ("Shot",),
            "smoothing": ("smooth_parameters", "smooth_signal"),
            "track": ("track_clip", "track_faces", "track_image"),
            "tracked": ("TrackedClip", "TrackedImage", "TrackingReport"),
        },
    )
