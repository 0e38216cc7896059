"""Who is drawn: an avatar as named parts, to be made by hand or, with :func:`random_avatar`, by chance."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch

from anifacediff.errors import InputError
from anifacediff.shapes import Float, Tensor
from anifacediff.synthetic import palette
from anifacediff.synthetic.palette import Color

Style = Literal["flat", "cel", "painted", "clay"]
HairCut = Literal[
    "bald",
    "buzz",
    "short",
    "spiky",
    "bob",
    "long",
    "wavy",
    "curly",
    "afro",
    "swept",
    "bun",
    "twintails",
    "ponytail",
    "mohawk",
]
Fringe = Literal["none", "straight", "side", "parted", "wispy"]
FacialHair = Literal["none", "stubble", "moustache", "goatee", "beard"]
Garment = Literal["tee", "turtleneck", "hoodie", "shirt", "dress"]
Pattern = Literal["plain", "stripes", "dots", "halves"]
Glasses = Literal["none", "round", "square", "cat"]
Hat = Literal["none", "beanie", "headband", "ears", "horns", "flower"]
Backdrop = Literal["plain", "gradient", "glow", "rays", "dots", "stripes", "hills"]

STYLES: tuple[Style, ...] = ("flat", "cel", "painted", "clay")
HAIRCUTS: tuple[HairCut, ...] = (
    *("bald", "buzz", "short", "spiky", "bob", "long", "wavy", "curly", "afro", "swept", "bun", "twintails"),
    *("ponytail", "mohawk"),
)


@dataclass(frozen=True)
class Skin:
    """The skin and what is drawn on it; amounts from 0 to 1."""

    color: Color = palette.SKINS[2]
    blush: Color = (0.9, 0.42, 0.4)
    rosy: float = 0.4
    freckles: float = 0.0
    age: float = 0.0
    mole: tuple[float, float] | None = None  # x and y on the face of the head at rest, centimetres


@dataclass(frozen=True)
class Eyes:
    """Eyes; sizes as a share of the eyeball's radius."""

    iris: Color = palette.IRISES[0]
    iris_size: float = 0.52
    pupil_size: float = 0.24
    sclera: Color = (0.98, 0.98, 0.97)
    lashes: float = 0.5
    liner: float = 0.5
    shadow: Color | None = None


@dataclass(frozen=True)
class Brows:
    """Eyebrows; lengths in centimetres."""

    color: Color = palette.HAIRS[3]
    thickness: float = 0.32
    arch: float = 0.1
    slant: float = 0.0
    height: float = 0.3


@dataclass(frozen=True)
class Lips:
    """Lips; ``paint`` says how far their colour is from the skin's."""

    color: Color = (0.82, 0.42, 0.42)
    paint: float = 0.6
    gloss: float = 0.3


@dataclass(frozen=True)
class Hair:
    """Hair on the head and the face."""

    cut: HairCut = "short"
    fringe: Fringe = "side"
    color: Color = palette.HAIRS[3]
    tips: Color = palette.HAIRS[3]
    length: float = 1.0
    volume: float = 1.0
    part: float = 0.4  # where it parts: -1 far at image-left, 1 far at image-right
    line: float = 0.0  # centimetres by which the hairline is higher
    seed: int = 0
    facial: FacialHair = "none"


@dataclass(frozen=True)
class Clothes:
    """What is worn below the neck."""

    garment: Garment = "tee"
    pattern: Pattern = "plain"
    color: Color = palette.CLOTHES[2]
    accent: Color = palette.CLOTHES[4]
    width: float = 1.0


@dataclass(frozen=True)
class Accessories:
    """What is worn on the head."""

    glasses: Glasses = "none"
    frame: Color = (0.16, 0.15, 0.18)
    earrings: bool = False
    metal: Color = palette.METALS[0]
    hat: Hat = "none"
    hat_color: Color = palette.CLOTHES[0]


@dataclass(frozen=True)
class Scene:
    """Background and light; the direction points to the light, x to the image's right, y up, z to the viewer."""

    backdrop: Backdrop = "gradient"
    color: Color = palette.BACKDROPS[1]
    accent: Color = palette.BACKDROPS[5]
    seed: int = 0
    light: tuple[float, float, float] = (-0.45, 0.6, 0.66)
    warmth: float = 0.2  # from -1, a cold light, to 1
    contrast: float = 0.6
    rim: float = 0.3


@dataclass(frozen=True)
class Avatar:
    """Everything that stays when someone moves.

    Attributes:
        shape: identity coefficients of the head by name; the others are zero.
        style: how it is drawn.
    """

    shape: Mapping[str, float] = field(default_factory=dict[str, float])
    skin: Skin = Skin()
    eyes: Eyes = Eyes()
    brows: Brows = Brows()
    lips: Lips = Lips()
    hair: Hair = Hair()
    clothes: Clothes = Clothes()
    accessories: Accessories = Accessories()
    scene: Scene = Scene()
    style: Style = "painted"

    def coefficients(self, names: tuple[str, ...]) -> Float[Tensor, "s"]:
        """The identity coefficients in the order of a head's ``shape_names``.

        Raises:
            InputError: if the head has no coefficient of a name.
        """
        unknown = sorted(set(self.shape) - set(names))
        if unknown:
            raise InputError(
                f"Avatar.shape: the head has no identity coefficient {unknown[0]!r}; it has {', '.join(names)}."
            )
        return torch.tensor([self.shape.get(name, 0.0) for name in names])
