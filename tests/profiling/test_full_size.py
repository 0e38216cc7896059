import torch
from torch import nn

from anifacediff import registry
from anifacediff.profiling.full_size import FULL_SIZE, full_image_encoder, full_unet, full_vae


def weights(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_networks_have_the_published_sizes():
    with torch.device("meta"):
        assert weights(full_unet()) == 859_520_964  # of Stable Diffusion 1.5's files
        assert weights(full_vae()) == 83_653_863
        assert weights(full_image_encoder()) == 303_966_208  # CLIP ViT-L/14: 303,179,776, and the projection to 768


def test_all_are_assemblies():
    assert all(name.removesuffix("_v1") in registry.assemblies for name in FULL_SIZE)
