"""Writing results, one frame after another."""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import UInt8

from anifacediff.cli.faces import Faces
from anifacediff.cli.report import progress
from anifacediff.conditioning import FacialAlignment
from anifacediff.geometry.snapshots import ControlMaps
from anifacediff.media import VideoWriter, side_by_side
from anifacediff.media.pictures import to_pictures

Picture = UInt8[np.ndarray, "h w 3"]


def write_aligned(writer: VideoWriter, faces: Faces, alignment: FacialAlignment, device: torch.device) -> None:
    """Write driver, if there is a clip of it, and control maps side by side."""
    driving = faces.driving
    size = alignment.image_size
    plan = alignment.plan(faces.reference.parameters.to(device), driving.parameters[:1].to(device))
    with writer:
        total = len(driving.parameters)
        for index, driver in enumerate(progress(faces.driver_pictures(size), "Drawing control maps", total)):
            maps = alignment.render(plan, driving.parameters[index : index + 1].to(device))
            writer.write(side_by_side([*driver, *_pictures(maps)]))


def _pictures(maps: ControlMaps) -> Iterator[Picture]:
    for drawn in (maps.normal, maps.depth, maps.shaded):
        if drawn is not None:
            yield to_pictures(drawn)[0]
