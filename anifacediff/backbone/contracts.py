"""What reference nets and temporal modules must offer; plugins implement these protocols."""

from typing import Any, Protocol, runtime_checkable

from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.models.unets.unet_motion_model import UNetMotionModel

from anifacediff.attachment import Attachment, Denoiser
from anifacediff.shapes import Float, Tensor


@runtime_checkable
class ReferenceNetwork(Protocol):
    """Reads the reference image for a denoiser."""

    @classmethod
    def from_unet(cls, unet: UNet2DConditionModel) -> "ReferenceNetwork":
        """Build one that starts as the denoiser."""
        ...

    def attach(self, unet: Denoiser) -> Attachment:
        """Let the denoiser read the network's condition until detached."""
        ...

    def read(
        self,
        latents: Float[Tensor, "b c h w"],
        encoder_hidden_states: Float[Tensor, "b l d"],
        unet: Denoiser,
        *,
        guidance: bool = False,
    ) -> dict[str, Any]:
        """Make entries for ``cross_attention_kwargs`` from the reference's latents."""
        ...


@runtime_checkable
class TemporalNetwork(Protocol):
    """Lets the frames of a window see each other."""

    @classmethod
    def for_unet(cls, unet: UNet2DConditionModel) -> "TemporalNetwork":
        """Build fresh modules for a denoiser, which leave its output unchanged until trained."""
        ...

    def inflate(self, unet: UNet2DConditionModel) -> UNetMotionModel:
        """Build the video denoiser, which shares the 2D denoiser's weights."""
        ...
