"""Motion and identity modulate a picture's image tokens, as context for cross-attention."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Literal

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import register_to_config
from torch import nn

from anifacediff.checkpoint import StrictModel
from anifacediff.errors import InputError, ShapeError
from anifacediff.shapes import Float, Tensor, check_finite, check_shape

Modulation = Literal["joint", "cross_attention"]
JOINT_SIZES: Mapping[str, int] = {
    "identity": 25088,
    "gaze": 4,
    "expression": 64,
    "texture": 80,
    "illumination": 27,
    "angles": 3,
    "translation": 3,
}
MOTION_SIZES: Mapping[str, int] = {name: JOINT_SIZES[name] for name in ("gaze", "expression", "angles", "translation")}


@dataclass(frozen=True)
class MotionIdentity:
    """Who is seen and what the face does, one row for each frame, or a single row for all of them.

    Attributes:
        identity: the flattened map of an identity encoder.
        gaze: directions of the eyes.
        expression: expression coefficients.
        texture: texture coefficients.
        illumination: coefficients of the light.
        angles: rotation of the head about x, y, z in radians.
        translation: place of the head, in the face model's units.

    What a :class:`MotionIdentityModulation` has no size for may be left out.
    """

    identity: Float[Tensor, "_ _"] | None = None
    gaze: Float[Tensor, "_ _"] | None = None
    expression: Float[Tensor, "_ _"] | None = None
    texture: Float[Tensor, "_ _"] | None = None
    illumination: Float[Tensor, "_ _"] | None = None
    angles: Float[Tensor, "_ _"] | None = None
    translation: Float[Tensor, "_ _"] | None = None


ITEMS = tuple(item.name for item in fields(MotionIdentity))  # in the published order of the tokens


class MotionIdentityModulation(StrictModel):
    """Image tokens and one token for each item of :class:`MotionIdentity` become the denoiser's context.

    ``"joint"``: the tokens of all items and the image tokens go through a transformer together, as in the published
    code. ``"cross_attention"``: the patch tokens first add what they read of the motion's tokens,
    ``e + softmax(e m^T / sqrt(d)) m``, and the transformer sees the image tokens alone, as the paper has it. The paper
    does not say how coefficients become tokens nor whether the head's translation is among them (here: one linear
    layer and one token an item, translation included), and its equation has no learned queries, keys and values.

    Args:
        sizes: width of each item in use; left out, MIMAFace's own: all seven jointly, the four of motion otherwise.
        image_dim: width c of the image tokens (CLIP ViT-L/14: 1024), the class token first.
        width: width d of the denoiser's context tokens.
        layers: blocks of the transformer.
        heads: its attention heads.
        modulation: ``"joint"`` or ``"cross_attention"``.
        average_over_clip: give all frames the mean of their tokens, so that motion reaches the denoiser through
            its control maps only, as published MIMAFace weights expect.

    Raises:
        InputError: if an item is unknown, or a size is not positive.

    Source: MIMAFace, section 3.2 and eq. 1; its code at 8787c56, ``MIMAFacePostfuseModule``.
    """

    @register_to_config
    def __init__(
        self,
        *,
        sizes: dict[str, int] | None = None,
        image_dim: int = 1024,
        width: int = 768,
        layers: int = 3,
        heads: int = 1,
        modulation: Modulation = "joint",
        average_over_clip: bool = False,
    ) -> None:
        super().__init__()
        if modulation not in ("joint", "cross_attention"):
            raise InputError(f"modulation: expected joint or cross_attention, found {modulation!r}.")
        sizes = dict(JOINT_SIZES if modulation == "joint" else MOTION_SIZES) if sizes is None else sizes
        self.register_to_config(sizes=_checked(sizes))
        self.image_dim = image_dim
        self.modulation: Modulation = modulation
        self.average_over_clip = average_over_clip
        self.project_image = nn.Linear(image_dim, width)
        ordered = [name for name in ITEMS if name in sizes]
        self.projections = nn.ModuleDict({name: nn.Linear(sizes[name], width) for name in ordered})
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, image_tokens: Float[Tensor, "_ l c"], given: MotionIdentity) -> Float[Tensor, "f l2 d"]:
        """Make the context of every frame.

        Args:
            image_tokens: f l c or 1 l c, the image encoder's class token and patch tokens.
            given: items of f rows or 1 row.

        Returns:
            f l2 d: the tokens of the items in the order of :class:`MotionIdentity`, if modulated jointly, then the
            image tokens. The unconditional context is zeros.

        Raises:
            InputError: if an item that has a size is missing, or anything holds NaN or infinity.
            ShapeError: if widths or numbers of rows do not fit.
        """
        check_shape("image_tokens", image_tokens, "f l c", None, None, self.image_dim)
        check_finite("image_tokens", image_tokens)
        items = self._item_tokens(given)
        rows = max(len(image_tokens), len(items))
        if {len(image_tokens), len(items)} - {1, rows}:
            raise ShapeError(f"image_tokens: {len(image_tokens)} rows for {len(items)} frames; give one row, or each.")
        image = self.project_image(image_tokens.to(self.norm.weight.dtype)).expand(rows, -1, -1)
        items = items.expand(rows, -1, -1)
        tokens = torch.cat([items, image], 1) if self.modulation == "joint" else _read_motion(image, items)
        for block in self.blocks:
            tokens = block(tokens)
        tokens = self.norm(tokens)
        return tokens.mean(0, keepdim=True).expand(rows, -1, -1) if self.average_over_clip else tokens

    def _item_tokens(self, given: MotionIdentity) -> Float[Tensor, "f n d"]:
        tokens = {name: project(self._item(name, given)) for name, project in self.projections.items()}
        rows = max(map(len, tokens.values()))
        odd = [f"{name} ({len(token)})" for name, token in tokens.items() if len(token) not in (1, rows)]
        if odd:
            raise ShapeError(f"items of {rows} frames, but of other numbers of rows: {', '.join(odd)}.")
        return torch.stack([token.expand(rows, -1) for token in tokens.values()], 1)

    def _item(self, name: str, given: MotionIdentity) -> Float[Tensor, "f n"]:
        value: Tensor | None = getattr(given, name)
        if value is None:
            raise InputError(f"{name}: these weights were made with it, but it was not given.")
        check_shape(name, value, "f n", None, dict(self.config["sizes"])[name])
        check_finite(name, value)
        return value.to(self.norm.weight.dtype)


class Block(nn.Module):
    """Self-attention and a network of two layers, each after a normalisation and added to what came in."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, tokens: Float[Tensor, "f l d"]) -> Float[Tensor, "f l d"]:
        """Let tokens read each other; the widths of query, key and value lie together for each head."""
        heads = self.qkv(self.norm1(tokens)).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        read = F.scaled_dot_product_attention(*heads.chunk(3, -1))
        tokens = tokens + self.out(read.transpose(1, 2).flatten(2))
        return tokens + self.mlp(self.norm2(tokens))


def _read_motion(image: Float[Tensor, "f l d"], motion: Float[Tensor, "f n d"]) -> Float[Tensor, "f l d"]:
    """Add to the patch tokens what they read of the motion; the class token, which comes first, stays."""
    patches = image[:, 1:]
    return torch.cat([image[:, :1], patches + F.scaled_dot_product_attention(patches, motion, motion)], 1)


def _checked(sizes: dict[str, int]) -> dict[str, int]:
    unknown = sorted(sizes.keys() - set(ITEMS))
    if unknown or not sizes or min(sizes.values()) < 1:
        raise InputError(f"sizes: positive sizes of {', '.join(ITEMS)} are expected, found {sizes}.")
    return sizes
