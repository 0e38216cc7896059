"""The public files in their true layout, with random weights of a small size."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from original_motion import original_motion
from portraits import arrays, faces, portrait
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import CLIPConfig, CLIPModel
from transformers.modeling_outputs import BaseModelOutputWithPooling

from anifacediff.assemblies.anifacediff import AniFaceDiffPipeline
from anifacediff.assemblies.parts import stable_diffusion_parts
from anifacediff.assemblies.stable_diffusion import PublicFiles, load_public
from anifacediff.backbone.lora import attach_lora
from anifacediff.backbone.temporal import TemporalModules
from anifacediff.errors import AssetError, AttachmentError, CheckpointError

SIZE = 64
WIDTHS = (32, 64)
CONTEXT = 32
ROUNDING = 1e-3  # of a grey level, on average: a few pixels fall to the other side
WEIGHTS = "diffusion_pytorch_model.safetensors"
OLD_ATTENTION = {".to_q.": ".query.", ".to_k.": ".key.", ".to_v.": ".value.", ".to_out.0.": ".proj_attn."}
pytestmark = pytest.mark.filterwarnings("ignore::anifacediff.assemblies.exchange.UntrainedWarning")


def make_unet(**others: object) -> UNet2DConditionModel:
    settings: dict[str, object] = {
        "sample_size": 8,
        "block_out_channels": WIDTHS,
        "layers_per_block": 1,
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
        "cross_attention_dim": CONTEXT,
        "attention_head_dim": 8,
    }
    unet = UNet2DConditionModel.from_config(settings | others)
    assert isinstance(unet, UNet2DConditionModel)
    return unet


def save_vae(folder: Path) -> AutoencoderKL:
    """As the VAEs of Stable Diffusion 1.5 lie on the Hub: with an early diffusers' names, and no scaling factor."""
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,  # pyright: ignore[reportArgumentType]
        up_block_types=("UpDecoderBlock2D",) * 4,  # pyright: ignore[reportArgumentType]
        block_out_channels=(8, 8, 8, 8),  # pyright: ignore[reportArgumentType]
        norm_num_groups=8,
    )
    vae.save_pretrained(folder)
    save_file({old_name(key): value for key, value in load_file(folder / WEIGHTS).items()}, folder / WEIGHTS)
    kept = ("_class_name", "act_fn", "block_out_channels", "down_block_types", "in_channels", "latent_channels")
    kept += ("layers_per_block", "norm_num_groups", "out_channels", "sample_size", "up_block_types")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({name: config[name] for name in kept}))
    return vae


def old_name(key: str) -> str:
    for new, old in OLD_ATTENTION.items():
        key = key.replace(new, old) if ".attentions." in key else key
    return key


def save_clip(folder: Path) -> CLIPModel:
    """As ``openai/clip-vit-large-patch14``: both halves, and the positions' numbers among the weights."""
    common = {"intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "projection_dim": CONTEXT}
    text = {**common, "hidden_size": 16, "vocab_size": 100}
    vision = {**common, "hidden_size": 16, "image_size": 16, "patch_size": 8}
    clip = CLIPModel(CLIPConfig.from_dict({"text_config": text, "vision_config": vision, "projection_dim": CONTEXT}))
    clip.save_pretrained(folder)
    path = folder / "model.safetensors"
    numbers = {
        "text_model.embeddings.position_ids": torch.arange(77)[None],
        "vision_model.embeddings.position_ids": torch.arange(5)[None],
    }
    save_file(load_file(path) | numbers, path, metadata={"format": "pt"})
    return clip


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Stable Diffusion folder, another VAE, CLIP, and motion modules in both layouts."""
    torch.manual_seed(0)
    root = tmp_path_factory.mktemp("public")
    make_unet().save_pretrained(root / "sd" / "unet")
    save_vae(root / "sd" / "vae")
    save_vae(root / "sd-vae-ft-mse")
    (root / "sd" / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    save_clip(root / "clip")
    torch.save(original_motion(WIDTHS, layers=1, frames=32, mid_block=True), root / "mm_sd_v15_v2.ckpt")
    return root


@pytest.fixture
def root(originals: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(originals, tmp_path / "public"))


def find(root: Path, motion: str = "mm_sd_v15_v2.ckpt", vae: str | None = None) -> PublicFiles:
    return PublicFiles.find(root / "sd", root / motion, root / "clip", None if vae is None else root / vae)


def assemble(root: Path, vae: Path | None = None) -> AniFaceDiffPipeline:
    motion, clip = root / "mm_sd_v15_v2.ckpt", root / "clip"
    torch.manual_seed(7)
    pipe = AniFaceDiffPipeline.from_stable_diffusion(
        root / "sd", motion_adapter=motion, image_encoder=clip, vae=vae, image_size=SIZE
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def generate(pipe: AniFaceDiffPipeline) -> Tensor:
    return torch.from_numpy(arrays(pipe(portrait(pipe), faces(pipe, 3), num_inference_steps=1)))


def mean_difference(first: Tensor, second: Tensor) -> float:
    return float((first.double() - second.double()).abs().mean())


def test_a_pipeline_of_public_files_runs(originals: Path):
    pipe = assemble(originals, vae=originals / "sd-vae-ft-mse")
    assert generate(pipe).shape == (3, SIZE, SIZE, 3)
    stored = load_file(originals / "sd-vae-ft-mse" / WEIGHTS)
    loaded = pipe.vae.state_dict()
    assert {old_name(key) for key in loaded} == stored.keys()
    assert all(torch.equal(stored[old_name(key)], tensor) for key, tensor in loaded.items())


def test_the_vision_half_of_clip(originals: Path):
    encoder = load_public(find(originals), torch.float32).image_encoder
    pixels = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        whole = CLIPModel.from_pretrained(originals / "clip").get_image_features(pixels)
    assert isinstance(whole, BaseModelOutputWithPooling)
    assert isinstance(whole.pooler_output, Tensor)
    assert torch.equal(encoder(pixels).image_embeds, whole.pooler_output)


def test_the_vae_of_the_pipeline_is_not_needed_beside_another(root: Path):
    shutil.rmtree(root / "sd" / "vae")
    with pytest.raises(CheckpointError, match="has no vae"):
        find(root)
    assert find(root, vae="sd-vae-ft-mse").vae == root / "sd-vae-ft-mse"


@pytest.mark.parametrize(("frames", "mid_block"), [(32, True), (32, False), (24, False)], ids=["v2", "v3", "v1"])
def test_motion_modules_in_either_layout_are_the_same(originals: Path, tmp_path: Path, frames: int, mid_block: bool):
    weights = original_motion(WIDTHS, layers=1, frames=frames, mid_block=mid_block)
    bare, wrapped, safe, folder = (tmp_path / name for name in ("bare.ckpt", "wrapped.pth", "mm.safetensors", "folder"))
    torch.save(weights, bare)
    torch.save({"epoch": 3, "state_dict": {f"module.{key}": value for key, value in weights.items()}}, wrapped)
    save_file(weights, safe)
    loaded = load_public(find(originals, str(bare)), torch.float32).temporal
    assert (loaded.config["motion_max_seq_length"], loaded.config["use_motion_mid_block"]) == (frames, mid_block)
    loaded.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    # What diffusers' own class, and one of its early versions, wrote.
    early = {"_class_name": "MotionAdapter", "motion_activation_fn": "geglu", "motion_cross_attention_dim": None}
    (folder / "config.json").write_text(json.dumps(config | early))
    for source in (wrapped, safe, folder):
        again = load_public(find(originals, str(source)), torch.float32).temporal.state_dict()
        assert again.keys() == loaded.state_dict().keys()
        assert all(torch.equal(again[key], tensor) for key, tensor in loaded.state_dict().items())
    there, here = "temporal_transformer.transformer_blocks.0.attention_blocks.1", "transformer_blocks.0.attn2"
    query = loaded.state_dict()[f"down_blocks.0.motion_modules.0.{here}.to_q.weight"]
    assert torch.equal(query, weights[f"down_blocks.0.motion_modules.0.{there}.to_q.weight"])


def test_precision_is_that_asked_for(originals: Path, tmp_path: Path):
    half = {key: value.half() for key, value in original_motion(WIDTHS, layers=1, frames=32, mid_block=True).items()}
    torch.save(half, tmp_path / "half.ckpt")
    files = find(originals, str(tmp_path / "half.ckpt"))
    parts = stable_diffusion_parts(
        files, preset="final", image_size=SIZE, morphable_model="parametric", torch_dtype=torch.bfloat16
    )
    modules = (parts.vae, parts.image_encoder, parts.unet, parts.reference_net, parts.pose_encoder)
    assert {tensor.dtype for module in modules for tensor in module.parameters()} == {torch.bfloat16}


def _only_pickles(root: Path) -> None:
    (root / "sd" / "unet" / WEIGHTS).rename(root / "sd" / "unet" / "diffusion_pytorch_model.bin")


def _only_half(root: Path) -> None:
    (root / "sd" / "unet" / WEIGHTS).rename(root / "sd" / "unet" / "diffusion_pytorch_model.fp16.safetensors")


def _only_clip_pickles(root: Path) -> None:
    (root / "clip" / "model.safetensors").rename(root / "clip" / "pytorch_model.bin")


def _no_weights(root: Path) -> None:
    (root / "sd" / "vae" / WEIGHTS).unlink()


def _no_subfolder(root: Path) -> None:
    shutil.rmtree(root / "sd" / "unet")


def _original_layout(root: Path) -> None:
    shutil.rmtree(root / "sd" / "unet")
    (root / "sd" / "v1-5-pruned.safetensors").write_bytes(b"")


def _nested_encoder(root: Path) -> None:
    (root / "clip").rename(root / "image_encoder")
    (root / "clip").mkdir()
    (root / "image_encoder").rename(root / "clip" / "image_encoder")


def _config_of_nothing(root: Path) -> None:
    (root / "sd" / "unet" / "config.json").write_text("[]")


def _change(path: str, **settings: object) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        config = root / path / "config.json"
        config.write_text(json.dumps(json.loads(config.read_text()) | settings))

    return change


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_only_pickles, r"unet: .*diffusion_pytorch_model\.bin.*UNet2DConditionModel\.from_pretrained"),
        (_only_clip_pickles, r"clip: .*pytorch_model\.bin.*CLIPVisionModelWithProjection\.from_pretrained"),
        (_only_half, r"only a variant .*\.fp16\.safetensors\)\. Get diffusion_pytorch_model\.safetensors"),
        (_no_weights, r"vae: has no weights"),
        (_no_subfolder, r"sd: has no unet; the folder is incomplete\.$"),
        (_original_layout, r"has no unet; .*v1-5-pruned\.safetensors, is not read; .*from_single_file"),
        (_nested_encoder, r"clip: has no config\.json; its subfolders image_encoder have one"),
        (_config_of_nothing, r"unet.config\.json: holds a list"),
        (_change("sd/unet", cross_attention_dim=1024), r"unet: is the denoiser of Stable Diffusion 2 .*768"),
        (_change("sd/unet", cross_attention_dim=2048), r"unet: is the denoiser of Stable Diffusion XL .*2048.*768"),
        (_change("sd/unet", cross_attention_dim=1280, addition_embed_type="text_time"), r"Stable Diffusion XL"),
        (_change("sd/unet", in_channels=9), r"takes 9 channels where the VAE has 4, .*inpainting"),
        (_change("sd/unet", cross_attention_dim=[32, 32]), r"cross_attention_dim as \[32, 32\]"),
        (_change("sd/vae", scaling_factor=0.13025), r"vae: .*scaled by 0\.13025, .*0\.18215.*another model"),
        (_change("clip", vision_config={"projection_dim": 1024}), r"clip: projects images to 1024 .* contexts of 32"),
    ],
)
def test_what_is_missing_or_of_another_model_is_named(root: Path, damage: Callable[[Path], None], message: str):
    damage(root)
    with pytest.raises(CheckpointError, match=message):
        assemble(root)


def test_single_files_are_named_for_what_they_are(originals: Path, tmp_path: Path):
    whole, damaged = tmp_path / "v1-5-pruned-emaonly.safetensors", tmp_path / "damaged.ckpt"
    save_file({"model.diffusion_model.input_blocks.0.0.weight": torch.zeros(1)}, whole)
    damaged.write_bytes(b"no checkpoint")
    with pytest.raises(CheckpointError, match="single file, which looks like Stable Diffusion in its original layout"):
        PublicFiles.find(whole, originals / "mm_sd_v15_v2.ckpt", originals / "clip")
    with pytest.raises(CheckpointError, match=r"damaged\.ckpt: is a single file, but a folder .*from_single_file"):
        PublicFiles.find(originals / "sd", originals / "mm_sd_v15_v2.ckpt", originals / "clip", damaged)


def test_motion_modules_that_do_not_fit_are_named(originals: Path, tmp_path: Path):
    path = tmp_path / "mm.ckpt"
    torch.save(original_motion((32, 64, 64), layers=1, frames=32, mid_block=False), path)
    with pytest.raises(CheckpointError, match="looks like motion modules in the layout of AnimateDiff"):
        load_public(find(originals, str(path)), torch.float32)
    torch.save(make_unet().state_dict(), path)
    with pytest.raises(CheckpointError, match="looks like a UNet of Stable Diffusion"):
        load_public(find(originals, str(path)), torch.float32)
    path.write_bytes(b"PK, but no archive")
    with pytest.raises(AssetError, match=r"mm\.ckpt"):
        load_public(find(originals, str(path)), torch.float32)


def lora_files(folder: Path) -> tuple[Path, Path]:
    """The same LoRA in the names of diffusers and in those of kohya."""
    torch.manual_seed(5)
    ours: dict[str, Tensor] = {}
    theirs: dict[str, Tensor] = {}
    block = "down_blocks.0.attentions.0.transformer_blocks.0"
    for place, inputs in (("attn1.to_q", 32), ("attn1.to_v", 32), ("attn2.to_k", CONTEXT), ("attn2.to_out.0", 32)):
        down, up = torch.randn(2, inputs), torch.randn(32, 2)
        ours |= {f"unet.{block}.{place}.lora_A.weight": down, f"unet.{block}.{place}.lora_B.weight": up}
        name = f"lora_unet_{block}.{place}".replace(".", "_")
        theirs |= {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up, f"{name}.alpha": torch.tensor(2.0)}
    save_file(ours, folder / "diffusers.safetensors")
    save_file(theirs, folder / "kohya.safetensors")
    return folder / "diffusers.safetensors", folder / "kohya.safetensors"


@pytest.fixture(scope="module")
def with_lora(originals: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Tensor]:
    """Files of a LoRA, and what a pipeline that was assembled before it was loaded makes with it."""
    ours, theirs = lora_files(tmp_path_factory.mktemp("lora"))
    pipe = assemble(originals)
    without = generate(pipe)
    with attach_lora(pipe.unet, ours):
        output = generate(pipe)
    assert mean_difference(output, without) > 0.1
    assert mean_difference(generate(pipe), without) < ROUNDING
    return ours, theirs, output


def test_lora_in_the_names_of_kohya(originals: Path, with_lora: tuple[Path, Path, Tensor]):
    pipe = assemble(originals)
    attach_lora(pipe.unet, with_lora[1])
    assert mean_difference(generate(pipe), with_lora[2]) < ROUNDING


def test_lora_on_a_denoiser_that_has_its_motion_modules_may_come_first(
    originals: Path, with_lora: tuple[Path, Path, Tensor]
):
    torch.manual_seed(7)
    parts = stable_diffusion_parts(
        find(originals), preset="final", image_size=SIZE, morphable_model="parametric", torch_dtype=torch.float32
    )
    attach_lora(parts.unet, with_lora[0])
    pipe = AniFaceDiffPipeline(**vars(parts))
    pipe.set_progress_bar_config(disable=True)
    assert mean_difference(generate(pipe), with_lora[2]) < ROUNDING


def test_lora_before_the_motion_modules_is_refused(originals: Path, with_lora: tuple[Path, Path, Tensor]):
    unet = make_unet()
    attach_lora(unet, with_lora[0])
    with pytest.raises(AttachmentError, match="carries LoRA weights"):
        TemporalModules.for_unet(unet).inflate(unet)


def test_a_fused_lora_is_saved_with_the_pipeline(originals: Path, with_lora: tuple[Path, Path, Tensor], tmp_path: Path):
    pipe = assemble(originals)
    attach_lora(pipe.unet, with_lora[0])
    pipe.unet.fuse_lora()
    pipe.unet.unload_lora()
    fused = generate(pipe)
    assert mean_difference(fused, with_lora[2]) < ROUNDING
    pipe.save_pretrained(tmp_path)
    loaded = AniFaceDiffPipeline.from_pretrained(tmp_path)
    loaded.set_progress_bar_config(disable=True)
    stored = loaded.unet.state_dict()
    assert all(torch.equal(stored[key], tensor) for key, tensor in pipe.unet.state_dict().items())
    assert mean_difference(generate(loaded), fused) < ROUNDING


def test_a_lora_of_the_first_convolution_is_fused_before_the_pipeline_is_built(originals: Path):
    lora = {
        "unet.conv_in.lora_A.weight": torch.randn(2, 4, 3, 3),
        "unet.conv_in.lora_B.weight": torch.randn(32, 2, 1, 1),
    }
    with pytest.raises(AttachmentError, match="conv_in, where a component of ours is attached"):
        attach_lora(assemble(originals).unet, lora)
    parts = stable_diffusion_parts(
        find(originals), preset="final", image_size=SIZE, morphable_model="parametric", torch_dtype=torch.float32
    )
    before = parts.unet.conv_in.weight.clone()
    attach_lora(parts.unet, lora)
    parts.unet.fuse_lora()
    parts.unet.unload_lora()
    change = torch.einsum(
        "rchw,or->ochw", lora["unet.conv_in.lora_A.weight"], lora["unet.conv_in.lora_B.weight"][..., 0, 0]
    )
    torch.testing.assert_close(parts.unet.conv_in.weight, before + change)
    assert torch.equal(parts.reference_net.conv_in.weight, before)
    pipe = AniFaceDiffPipeline(**vars(parts))
    assert not hasattr(pipe.unet, "peft_config")
