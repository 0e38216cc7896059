from pathlib import Path

import pytest
from prepared_clips import small_pipeline, write_prepared

from anifacediff.training.latents import fingerprint


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_prepared(tmp_path_factory.mktemp("prepared"), fingerprint(small_pipeline().vae))
