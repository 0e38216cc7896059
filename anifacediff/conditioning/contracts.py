"""What a control renderer must offer; plugins implement this protocol."""

from typing import Protocol, runtime_checkable

from anifacediff.geometry.faces import FaceParameters
from anifacediff.geometry.snapshots import ControlMaps


@runtime_checkable
class ControlRenderer(Protocol):
    """Draws the face that the reference would show with the driving clip's pose and expression."""

    def __call__(self, reference: FaceParameters, driving: FaceParameters) -> ControlMaps:
        """Render control maps.

        Args:
            reference: one frame: whose face it is, and where it stands on the canvas.
            driving: f frames: what the face does.

        Returns:
            The maps, one picture for each driving frame.
        """
        ...
