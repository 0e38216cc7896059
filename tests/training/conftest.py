import numpy as np
import pytest

from anifacediff.conditioning.plane_sweep import PLANES
from anifacediff.training.dataset import Casting, DrawnSet, draw_identities
from anifacediff.training.latents import EncodedSet
from anifacediff.training.nano import LATENT_CHANNELS

SMALL = Casting(first_seed=3, identities=2, frames=3, references=3)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> DrawnSet:
    folder = tmp_path_factory.mktemp("drawn")
    result = DrawnSet.create(folder, SMALL)
    list(draw_identities(result, [0, 1]))
    return result


@pytest.fixture
def stills(drawn: DrawnSet) -> EncodedSet:
    """Latents of one colour each, which are quick to learn."""
    colors = np.random.default_rng(0).normal(size=(2, 3, LATENT_CHANNELS, 1, 1))
    latents = colors.repeat(16, 3).repeat(16, 4).astype(np.float16)
    warped = np.broadcast_to(latents[:, None], (2, 3, *latents.shape[1:]))
    return EncodedSet(drawn, latents, warped, np.stack([warped] * PLANES, axis=3))
