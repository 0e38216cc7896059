"""What is to be read off a drawn set: the truth, recomputed from the seeds, and pictures made harder."""

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F

from anifacediff.errors import ConfigurationError
from anifacediff.evaluation.reader import Reading
from anifacediff.media.pictures import to_images
from anifacediff.shapes import Float, Int, Tensor
from anifacediff.synthetic.casting import random_avatar
from anifacediff.synthetic.expression import ExpressiveHead
from anifacediff.synthetic.motion import random_motion
from anifacediff.training.dataset import DrawnSet

_SHIFT, _ZOOM = 0.05, 0.12
_ERROR_ZOOM, _ERROR_PLACE = 0.05, 0.012
_NOISE, _LIGHT, _CONTRAST = 0.04, 0.05, 0.12
_CELL, _REACH = 4, 4  # pixels, and how many cells of them hair reaches beyond the face


@dataclass(frozen=True)
class Sample:
    """Pictures, where their faces are, and what is to be read off them.

    Attributes:
        images: f 3 h w, RGB in [0, 1].
        faces: f 1 h w, one where a control map shows a face, else zero.
        truth: of the pictures.
    """

    images: Float[Tensor, "f 3 h w"]
    faces: Float[Tensor, "f 1 h w"]
    truth: Reading


def true_readings(drawn: DrawnSet) -> Reading:
    """What a perfect reader would say about every frame of a set, frame after frame of each identity.

    Raises:
        ConfigurationError: if the set was drawn with other motions than those of its seeds.
    """
    casting = drawn.casting
    names = ExpressiveHead().shape_names
    shapes = torch.stack([random_avatar(seed).coefficients(names) for seed in casting.seeds])
    motions = [random_motion(seed, casting.frames, fps=casting.fps) for seed in casting.seeds]
    expression = torch.cat([motion.expression for motion in motions])
    if not np.allclose(expression.numpy(), drawn.expression.reshape(len(expression), -1), atol=1e-5):
        raise ConfigurationError(
            f"{casting}: its expressions are not those of its seeds, so another version drew it; draw it again with "
            "`anifacediff train data`."
        )
    return Reading(
        shape=shapes.repeat_interleave(casting.frames, dim=0),
        expression=expression,
        pose=torch.cat([motion.pose for motion in motions]),
        zoom=torch.cat([motion.zoom for motion in motions]),
        place=torch.cat([motion.place for motion in motions]),
        eyes=torch.from_numpy(drawn.eyes.reshape(-1, 2, 2).mean(1)) / casting.size,
    )


def sample(drawn: DrawnSet, truth: Reading, who: Int[Tensor, "f"], when: Int[Tensor, "f"]) -> Sample:
    """Take some frames of a set.

    Args:
        drawn: the set.
        truth: what :func:`true_readings` says about it.
        who: f, numbers of identities.
        when: f, numbers of their frames.
    """
    rows = who * drawn.casting.frames + when
    at = (who.numpy(), when.numpy())
    faces = to_images(drawn.maps[at]).amax(1, keepdim=True) > 0
    chosen = {name: value[rows] for name, value in vars(truth).items()}
    return Sample(to_images(drawn.pictures[at]), faces.float(), Reading(**chosen))


def harder(given: Sample, generator: torch.Generator) -> Sample:
    """Move and resize pictures a little, put half of them before another's surroundings, blur them, and add noise.

    So a reader that is used on generated pictures looks at faces, not at what is peculiar to drawn ones.
    """
    moved = _moved(_elsewhere(given, generator), generator)
    images = moved.images
    count = len(images)

    def amounts(most: float) -> Float[Tensor, "f 1 1 1"]:
        return most * torch.rand(count, 1, 1, 1, generator=generator)

    blurred = F.avg_pool2d(images, 5, stride=1, padding=2, count_include_pad=False)
    images = torch.lerp(images, blurred, (amounts(2.0) - 1).clamp(min=0))
    contrast = 1 + amounts(2 * _CONTRAST) - _CONTRAST
    images = (images - 0.5) * contrast + 0.5 + amounts(2 * _LIGHT) - _LIGHT
    noise = torch.randn(images.shape, generator=generator)
    return replace(moved, images=(images + amounts(_NOISE) * noise).clamp(0, 1))


def mistaken(truth: Reading, generator: torch.Generator) -> Reading:
    """Where faces seem to be to someone who errs as much as the part of a reader that finds them."""
    zoom = truth.zoom * torch.exp(_ERROR_ZOOM * torch.randn(truth.zoom.shape, generator=generator))
    eyes = truth.eyes + _ERROR_PLACE * torch.randn(truth.eyes.shape, generator=generator)
    return replace(truth, zoom=zoom, eyes=eyes)


def _elsewhere(given: Sample, generator: torch.Generator) -> Sample:
    near = F.max_pool2d(F.max_pool2d(given.faces, _CELL), 2 * _REACH + 1, stride=1, padding=_REACH)
    kept = F.interpolate(near, given.images.shape[2:])
    swapped = torch.rand(len(kept), 1, 1, 1, generator=generator) < 0.5
    return replace(given, images=torch.where(swapped & (kept == 0), given.images.roll(2, dims=0), given.images))


def _moved(given: Sample, generator: torch.Generator) -> Sample:
    count = len(given.images)
    scale = torch.exp(_ZOOM * (2 * torch.rand(count, generator=generator) - 1))
    shift = _SHIFT * (2 * torch.rand(count, 2, generator=generator) - 1)
    inverse = torch.zeros(count, 2, 3)
    inverse[:, 0, 0] = inverse[:, 1, 1] = 1 / scale
    inverse[:, :, 2] = -2 * shift / scale[:, None]  # affine_grid counts from -1 to 1
    grid = F.affine_grid(inverse, list(given.images.shape), align_corners=False)
    images = F.grid_sample(given.images, grid, mode="bilinear", padding_mode="border", align_corners=False)
    place, eyes = ((at - 0.5) * scale[:, None] + 0.5 + shift for at in (given.truth.place, given.truth.eyes))
    truth = replace(given.truth, zoom=given.truth.zoom * scale, place=place, eyes=eyes)
    return replace(given, images=images, truth=truth)
