"""Start an autoencoder as the best linear one: principal components, found before anything is trained."""

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from diffusers.models.autoencoders.autoencoder_dc import AutoencoderDC, DCDownBlock2d, DCUpBlock2d, ResBlock
from torch import nn

from anifacediff.shapes import Float, Tensor

_CONSTANT = 3.0  # of idle channels before the last normalisation, which then divides by nearly the same everywhere
_LIFT = 1.0  # brings what follows it above the last activation's bend


@torch.no_grad()
def start_linear(vae: AutoencoderDC, images: Float[Tensor, "f 3 h w"]) -> None:
    """Set the weights so that latents are principal components of patches, of unit variance, and decoding undoes that.

    Residual blocks start closed. Each linear layer is solved for by least squares on the given images.

    Args:
        vae: with pixel (un)shuffling, and no shortcut around the latents.
        images: some hundred, in [-1, 1].
    """
    states = _encoder(vae, images)
    stride = images.shape[-1] // states.shape[-1]
    channels = vae.encoder.conv_out.out_channels
    _solve(vae.encoder.conv_out, states, _principal(F.pixel_unshuffle(images, stride), channels))
    _decoder(vae, images, vae.encoder.conv_out(states))


def _encoder(vae: AutoencoderDC, images: Tensor) -> Tensor:
    first = vae.encoder.conv_in
    assert isinstance(first, DCDownBlock2d)
    _keep(first.conv, images)
    states = first(images)
    for layer in _layers(vae.encoder.down_blocks):
        if isinstance(layer, DCDownBlock2d):
            _keep(layer.conv, states)
        states = layer(states)
    return states


def _decoder(vae: AutoencoderDC, images: Tensor, latents: Tensor) -> None:
    decoder = vae.decoder
    _keep(decoder.conv_in, latents)
    states = decoder.conv_in(latents)
    for layer in _layers(reversed(decoder.up_blocks)):
        if isinstance(layer, DCUpBlock2d):
            _solve_up(layer, states, images)
        states = layer(states)
    norm, last = decoder.norm_out, decoder.conv_out
    assert norm.weight is not None
    assert norm.bias is not None
    assert isinstance(last, DCUpBlock2d)
    nn.init.ones_(norm.weight)
    nn.init.constant_(norm.bias, _LIFT)
    states = F.relu(norm(states.movedim(1, -1)).movedim(-1, 1))
    _solve(last.conv, states, F.pixel_unshuffle(images, 2))


def _solve_up(layer: DCUpBlock2d, states: Tensor, images: Tensor) -> None:
    """Let the block's output be the colours of the pixels that each place stands for; further channels are constant."""
    stride = images.shape[-1] // (2 * states.shape[-1])
    colors = F.pixel_unshuffle(images, stride)
    idle = layer.conv.out_channels // 4 - colors.shape[1]
    wanted = torch.cat([colors, torch.full_like(colors[:, :1], _CONSTANT).expand(-1, idle, -1, -1)], dim=1)
    nn.init.zeros_(layer.conv.weight)
    _clear_bias(layer.conv)
    _solve(layer.conv, states, F.pixel_unshuffle(wanted - layer(states), 2))


def _layers(blocks: Iterable[Any]) -> list[nn.Module]:
    """The layers of some blocks in order; residual ones are closed."""
    layers: list[nn.Module] = [layer for block in blocks for layer in block]
    for layer in layers:
        if isinstance(layer, ResBlock):
            nn.init.zeros_(layer.norm.get_parameter("weight"))
    return layers


def _keep(conv: nn.Conv2d, states: Tensor) -> None:
    """Let a convolution pass as much of its input as its channels can hold; spare ones keep a fresh one's weights."""
    kept = min(conv.in_channels, conv.out_channels)
    rows = torch.eye(kept) if kept == conv.in_channels else _components(states, kept).T
    conv.weight[:kept] = 0.0
    conv.weight[:kept, :, 1, 1] = rows
    _clear_bias(conv)


def _clear_bias(conv: nn.Conv2d) -> Tensor:
    assert conv.bias is not None
    return nn.init.zeros_(conv.bias)


def _solve(conv: nn.Conv2d, states: Tensor, wanted: Tensor) -> None:
    """Fit the middle of a convolution's kernel, and its bias, by least squares."""
    inputs, outputs = (each.movedim(1, -1).flatten(0, -2).double() for each in (states, wanted))
    inputs = torch.cat([inputs, torch.ones_like(inputs[:, :1])], dim=1)
    square = inputs.T @ inputs
    ridge = 1e-6 * square.diagonal().mean() * torch.eye(len(square))
    solution = torch.linalg.solve(square + ridge, inputs.T @ outputs).float()
    nn.init.zeros_(conv.weight)
    conv.weight[..., 1, 1] = solution[:-1].T
    _clear_bias(conv).copy_(solution[-1])


def _components(states: Tensor, count: int) -> Tensor:
    rows = states.movedim(1, -1).flatten(0, -2)
    return torch.linalg.eigh(torch.cov(rows.T)).eigenvectors[:, -count:]


def _principal(patches: Tensor, count: int) -> Tensor:
    """Principal components with zero mean and unit variance."""
    found = (patches - patches.mean((0, 2, 3), keepdim=True)).movedim(1, -1) @ _components(patches, count)
    return (found / found.std((0, 1, 2))).movedim(-1, 1)
