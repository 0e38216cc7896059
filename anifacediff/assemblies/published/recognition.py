"""What a checkpoint looks like, from its keys."""

import re
from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class Look:
    """How the keys of one kind of checkpoint are told.

    Attributes:
        name: what the checkpoint is.
        all_of: patterns, each of which some key begins with.
        none_of: patterns that no key begins with.
    """

    name: str
    all_of: tuple[str, ...]
    none_of: tuple[str, ...] = ()

    def fits(self, keys: Collection[str]) -> bool:
        """Whether the keys are those of such a checkpoint."""

        def seen(pattern: str) -> bool:
            return any(re.match(pattern, key) for key in keys)

        return all(map(seen, self.all_of)) and not any(map(seen, self.none_of))


_UNET = r"(down|mid|up)_blocks?\..*attentions\."
_ORIGINAL = r".*motion_modules\.\d+\.temporal_transformer\."
_MOTION = r".*motion_modules\.\d+\.(transformer_blocks|proj_in)"

LOOKS: tuple[Look, ...] = (
    Look("Stable Diffusion in its original layout", (r"model\.diffusion_model\.",)),
    Look("weights of LoRA", (r".*\.?lora_?(A|B|down|up|unet|te|\.)",)),
    Look("an IP-Adapter", (r"image_proj(\.|$)", r"ip_adapter(\.|$)")),
    Look("a ControlNet", (r"controlnet_cond_embedding\.|input_hint_block\.|control_model\.",)),
    Look(
        "a variational autoencoder", (r"(first_stage_model\.)?encoder\.conv_in\.", r"(first_stage_model\.)?decoder\.")
    ),
    Look("CLIP", (r"(text|vision)_model\.",)),
    Look("a video UNet with motion modules in the layout of AnimateDiff and Animate Anyone", (_UNET, _ORIGINAL)),
    Look("a video UNet with motion modules in the layout of diffusers", (_UNET, _MOTION)),
    Look("motion modules in the layout of AnimateDiff and Animate Anyone", (_ORIGINAL,)),
    Look("motion modules in the layout of diffusers", (_MOTION,)),
    Look("a UNet of Stable Diffusion, or a denoising_unet without motion modules", (_UNET, r"conv_out\.")),
    Look("a reference_unet (without an output)", (_UNET, r"conv_in\.")),
    Look("a guidance encoder of MagicPortrait", (r"guidance_attention\.|attentions\.5\.", r"blocks\.")),
    Look("a pose guider of Animate Anyone", (r"conv_in\.", r"blocks\.0\.weight", r"conv_out\."), (r".*attention",)),
    Look("a pose guider of AniPortrait", (r"conv_layers\.0\.", r"scale$|cross_attn")),
    Look("the motion and identity tokens of MIMAFace (mim.pth)", (r"transform_dim_arcface\.",)),
    Look("DECA", (r"E_flame(\.|$)",)),
    Look("SMIRK", (r"smirk_encoder\.",)),
    Look("D3DFR as MIMAFace has it", (r"fianl_layers\.",)),
    Look("Deep3DFaceRecon's network", (r"(net_recon\.)?final_layers\.|net_recon$",)),
    Look("a face recognition network", (r"output_layer\.",)),
)


def looks_like(keys: Collection[str]) -> str:
    """Name what checkpoint has such keys, as far as it is known here."""
    return next((look.name for look in LOOKS if look.fits(keys)), "nothing that is known here")
