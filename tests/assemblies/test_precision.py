"""Half precision agrees with float32 on the CPU; the errors are in steps of a byte, measured on random weights."""

import numpy as np
import pytest
import torch
from portraits import arrays, faces, portrait

from anifacediff.assemblies import AniFaceDiffPipeline, AnimateAnyonePipeline, MagicPortraitPipeline, MIMAFacePipeline

ASSEMBLIES = (AniFaceDiffPipeline, AnimateAnyonePipeline, MagicPortraitPipeline, MIMAFacePipeline)

pytestmark = pytest.mark.filterwarnings("ignore::anifacediff.assemblies.exchange.UntrainedWarning")


def generate(assembly: int, dtype: torch.dtype) -> np.ndarray:
    pipe = ASSEMBLIES[assembly].untrained(image_size=64)
    pipe.set_progress_bar_config(disable=True)
    pipe.to(dtype=dtype)
    return arrays(pipe(portrait(pipe), faces(pipe, 3), num_inference_steps=2)).astype(float)


@pytest.mark.parametrize("assembly", range(len(ASSEMBLIES)), ids=[each.__name__ for each in ASSEMBLIES])
def test_half_precision_is_close_to_float32(assembly: int):
    exact = generate(assembly, torch.float32)
    bfloat16 = np.abs(generate(assembly, torch.bfloat16) - exact).mean()
    float16 = np.abs(generate(assembly, torch.float16) - exact).mean()
    assert bfloat16 < 3  # measured 0.6 to 2.0; pictures of the same weights from other noise differ by over 30
    assert float16 < 0.4  # measured 0.07 to 0.26
    assert float16 < bfloat16 / 3, "three more bits are seen"
