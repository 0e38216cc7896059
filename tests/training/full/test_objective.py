from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, EulerDiscreteScheduler, FlowMatchEulerDiscreteScheduler

from anifacediff.errors import InputError
from anifacediff.training.full.objective import Objective

TIMES = torch.tensor([0, 250, 500, 999])


def clips() -> tuple[torch.Tensor, torch.Tensor]:
    chance = torch.Generator().manual_seed(0)
    return torch.randn(4, 2, 3, 2, 2, generator=chance), torch.randn(4, 2, 3, 2, 2, generator=chance)


@pytest.mark.parametrize("zero_snr", [False, True])
def test_noise_and_velocity_are_those_of_diffusers(zero_snr: bool):
    scheduler = DDIMScheduler(prediction_type="v_prediction", rescale_betas_zero_snr=zero_snr)
    add_noise: Any = scheduler.add_noise
    get_velocity: Any = scheduler.get_velocity
    objective = Objective.of(scheduler)
    clean, noise = clips()
    torch.testing.assert_close(objective.noisy(clean, noise, TIMES), add_noise(clean, noise, TIMES))
    torch.testing.assert_close(objective.target(clean, noise, TIMES), get_velocity(clean, noise, TIMES))


def test_weighted_errors_of_all_three_predictions_are_the_same_error():
    """Min-SNR is a weight of the clean latents' error, whatever is predicted: min(SNR, gamma) times it."""
    clean, noise = clips()
    wrong = clean + 0.3 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))
    losses: list[float] = []
    for prediction in ("epsilon", "v_prediction", "sample"):
        objective = Objective.of(DDIMScheduler(prediction_type=prediction), min_snr=5.0)
        kept = objective.kept[TIMES].view(-1, 1, 1, 1, 1).double()
        noisy = objective.noisy(clean, noise, TIMES).double()
        implied = (noisy - kept.sqrt() * wrong) / (1 - kept).sqrt()
        predicted = {
            "epsilon": implied,
            "v_prediction": kept.sqrt() * implied - (1 - kept).sqrt() * wrong,
            "sample": wrong,
        }[prediction]
        losses.append(objective.loss(predicted, clean, noise, TIMES).item())
    assert losses[0] == pytest.approx(losses[2], rel=1e-3)
    assert losses[1] == pytest.approx(losses[2], rel=1e-3)


def test_weights_follow_the_formula_and_are_finite_at_zero_snr():
    scheduler = DDIMScheduler(rescale_betas_zero_snr=True)
    kept = scheduler.alphas_cumprod.double()
    ratio = kept / (1 - kept)
    weight = Objective.of(scheduler, min_snr=5.0).weight(torch.arange(1000)).double()
    torch.testing.assert_close(weight[:-1], (ratio.clamp(max=5) / ratio)[:-1], rtol=1e-5, atol=0)
    assert weight[-1] == 1
    assert Objective.of(scheduler).weight(TIMES).eq(1).all()


def test_what_cannot_be_trained_for_is_refused():
    with pytest.raises(InputError, match="FlowMatch"):
        Objective.of(FlowMatchEulerDiscreteScheduler())
    with pytest.raises(InputError, match="min_snr"):
        Objective.of(EulerDiscreteScheduler(), min_snr=-1.0)
