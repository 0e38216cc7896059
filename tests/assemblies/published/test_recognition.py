import pytest

from anifacediff.assemblies.published.recognition import LOOKS, looks_like

UNET = ("conv_in.weight", "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.weight")
MOTION = "down_blocks.0.motion_modules.0."
PUBLISHED: dict[str, tuple[str, ...]] = {
    "Stable Diffusion in its original layout": ("model.diffusion_model.input_blocks.0.0.weight", "cond_stage_model.x"),
    "weights of LoRA": ("unet.up_blocks.1.attentions.0.transformer_blocks.0.attn1.to_k.lora_A.weight",),
    "an IP-Adapter": ("image_proj.proj.weight", "ip_adapter.1.to_k_ip.weight"),
    "a ControlNet": (*UNET, "controlnet_cond_embedding.conv_in.weight"),
    "a variational autoencoder": ("encoder.conv_in.weight", "decoder.conv_in.weight", "quant_conv.weight"),
    "CLIP": ("vision_model.embeddings.class_embedding", "visual_projection.weight"),
    "a video UNet with motion modules in the layout of AnimateDiff and Animate Anyone": (
        *UNET,
        f"{MOTION}temporal_transformer.norm.weight",
    ),
    "a video UNet with motion modules in the layout of diffusers": (*UNET, f"{MOTION}proj_in.weight"),
    "motion modules in the layout of AnimateDiff and Animate Anyone": (f"{MOTION}temporal_transformer.proj_in.weight",),
    "motion modules in the layout of diffusers": (f"{MOTION}transformer_blocks.0.attn1.to_q.weight",),
    "a UNet of Stable Diffusion, or a denoising_unet without motion modules": (*UNET, "conv_out.weight"),
    "a reference_unet (without an output)": UNET,
    "a guidance encoder of MagicPortrait": (
        "conv_in.weight",
        "blocks.0.weight",
        "attentions.5.proj_in.weight",
        "guidance_attention.norm.weight",
        "conv_out.weight",
    ),
    "a pose guider of Animate Anyone": ("conv_in.weight", "blocks.0.weight", "conv_out.weight"),
    "a pose guider of AniPortrait": ("scale", "conv_layers.0.weight", "cross_attn4.proj_out.weight"),
    "the motion and identity tokens of MIMAFace (mim.pth)": ("transform_dim_arcface.weight", "layer_norm.weight"),
    "DECA": ("E_flame.encoder.conv1.weight",),
    "SMIRK": ("smirk_encoder.pose_encoder.encoder.conv_stem.weight",),
    "D3DFR as MIMAFace has it": ("backbone.conv1.weight", "fianl_layers.6.bias"),
    "Deep3DFaceRecon's network": ("net_recon.backbone.conv1.weight", "net_recon.final_layers.0.weight"),
    "a face recognition network": ("input_layer.0.weight", "output_layer.3.weight"),
    "nothing that is known here": ("fc.weight", "fc.bias"),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_checkpoint_is_told_by_its_keys(name: str):
    assert looks_like(PUBLISHED[name]) == name


def test_every_look_has_an_example():
    assert {look.name for look in LOOKS} == set(PUBLISHED) - {"nothing that is known here"}
