"""The true sizes, without memory: the layouts assumed here account for the published files to the byte."""

import json
import math
from collections.abc import Mapping

import pytest
import torch
from diffusers import AutoencoderKL, MotionAdapter, UNet2DConditionModel
from original_motion import original_shapes
from test_loading import old_name
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from anifacediff.assemblies.published.folders import STABLE_DIFFUSION_1_5
from anifacediff.assemblies.published.moore import MotionLayout, convert_motion_modules
from anifacediff.assemblies.stable_diffusion import LATENT_SCALE
from anifacediff.backbone.temporal import TemporalModules
from anifacediff.shapes import Tensor

WIDTHS = (320, 640, 1280, 1280)
Shapes = Mapping[str, tuple[int, ...]]


def shapes(weights: Mapping[str, Tensor]) -> Shapes:
    return {key: tuple(tensor.shape) for key, tensor in weights.items()}


def file_size(found: Shapes) -> int:
    """Bytes of a safetensors file of float32, whose header names every tensor, its shape and its place."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for key in sorted(found):
        start, end = end, end + 4 * math.prod(found[key])
        header[key] = {"dtype": "F32", "shape": list(found[key]), "data_offsets": [start, end]}
    length = len(json.dumps(header, separators=(",", ":")))
    return 8 + math.ceil(length / 8) * 8 + end


@pytest.fixture(scope="module")
def unet() -> UNet2DConditionModel:
    with torch.device("meta"):
        return UNet2DConditionModel(**STABLE_DIFFUSION_1_5.unet)


def test_the_denoiser(unet: UNet2DConditionModel):
    """As ``unet/diffusion_pytorch_model.non_ema.safetensors`` of stable-diffusion-v1-5; the other is 4 bytes longer."""
    assert len(unet.state_dict()) == 686
    assert file_size(shapes(unet.state_dict())) == 3_438_167_536


def test_the_vae():
    """As ``vae`` of stable-diffusion-v1-5, and ``sd-vae-ft-mse``: in the names of an early diffusers."""
    with torch.device("meta"):
        vae = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 4,  # pyright: ignore[reportArgumentType]
            up_block_types=("UpDecoderBlock2D",) * 4,  # pyright: ignore[reportArgumentType]
            block_out_channels=(128, 256, 512, 512),  # pyright: ignore[reportArgumentType]
            layers_per_block=2,
        )
    named = {old_name(key): shape for key, shape in shapes(vae.state_dict()).items()}
    assert len(named) == 248
    assert file_size(named) == 334_643_276
    assert vae.config["scaling_factor"] == LATENT_SCALE


@pytest.mark.parametrize(
    ("mid_block", "size"), [(True, 1_815_329_816), (False, 1_670_875_648)], ids=["v1-5-2", "32 frames, no middle"]
)
def test_motion_adapters_of_diffusers(unet: UNet2DConditionModel, mid_block: bool, size: int):
    with torch.device("meta"):
        published = MotionAdapter(use_motion_mid_block=mid_block)
        ours = TemporalModules.for_unet(unet, mid_block=mid_block)
    assert file_size(shapes(published.state_dict())) == size
    assert shapes(ours.state_dict()) == shapes(published.state_dict())


@pytest.mark.parametrize(
    ("frames", "mid_block", "tensors"), [(32, True, 588), (32, False, 560), (24, False, 560)], ids=["v2", "v3", "v1"]
)
def test_motion_modules_of_animatediff(unet: UNet2DConditionModel, frames: int, mid_block: bool, tensors: int):
    """Every tensor of such a file finds its place, and no place stays empty."""
    published = dict(original_shapes(WIDTHS, layers=2, frames=frames, mid_block=mid_block))
    assert len(published) == tensors
    weights = {key: torch.zeros(()).expand(shape) for key, shape in published.items()}  # without memory
    layout = MotionLayout.of(weights)
    assert layout == MotionLayout(frames, mid_block)
    with torch.device("meta"):
        temporal = TemporalModules.for_unet(unet, max_frames=frames, mid_block=mid_block)
    converted = convert_motion_modules(weights, temporal)
    assert converted.tensors.keys() == temporal.state_dict().keys()
    assert not converted.unused
    assert not converted.filled


def test_the_file_of_v3():
    """``v3_sd15_mm.ckpt`` has 1,673,262,583 bytes: its tensors, and for each its name and an archive's entries."""
    published = dict(original_shapes(WIDTHS, layers=2, frames=32, mid_block=False))
    rest = 1_673_262_583 - 4 * sum(map(math.prod, published.values()))
    assert 250 < rest / len(published) < 500


def test_the_image_encoder(unet: UNet2DConditionModel):
    """CLIP ViT-L/14: 304 million weights, and a projection to what the denoiser reads."""
    sizes = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16}
    config = CLIPVisionConfig.from_dict({**sizes, "patch_size": 14, "projection_dim": 768})
    with torch.device("meta"):
        encoder = CLIPVisionModelWithProjection(config)
    assert sum(tensor.numel() for tensor in encoder.parameters()) == 303_966_208
    assert encoder.state_dict()["visual_projection.weight"].shape == (unet.config["cross_attention_dim"], 1024)
    assert encoder.state_dict()["vision_model.embeddings.position_embedding.weight"].shape == (257, 1024)
