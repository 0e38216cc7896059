"""Memory of a training at Stable Diffusion 1.5 size, computed from the networks' shapes; nothing is allocated or run.

Weights, gradients, Adam's moments and the average are counted from the parameters. Activations are those that gradient
checkpointing keeps, the inputs of every checkpointed block in bfloat16, and all that the block with the most of them
holds while it is computed again (bfloat16; 4 bytes behind normalisations, which autocast computes in float32). Not in
it: CUDA's own context (about 0.5 GB), cuDNN's workspace, fragmentation, and the buckets of DDP (one more gradient).

    python benchmarks/training_memory.py --size 256 --frames 24
"""

import argparse
from dataclasses import dataclass, field
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from diffusers.models.unets.unet_motion_model import AnimateDiffTransformer3D
from torch import nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from anifacediff.backbone.temporal import TemporalModules
from anifacediff.conditioning.expression_adapter import ExpressionAdapter
from anifacediff.conditioning.pose_encoder import PoseEncoder

GB = 1e9
UNHEARD = 2.45e6  # of ReferenceNet, behind its last self-attention: trained no longer
BLOCKS = (ResnetBlock2D, Transformer2DModel, AnimateDiffTransformer3D)
AROUND = 4  # a transformer's own normalisation and projections are not computed again, its blocks are
NORMS = (nn.GroupNorm, nn.LayerNorm)
CLIP: dict[str, Any] = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
}
VAE = {
    "block_out_channels": (128, 256, 512, 512),
    "layers_per_block": 2,
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
}


@dataclass
class Kept:
    """Bytes of activations in one pass through a network."""

    inputs: float = 0.0
    inside: dict[str, float] = field(default_factory=dict)
    _current: str = ""

    def watch(self, network: nn.Module) -> None:
        for name, module in network.named_modules():
            if isinstance(module, BLOCKS):
                module.register_forward_pre_hook(self._enter(name), with_kwargs=True)
                module.register_forward_hook(self._leave)
            elif not list(module.children()):
                module.register_forward_hook(self._leaf)

    def _enter(self, name: str) -> Any:
        def enter(module: nn.Module, args: Any, kwargs: Any) -> None:
            first = next(value for value in (*args, *kwargs.values()) if isinstance(value, torch.Tensor))
            self.inputs += 2 * (AROUND if isinstance(module, Transformer2DModel) else 1) * first.numel()
            self._current = name
            self.inside[name] = 0.0

        return enter

    def _leave(self, module: nn.Module, args: Any, output: Any) -> None:
        self._current = ""

    def _leaf(self, module: nn.Module, args: Any, output: Any) -> None:
        if self._current and isinstance(output, torch.Tensor):
            self.inside[self._current] += (4 if isinstance(module, NORMS) else 2) * output.numel()

    @property
    def total(self) -> float:
        return self.inputs + max(self.inside.values())


def count(*networks: nn.Module) -> float:
    return float(sum(weight.numel() for network in networks for weight in network.parameters()))


def networks() -> dict[str, Any]:
    with torch.device("meta"):
        unet: Any = UNet2DConditionModel.from_config({"cross_attention_dim": 768})
        vae = AutoencoderKL.from_config(VAE)
        clip = CLIPVisionModelWithProjection(CLIPVisionConfig(**CLIP, patch_size=14, projection_dim=768))
        adapters = nn.ModuleList([PoseEncoder.for_unet(unet), ExpressionAdapter.for_unet(unet, expression_dim=52)])
        reference = UNet2DConditionModel.from_config(unet.config)
        temporal = TemporalModules.for_unet(unet)
    return {
        "unet": unet, "reference": reference, "adapters": adapters, "vae": vae, "clip": clip, "temporal": temporal
    }  # fmt: skip


def activations(network: Any, batch: int, frames: int | None, size: int) -> float:
    kept = Kept()
    kept.watch(network)
    side = size // 8
    shape = (batch, 4, side, side) if frames is None else (batch, 4, frames, side, side)
    with torch.no_grad():
        network(torch.zeros(shape, device="meta"), 1, torch.zeros(batch * (frames or 1), 1, 768, device="meta"))
    return kept.total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--batches", type=int, nargs="*", default=[1, 4, 8, 16])
    args = parser.parse_args()
    parts = networks()
    whole = count(parts["unet"], parts["reference"], parts["adapters"])
    fixed = count(parts["clip"], parts["vae"])
    print({name: f"{count(part) / 1e6:.1f} M" for name, part in parts.items()})
    print(f"activations at {args.size} x {args.size}:")
    for batch in args.batches:
        stills = activations(parts["unet"], batch, None, args.size)
        read = activations(parts["reference"], batch, None, args.size)
        print(f"  stage 1, batch {batch}: denoiser {stills / GB:.2f} GB, ReferenceNet {read / GB:.2f} GB")
    for name, learned, frozen in (
        ("stage 1", whole - UNHEARD, fixed),
        ("stage 2", count(parts["temporal"]), whole + fixed),
    ):
        print(
            f"{name}: learned {learned / 1e6:.1f} M: weights {4 * learned / GB:.2f}, gradients {4 * learned / GB:.2f}, "
            f"Adam {8 * learned / GB:.2f}, average {4 * learned / GB:.2f}, in bfloat16 for autocast "
            f"{2 * learned / GB:.2f}; frozen {4 * frozen / GB:.2f} (float32) GB"
        )
    video = parts["temporal"].inflate(parts["unet"])
    for batch in (1, 2):
        clips = activations(video, batch, args.frames, args.size)
        print(f"  stage 2, batch {batch}, {args.frames} frames: denoiser {clips / GB:.2f} GB")


if __name__ == "__main__":
    main()
