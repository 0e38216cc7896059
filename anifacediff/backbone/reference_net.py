"""ReferenceNet: a second UNet reads the reference image, and the denoiser's self-attention looks at what it saw."""

from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import nn

from anifacediff.attachment import (
    AttachedProcessor,
    Attachment,
    Attention,
    Denoiser,
    attach,
    attention_bias,
    project_out,
    spatial_attention,
    split_heads,
)
from anifacediff.backbone.reference_addition import attach_addition
from anifacediff.backbone.reference_features import KeysValues, ReferenceFeatures, repeated
from anifacediff.checkpoint import StrictModel
from anifacediff.errors import AttachmentError, InputError
from anifacediff.shapes import Float, Tensor, check_finite, check_shape

Fusion = Literal["concatenate", "add"]


class ReferenceNet(StrictModel, UNet2DConditionModel):
    """A ``UNet2DConditionModel`` of which only hidden states inside its transformer blocks are used.

    The denoiser's self-attention runs over [own ; reference] tokens and keeps its own half: queries are its
    own, keys and values are extended. The reference's keys and values depend on neither frame nor step.
    (Or hidden states are added: see ``fusion`` of :meth:`read`.)

    Source: AniFaceDiff, section 3.2; Animate Anyone, whose published code takes the layers' normalised inputs.

    Example:
        >>> reference_net = ReferenceNet.from_unet(unet)                         # doctest: +SKIP
        >>> with reference_net.attach(unet):                                     # doctest: +SKIP
        ...     condition = reference_net.read(reference_latents, image_tokens, unet)
        ...     unet(latents, t, tokens, cross_attention_kwargs=condition)
    """

    @classmethod
    def from_unet(cls, unet: UNet2DConditionModel) -> "ReferenceNet":
        """Copy a 2D denoiser, weights and all.

        Raises:
            AttachmentError: if it is no ``UNet2DConditionModel``, or carries LoRA weights.
        """
        if getattr(unet, "peft_config", None):
            raise AttachmentError("The denoiser carries LoRA weights; fuse or unload them before copying it.")
        if not isinstance(unet, UNet2DConditionModel):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise AttachmentError(
                f"ReferenceNet copies a UNet2DConditionModel, found a {type(unet).__name__}; of a video denoiser, "
                "TemporalModules.deflate(unet) is the 2D one."
            )
        with torch.device("meta"):
            reference_net = cls.from_config(unet.config)
        assert isinstance(reference_net, cls)
        reference_net.load_state_dict({key: value.clone() for key, value in unet.state_dict().items()}, assign=True)
        return reference_net.train(unet.training)

    def hidden_states(
        self,
        latents: Float[Tensor, "b c h w"],
        encoder_hidden_states: Float[Tensor, "b l d"],
        *,
        before: Literal["attention", "block"] = "attention",
        cross_attention_kwargs: Mapping[str, object] | None = None,
    ) -> dict[str, Tensor]:
        """Run the network at timestep 0 and collect its hidden states.

        Args:
            latents: b c h w, clean, scaled as the VAE's; any size that the UNet takes.
            encoder_hidden_states: b l d, the context of cross-attention (image or text tokens).
            before: the normalised input of every self-attention layer, or the input of every transformer block.
            cross_attention_kwargs: conditions of what is attached to this network itself.

        Returns:
            b l d for each layer or block, by its place.

        Raises:
            ShapeError: if the latents have other channels, or the context another batch or width.
            InputError: if the latents hold NaN or infinity.
        """
        width = self.config["cross_attention_dim"]  # an integer, or one for each block
        check_shape("latents", latents, "b c h w", None, self.config["in_channels"], None, None)
        check_shape(
            "encoder_hidden_states",
            encoder_hidden_states,
            "b l d",
            latents.shape[0],
            None,
            width if isinstance(width, int) else None,
        )
        check_finite("latents", latents)
        seen: dict[str, Tensor] = {}

        def remember(place: str):
            def hook(module: nn.Module, args: tuple[Tensor, ...]) -> None:
                seen[place] = args[0]

            return hook

        layers = spatial_attention(self, "attn1")
        places = layers if before == "attention" else map(_block_of, layers)
        handles = [self.get_submodule(place).register_forward_pre_hook(remember(place)) for place in places]
        try:
            conditions = dict(cross_attention_kwargs or {})
            self(latents, 0, encoder_hidden_states, cross_attention_kwargs=conditions, return_dict=False)
        finally:
            for handle in handles:
                handle.remove()
        return seen

    def read(
        self,
        latents: Float[Tensor, "b c h w"],
        encoder_hidden_states: Float[Tensor, "b l d"],
        unet: Denoiser,
        *,
        guidance: bool = False,
        fusion: Fusion = "concatenate",
        store_dtype: torch.dtype | None = None,
        cross_attention_kwargs: Mapping[str, object] | None = None,
    ) -> dict[str, ReferenceFeatures]:
        """Make the denoiser's condition from reference latents.

        Args:
            latents: b c h w, clean; b divides the denoiser's (conditional) rows.
            encoder_hidden_states: b l d, the context of cross-attention.
            unet: the denoiser that will read them; its key and value projections are used.
            guidance: whether the denoiser sees [unconditional; conditional] rows in one batch; the first
                half then attends to its own tokens only. Forgotten, both halves see the reference, and
                guidance does not strengthen it.
            fusion: ``"concatenate"`` gives self-attention the reference's keys and values, projected once (the
                published code of Animate Anyone, AniPortrait and MagicPortrait); ``"add"`` adds the reference's
                hidden states to the denoiser's before each transformer block (MagicPortrait, section III-C, as
                worded; for latents of equal size). Not said there: which of the block's paths see the sum (here the
                sum is the block's input, for all of them), and whether it is scaled (here not).
            store_dtype: what the hidden states are rounded to before the denoiser takes them; the published code of
                the same three rounds to float16, whatever it computes in. Not rounded if None.
            cross_attention_kwargs: conditions of what is attached to this network itself, such as a Pose Encoder
                that shows it where the face is in the reference.

        Returns:
            Entries for ``cross_attention_kwargs``.

        Raises:
            AttachmentError: if the denoiser's self-attention layers are not those of this network.
            ShapeError: if the latents have other channels, or the context another batch or width.
            InputError: if the latents hold NaN or infinity, or there is no such fusion.
        """
        if fusion not in ("concatenate", "add"):
            raise InputError(f"fusion: expected concatenate or add, found {fusion!r}.")
        layers = self._matching_layers(unet)
        states = self.hidden_states(
            latents,
            encoder_hidden_states,
            before="block" if fusion == "add" else "attention",
            cross_attention_kwargs=cross_attention_kwargs,
        )
        if store_dtype is not None:
            states = {place: value.to(store_dtype) for place, value in states.items()}
        if fusion == "add":
            return {"reference_features": ReferenceFeatures({}, guidance, states)}
        projected = {place: _project(layer, states[place]) for place, layer in layers.items()}
        return {"reference_features": ReferenceFeatures(projected, guidance)}

    def attach(self, unet: Denoiser) -> Attachment:
        """Let the transformer blocks of a denoiser read ``reference_features`` until detached.

        Raises:
            AttachmentError: if the denoiser's layers are not those of this network, or carry foreign processors.
        """
        layers = self._matching_layers(unet)
        attention = attach(
            unet, layers, lambda place, stock: ReferenceAttnProcessor(stock, place), argument="reference_features"
        )
        addition = attach_addition(unet, map(_block_of, layers))

        def undo() -> None:
            addition.detach()
            attention.detach()

        return Attachment(undo)

    def _matching_layers(self, unet: Denoiser) -> dict[str, Attention]:
        own = {place: layer.to_k.in_features for place, layer in spatial_attention(self, "attn1").items()}
        layers = spatial_attention(unet, "attn1")
        theirs = {place: layer.to_k.in_features for place, layer in layers.items()}
        if own != theirs:
            different = sorted(own.items() ^ theirs.items())
            raise AttachmentError(
                f"ReferenceNet and denoiser have different self-attention layers; {len(different)} differ, the first: "
                f"{different[0][0]} of width {different[0][1]}. Build one with ReferenceNet.from_unet(unet)."
            )
        return layers


class ReferenceAttnProcessor(AttachedProcessor):
    """Self-attention of one layer over its own tokens and the reference's."""

    def __call__(
        self,
        attn: nn.Module,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
        reference_features: ReferenceFeatures | None = None,
    ) -> Tensor:
        if reference_features is None or reference_features.added:
            return self.stock(attn, hidden_states, encoder_hidden_states, attention_mask, temb)
        return self._attend(attn, hidden_states, attention_mask, reference_features)  # pyright: ignore[reportArgumentType]

    def _attend(
        self, attn: Attention, hidden_states: Tensor, mask: Tensor | None, features: ReferenceFeatures
    ) -> Tensor:
        rows, length, _ = hidden_states.shape
        query, key, value = (
            split_heads(project(hidden_states), attn.heads) for project in (attn.to_q, attn.to_k, attn.to_v)
        )
        bias = attention_bias(attn, mask, length, rows)
        memory = features.layers[self.place]
        if not features.guidance:
            return project_out(attn, _extended(query, key, value, bias, memory))
        # Two calls rather than a mask: a mask would lose the fast attention kernels.
        alone = rows // 2
        own_bias, seeing_bias = (None, None) if bias is None else (bias[:alone], bias[alone:])
        own = F.scaled_dot_product_attention(query[:alone], key[:alone], value[:alone], attn_mask=own_bias)
        seeing = _extended(query[alone:], key[alone:], value[alone:], seeing_bias, memory)
        return project_out(attn, torch.cat([own, seeing]))


def _project(attn: Attention, states: Tensor) -> KeysValues:
    states = states.to(attn.to_k.weight.dtype)
    return KeysValues(split_heads(attn.to_k(states), attn.heads), split_heads(attn.to_v(states), attn.heads))


def _block_of(layer: str) -> str:
    """The place of the transformer block that a self-attention layer belongs to."""
    return layer.removesuffix(".attn1")


def _extended(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, memory: KeysValues) -> Tensor:
    rows = query.shape[0]
    keys = torch.cat([key, repeated(memory.key, rows).to(key.dtype)], dim=2)
    values = torch.cat([value, repeated(memory.value, rows).to(value.dtype)], dim=2)
    if bias is not None:
        bias = F.pad(bias, (0, memory.key.shape[2]))
    return F.scaled_dot_product_attention(query, keys, values, attn_mask=bias)
