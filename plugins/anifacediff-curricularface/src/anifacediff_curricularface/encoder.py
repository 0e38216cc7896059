"""The network of CurricularFace: a ResNet of 49 blocks for upright faces of 112 pixels."""

from collections.abc import Sequence
from typing import Literal

import torch.nn.functional as F
from torch import nn

from anifacediff.errors import InputError
from anifacediff.shapes import Float, Tensor, check_finite, check_shape

Features = Literal["map", "embedding"]
WIDTHS, UNITS = (64, 64, 128, 256, 512), (3, 13, 30, 3)
EMBEDDING = 512
TEMPLATE, SIZE = 256, 112


class CurricularFaceEncoder(nn.Module):
    """Says whose face an upright picture of 112 pixels shows; in evaluation mode, by the published keys.

    Args:
        features: ``"map"`` gives the last feature map, flattened (512 x 7 x 7 = 25088), as MIMAFace takes it;
            ``"embedding"`` the 512 numbers that recognition compares by their angle.
        widths: channels of the first layer and of the four stages.
        units: blocks of each stage.

    Raises:
        InputError: if there are no such features.

    Source: Huang et al., CurricularFace, CVPR 2020; IR-101 of its published code, and of MIMAFace's (8787c56).
    """

    def __init__(
        self, *, features: Features = "map", widths: Sequence[int] = WIDTHS, units: Sequence[int] = UNITS
    ) -> None:
        super().__init__()
        if features not in ("map", "embedding"):
            raise InputError(f"features: expected map or embedding, found {features!r}.")
        self.features: Features = features
        side = SIZE // 2 ** len(units)
        self.map_size = widths[-1] * side**2
        self.input_layer = nn.Sequential(
            nn.Conv2d(3, widths[0], 3, padding=1, bias=False), nn.BatchNorm2d(widths[0]), nn.PReLU(widths[0])
        )
        stages = zip(widths[:-1], widths[1:], units, strict=True)
        self.body = nn.Sequential(
            *(
                Block(wide if unit else narrow, wide, stride=1 if unit else 2)
                for narrow, wide, count in stages
                for unit in range(count)
            )
        )
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(widths[-1]),
            nn.Dropout(0.4),
            nn.Flatten(),
            nn.Linear(self.map_size, EMBEDDING),
            nn.BatchNorm1d(EMBEDDING, affine=False),
        )
        self.eval()

    @property
    def image_size(self) -> int:
        """Height and width in pixels of the pictures that it takes."""
        return SIZE

    @property
    def num_features(self) -> int:
        """How many numbers it gives."""
        return self.map_size if self.features == "map" else EMBEDDING

    def forward(self, pictures: Float[Tensor, "f 3 h w"]) -> Float[Tensor, "f n"]:
        """Encode faces that stand as :func:`crop` leaves them.

        Args:
            pictures: f 3 112 112, RGB in [0, 1].

        Raises:
            ShapeError: if they are of another size.
            InputError: if they hold NaN or infinity.
        """
        check_shape("pictures", pictures, "f 3 h w", None, 3, SIZE, SIZE)
        check_finite("pictures", pictures)
        states = self.body(self.input_layer(2 * pictures - 1))
        return states.flatten(1) if self.features == "map" else self.output_layer(states)


class Block(nn.Module):
    """Two convolutions, the second of which may stride, added to what came in."""

    def __init__(self, narrow: int, wide: int, *, stride: int) -> None:
        super().__init__()
        self.shortcut_layer = (
            nn.MaxPool2d(1, stride)
            if narrow == wide
            else nn.Sequential(nn.Conv2d(narrow, wide, 1, stride, bias=False), nn.BatchNorm2d(wide))
        )
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(narrow),
            nn.Conv2d(narrow, wide, 3, padding=1, bias=False),
            nn.PReLU(wide),
            nn.Conv2d(wide, wide, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(wide),
        )

    def forward(self, states: Float[Tensor, "f c h w"]) -> Float[Tensor, "f c2 h2 w2"]:
        """Apply the block."""
        return self.res_layer(states) + self.shortcut_layer(states)


def crop(pictures: Float[Tensor, "f 3 h w"]) -> Float[Tensor, "f 3 112 112"]:
    """Cut the face out of pictures that are aligned with MIMAFace's template of 256 pixels.

    Pictures of another size are brought to 256 pixels first. The published code gives it pictures of 512 pixels in
    which the face stands as the template of 256 says, so that it fills the upper left quarter: to have that, warp to
    512 pixels with the template's matrix, and call this.

    Args:
        pictures: f 3 h w, in any range.

    Source: ``models/ArcFace/CurricularFace_wrapper.py`` of MIMAFace.
    """
    check_shape("pictures", pictures, "f 3 h w", None, 3, None, None)
    if pictures.shape[2] != TEMPLATE:
        pictures = F.interpolate(pictures, (TEMPLATE, TEMPLATE), mode="bilinear")
    face = pictures[:, :, : 2 * SIZE, 16 : 16 + 2 * SIZE]
    return F.interpolate(face, (SIZE, SIZE), mode="bilinear")
