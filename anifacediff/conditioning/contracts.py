"""What control renderers, attention adapters and identity encoders must offer; plugins implement these protocols."""

from typing import Any, Protocol, runtime_checkable

from anifacediff.attachment import Attachment, Denoiser
from anifacediff.geometry.contracts import MorphableModel
from anifacediff.geometry.faces import FaceParameters
from anifacediff.geometry.snapshots import ControlMaps
from anifacediff.shapes import Float, Tensor


@runtime_checkable
class ControlRenderer(Protocol):
    """Draws the face that the reference would show with the driving clip's pose and expression."""

    @property
    def morphable_model(self) -> MorphableModel:
        """The face model whose coefficients are drawn."""
        ...

    def __call__(self, reference: FaceParameters, driving: FaceParameters) -> ControlMaps:
        """Render a clip: :meth:`plan`, then :meth:`render`.

        Args:
            reference: one frame: whose face it is, and where it stands on the canvas.
            driving: f frames: what the face does.

        Returns:
            The maps, one picture for each driving frame.
        """
        ...

    def plan(self, reference: FaceParameters, driving: FaceParameters) -> Any:
        """Find what all frames of a clip share, from the reference and the clip's first frame; a type of its own."""
        ...

    def render(self, alignment: Any, driving: FaceParameters) -> ControlMaps:
        """Render some frames of a clip, equal to those frames of the whole.

        Args:
            alignment: what :meth:`plan` returned.
            driving: any frames of the clip.
        """
        ...

    def aligned(self, alignment: Any, driving: FaceParameters) -> FaceParameters:
        """The parameters that :meth:`render` draws, in pixels of the maps."""
        ...


@runtime_checkable
class AttentionAdapter(Protocol):
    """Adds attention to a denoiser, over tokens made of expression coefficients."""

    @classmethod
    def for_unet(cls, unet: Denoiser, *, expression_dim: int = 50) -> "AttentionAdapter":
        """Build a fresh adapter for a denoiser, which leaves its output unchanged until trained."""
        ...

    def attach(self, unet: Denoiser) -> Attachment:
        """Let the denoiser read the adapter's condition until detached."""
        ...

    def __call__(self, expression: Float[Tensor, "f e"], *, guidance: bool = False) -> dict[str, Tensor]:
        """Make entries for ``cross_attention_kwargs`` from one row of coefficients per frame."""
        ...


@runtime_checkable
class IdentityEncoder(Protocol):
    """Says by numbers whose face a picture shows, whatever the face does."""

    @property
    def image_size(self) -> int:
        """Height and width in pixels of the pictures that it takes, in which the face stands as it was trained."""
        ...

    @property
    def num_features(self) -> int:
        """How many numbers n it gives."""
        ...

    def __call__(self, pictures: Float[Tensor, "f 3 h w"]) -> Float[Tensor, "f n"]:
        """Encode aligned RGB pictures in [0, 1], of its size: one row for each, a feature map flattened.

        Raises:
            ShapeError: if they are of another size.
        """
        ...
