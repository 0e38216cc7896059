"""What the denoiser is to predict, and how much each time counts."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch

from anifacediff.errors import InputError
from anifacediff.shapes import Float, Int, Tensor

Prediction = Literal["epsilon", "v_prediction", "sample"]


@dataclass(frozen=True)
class Objective:
    """Mean square error of what the scheduler says that the denoiser predicts.

    Attributes:
        prediction: noise, velocity, or the clean latents.
        kept: t, the share of the signal's variance that is left at each time (alpha bar).
        min_snr: the signal-to-noise ratio from which times count no more than at it; all count alike if None.

    Source: Ho et al. 2020; Salimans and Ho 2022 (velocity); Hang et al. 2023 (Min-SNR, equation 8, gamma 5).
    """

    prediction: Prediction
    kept: Float[Tensor, "t"]
    min_snr: float | None = None

    @classmethod
    def of(cls, scheduler: Any, min_snr: float | None = None) -> "Objective":
        """What a scheduler of diffusers wants.

        Raises:
            InputError: if it is not known how it adds noise, or ``min_snr`` is not positive.
        """
        prediction, kept = scheduler.config.get("prediction_type"), getattr(scheduler, "alphas_cumprod", None)
        if prediction not in get_args(Prediction) or not isinstance(kept, Tensor):
            raise InputError(f"scheduler: {type(scheduler).__name__} predicting {prediction!r} cannot be trained for.")
        if min_snr is not None and not min_snr > 0:
            raise InputError(f"min_snr: must be positive, found {min_snr}.")
        return cls(prediction, kept.float(), min_snr)

    @property
    def settings(self) -> Mapping[str, str]:
        """What the losses depend on, apart from the limit: what is predicted, and a digest of the noise's schedule."""
        noise = hashlib.sha256(self.kept.cpu().numpy().tobytes()).hexdigest()[:16]
        return {"prediction": self.prediction, "noise": noise}

    @property
    def times(self) -> int:
        """How many times there are."""
        return len(self.kept)

    def noisy(
        self, clean: Float[Tensor, "b *n"], noise: Float[Tensor, "b *n"], times: Int[Tensor, "b"]
    ) -> Float[Tensor, "b *n"]:
        """Clean latents with the noise of their times."""
        signal, spread = self._scales(clean, times)
        return signal * clean + spread * noise

    def target(
        self, clean: Float[Tensor, "b *n"], noise: Float[Tensor, "b *n"], times: Int[Tensor, "b"]
    ) -> Float[Tensor, "b *n"]:
        """What is to be predicted."""
        if self.prediction == "epsilon":
            return noise
        if self.prediction == "sample":
            return clean
        signal, spread = self._scales(clean, times)
        return signal * noise - spread * clean

    def weight(self, times: Int[Tensor, "b"]) -> Float[Tensor, "b"]:
        """How much each time counts.

        Min-SNR weighs the error of the clean latents by min(SNR, gamma); the error of the noise is SNR times as
        large, that of the velocity SNR + 1 times.
        """
        if self.min_snr is None:
            return torch.ones_like(times, dtype=torch.float32)
        kept = self.kept.to(times.device)[times].double()
        ratio = kept / (1 - kept).clamp(min=1e-12)
        limited = ratio.clamp(max=self.min_snr)
        if self.prediction == "sample":
            return limited.float()
        if self.prediction == "v_prediction":
            return (limited / (ratio + 1)).float()
        return torch.where(ratio > self.min_snr, self.min_snr / ratio.clamp(min=1e-12), 1.0).float()

    def loss(
        self,
        predicted: Float[Tensor, "b *n"],
        clean: Float[Tensor, "b *n"],
        noise: Float[Tensor, "b *n"],
        times: Int[Tensor, "b"],
    ) -> Float[Tensor, ""]:
        """The mean over the batch of each example's mean square error, weighted by its time."""
        error = (predicted.float() - self.target(clean, noise, times)).square().flatten(1).mean(1)
        return (self.weight(times) * error).mean()

    def _scales(self, like: Tensor, times: Tensor) -> tuple[Tensor, Tensor]:
        kept = self.kept.to(like.device)[times].view(-1, *(1,) * (like.ndim - 1))
        return kept.sqrt(), (1 - kept).sqrt()
