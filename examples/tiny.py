"""Stands in for what a user loads or measures, so that every example runs in seconds, offline and on a CPU.

In an application, ``stable_diffusion()`` is ``StableDiffusionPipeline.from_pretrained(...)``, ``image_encoder()`` is
``CLIPVisionModelWithProjection.from_pretrained(...)``, ``pretend_trained(Part.for_unet(unet))`` is
``Part.from_pretrained(...)``, ``portrait()`` is a photograph, and ``turning_head()`` is what
``anifacediff.tracking`` finds in a picture or a video. The models are real ones, only tiny and random: what they
draw means nothing, but it changes when a condition changes.
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from PIL import Image
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer, CLIPVisionConfig, CLIPVisionModelWithProjection

from anifacediff.geometry import Box, FaceParameters, MorphableModel, WeakPerspective

ModuleT = TypeVar("ModuleT", bound=nn.Module)

IMAGE_SIZE = 128
WIDTH = 32  # of context tokens


VAE: dict[str, Any] = {
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (8, 8, 16, 16),
    "norm_num_groups": 8,
}
UNET: dict[str, Any] = {
    "block_out_channels": (32, 64),
    "layers_per_block": 1,
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    "cross_attention_dim": WIDTH,
    "attention_head_dim": (2, 4),  # diffusers reads this as the number of heads
}
TRANSFORMER: dict[str, int] = {
    "hidden_size": WIDTH,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}


def stable_diffusion(image_size: int = IMAGE_SIZE) -> Any:
    """Build a ``StableDiffusionPipeline`` with few, random weights; ``Any``, as from its ``from_pretrained``."""
    torch.manual_seed(0)
    tokenizer = _tokenizer()
    text_config = CLIPTextConfig.from_dict(
        {
            **TRANSFORMER,
            "vocab_size": len(tokenizer),
            "max_position_embeddings": tokenizer.model_max_length,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
        }
    )
    components: dict[str, Any] = {
        "vae": AutoencoderKL(**VAE, sample_size=image_size).eval(),
        "text_encoder": CLIPTextModel(text_config).eval(),
        "tokenizer": tokenizer,
        "unet": UNet2DConditionModel(**UNET, sample_size=image_size // 8).eval(),
        "scheduler": DDIMScheduler(clip_sample=False, steps_offset=1),
        "safety_checker": None,
        "feature_extractor": None,
    }
    return StableDiffusionPipeline(**components, requires_safety_checker=False)


def image_encoder() -> CLIPVisionModelWithProjection:
    """Build a CLIP image encoder with few, random weights."""
    torch.manual_seed(0)
    config = CLIPVisionConfig.from_dict({**TRANSFORMER, "image_size": 32, "patch_size": 8, "projection_dim": WIDTH})
    return CLIPVisionModelWithProjection(config).eval()


def pretend_trained(module: ModuleT) -> ModuleT:
    """Fill a fresh module with random weights: its last layers are zero until trained, so that it changes nothing."""
    torch.manual_seed(1)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.2)
    return module.eval()


def portrait(image_size: int = IMAGE_SIZE) -> Tensor:
    """Paint a picture, 1 3 h w in [0, 1]: a light disc before a gradient."""
    axis = torch.linspace(-1, 1, image_size)
    disc = (axis[:, None] ** 2 + axis**2 < 0.4).float()
    return torch.stack([axis.expand_as(disc) / 4 + 0.4, disc, 1 - disc / 2])[None].clamp(0, 1)


def turning_head(head: MorphableModel, num_frames: int, canvas: int = IMAGE_SIZE) -> FaceParameters:
    """Give the parameters of a head that turns and changes its expression, looking ahead in the first frame."""
    progress = torch.linspace(0, 1, num_frames) if num_frames > 1 else torch.zeros(1)
    expression = torch.zeros(num_frames, head.num_expression)
    expression[:, :3] = 2 * progress[:, None]
    pose = torch.zeros(num_frames, len(head.joint_names), 3)
    pose[:, 0, 1] = 0.8 * progress  # the first joint, about the vertical axis
    box = canvas * torch.tensor([0.25, 0.25, 0.75, 0.75])
    return FaceParameters(
        shape=torch.zeros(num_frames, head.num_shape),
        expression=expression,
        pose=pose,
        camera=WeakPerspective(torch.full((num_frames,), 3.2 * canvas), torch.full((num_frames, 2), canvas / 2)),
        box=Box(box.expand(num_frames, 4)),
        canvas=(canvas, canvas),
    )


def save_clip(frames: list[Image.Image], path: str) -> None:
    """Write an animation, say as GIF."""
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100, loop=0)


def _tokenizer() -> CLIPTokenizer:
    """Make CLIP's tokenizer with single letters as its whole vocabulary."""
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    symbols = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    with TemporaryDirectory() as folder:
        Path(folder, "vocab.json").write_text(json.dumps({symbol: index for index, symbol in enumerate(symbols)}))
        Path(folder, "merges.txt").write_text("#version: 0.2\n")
        return CLIPTokenizer.from_pretrained(folder, model_max_length=16)
