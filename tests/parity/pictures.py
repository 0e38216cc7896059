"""How our pictures of meshes compare with those that PyTorch3D's rasteriser drew."""

import torch
from torch import Tensor


def assert_covers(found: Tensor, expected: Tensor) -> Tensor:
    """Compare f h w masks: intersection over union; return the pixels that both cover."""
    both = found & expected
    assert both.any()
    assert float(both.sum() / (found | expected).sum()) >= 0.9999
    return both


def assert_normals(found: Tensor, expected: Tensor, both: Tensor) -> None:
    """Compare f 3 h w normals on the covered pixels."""
    off = (found - expected).abs().amax(1)[both]
    assert float((off <= 1e-4).float().mean()) >= 0.999


def saved(picture: Tensor) -> Tensor:
    """The bytes that torchvision writes for a picture in [0, 1]; what lies outside is cut off."""
    return (picture * 255 + 0.5).clamp(0, 255).to(torch.uint8)
