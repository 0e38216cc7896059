"""The Expression Adapter: expression coefficients enter through cross-attention of their own."""

import math

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import register_to_config
from torch import nn

from anifacediff.attachment import (
    AttachedProcessor,
    Attachment,
    Attention,
    Denoiser,
    Processor,
    attach,
    attention_bias,
    modules_by_place,
    project_out,
    spatial_attention,
    split_heads,
)
from anifacediff.checkpoint import StrictModel
from anifacediff.errors import AttachmentError, InputError, ShapeError
from anifacediff.shapes import Float, Tensor, check_finite, check_shape


class ExpressionProjection(nn.Module):
    """Key and value projections of the expression tokens for one cross-attention layer.

    The values start at zero, so that a fresh adapter leaves a pretrained denoiser's output unchanged.
    """

    def __init__(self, cross_attention_dim: int, width: int) -> None:
        super().__init__()
        # Not to_k and to_v: those names are LoRA's usual targets.
        self.to_k_expression = nn.Linear(cross_attention_dim, width, bias=False)
        self.to_v_expression = nn.Linear(cross_attention_dim, width, bias=False)
        nn.init.zeros_(self.to_v_expression.weight)


class ExpressionAdapter(StrictModel):
    """Per-frame expression coefficients become tokens that every cross-attention of a denoiser attends to.

    ``Z = Attention(Q, K_i, V_i) + scale Attention(Q, K_expression, V_expression)``, summed before the
    layer's output projection. Fresh weights change nothing.

    Args:
        layers: width of each cross-attention layer by its place; :meth:`for_unet` reads it off a denoiser.
        expression_dim: number of expression coefficients e (DECA: 50).
        cross_attention_dim: width d of the denoiser's context tokens (Stable Diffusion 1.5: 768).
        num_tokens: tokens per frame.
        scale: the weight lambda of the added attention; 0 equals no adapter exactly. Change it at any time.

    Source: AniFaceDiff, eq. 3; decoupled cross-attention after IP-Adapter.

    Example:
        >>> adapter = ExpressionAdapter.for_unet(unet)            # doctest: +SKIP
        >>> with adapter.attach(unet):                            # doctest: +SKIP
        ...     unet(latents, t, tokens, cross_attention_kwargs=adapter(expression))
    """

    @register_to_config
    def __init__(
        self,
        *,
        layers: dict[str, int],
        expression_dim: int = 50,
        cross_attention_dim: int = 768,
        num_tokens: int = 1,
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        if num_tokens < 1 or expression_dim < 1:
            raise InputError(f"num_tokens, expression_dim: must be positive, found {num_tokens}, {expression_dim}.")
        self.expression_dim = expression_dim
        self.num_tokens = num_tokens
        self.scale = scale
        self.project = nn.Linear(expression_dim, num_tokens * cross_attention_dim)
        self.norm = nn.LayerNorm(cross_attention_dim)
        self.places = tuple(layers)
        self.projections = modules_by_place(
            {place: ExpressionProjection(cross_attention_dim, width) for place, width in layers.items()}
        )

    @property
    def scale(self) -> float:
        """The weight lambda of the added attention; saved with the adapter."""
        return self._scale

    @scale.setter
    def scale(self, scale: float) -> None:
        if not math.isfinite(scale):
            raise InputError(f"scale: must be a finite number, found {scale}.")
        self._scale = scale
        self.register_to_config(scale=scale)

    @classmethod
    def for_unet(
        cls, unet: Denoiser, *, expression_dim: int = 50, num_tokens: int = 1, scale: float = 1.0
    ) -> "ExpressionAdapter":
        """Build a fresh adapter for the cross-attention layers of a denoiser."""
        layers = spatial_attention(unet, "attn2")
        if not layers:
            raise AttachmentError(f"{type(unet).__name__} has no cross-attention layer for an ExpressionAdapter.")
        contexts = {layer.to_k.in_features for layer in layers.values()}
        if len(contexts) != 1:
            raise AttachmentError(f"The cross-attention layers read contexts of several widths: {sorted(contexts)}.")
        return cls(
            layers={place: layer.to_q.out_features for place, layer in layers.items()},
            expression_dim=expression_dim,
            cross_attention_dim=contexts.pop(),
            num_tokens=num_tokens,
            scale=scale,
        )

    def tokens(self, expression: Float[Tensor, "f e"]) -> Float[Tensor, "f l d"]:
        """Project expression coefficients to tokens of the context's width."""
        check_shape("expression", expression, "f e", None, self.expression_dim)
        check_finite("expression", expression)
        projected = self.project(expression.to(self.project.weight.dtype))
        return self.norm(projected.unflatten(-1, (self.num_tokens, -1)))

    def forward(self, expression: Float[Tensor, "f e"], *, guidance: bool = False) -> dict[str, Tensor]:
        """Make the denoiser's condition for one row of expression coefficients per frame.

        Args:
            expression: f e, in standard deviations.
            guidance: whether the denoiser sees [unconditional; conditional] rows in one batch; the
                unconditional half gets zero tokens, which add nothing.

        Returns:
            Entries for ``cross_attention_kwargs``, for a denoiser called with f (or 2 f) rows.

        Raises:
            ShapeError: if ``expression`` has another width.
            InputError: if it holds NaN or infinity.
        """
        tokens = self.tokens(expression)
        if guidance:
            tokens = torch.cat([torch.zeros_like(tokens), tokens])
        return {"expression_tokens": tokens}

    def attach(self, unet: Denoiser) -> Attachment:
        """Let the cross-attention layers of a denoiser read ``expression_tokens`` until detached.

        Raises:
            AttachmentError: if the denoiser's layers are not those of the adapter, or carry foreign processors.
        """
        layers = spatial_attention(unet, "attn2")
        widths = {place: layer.to_q.out_features for place, layer in layers.items()}
        expected = dict(self.config["layers"])
        if widths != expected:
            different = sorted(widths.items() ^ expected.items())
            raise AttachmentError(
                f"This adapter was made for other cross-attention layers; {len(different)} differ, the first: "
                f"{different[0][0]}. Build one with ExpressionAdapter.for_unet(unet)."
            )
        return attach(unet, layers, self._processor, argument="expression_tokens")

    def _processor(self, place: str, stock: Processor) -> "ExpressionAttnProcessor":
        projection = self.projections.get_submodule(place)
        assert isinstance(projection, ExpressionProjection)
        return ExpressionAttnProcessor(stock, place, self, projection)


class ExpressionAttnProcessor(AttachedProcessor):
    """Cross-attention of one layer, with the adapter's attention added before the output projection.

    A plain object that only refers to the adapter's weights: they are saved and moved with the adapter.
    """

    def __init__(
        self, stock: Processor, place: str, adapter: ExpressionAdapter, projection: ExpressionProjection
    ) -> None:
        super().__init__(stock, place)
        self.adapter = adapter
        self.projection = projection

    def __call__(
        self,
        attn: nn.Module,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
        expression_tokens: Tensor | None = None,
    ) -> Tensor:
        if expression_tokens is None or self.adapter.scale == 0:
            return self.stock(attn, hidden_states, encoder_hidden_states, attention_mask, temb)
        return self._attend(attn, hidden_states, encoder_hidden_states, attention_mask, expression_tokens)  # pyright: ignore[reportArgumentType]

    def _attend(
        self, attn: Attention, hidden_states: Tensor, context: Tensor | None, mask: Tensor | None, tokens: Tensor
    ) -> Tensor:
        rows = hidden_states.shape[0]
        check_shape("expression_tokens", tokens, "n l d", None, None, self.projection.to_k_expression.in_features)
        if tokens.shape[0] not in (1, rows):
            raise ShapeError(
                f"expression_tokens: {tokens.shape[0]} rows for {rows} rows of the denoiser. Give one row per frame; "
                "call the adapter with guidance=True if, and only if, unconditional and conditional rows share a batch."
            )
        context = hidden_states if context is None else context
        tokens = tokens.to(hidden_states.dtype)
        key, value = (split_heads(project(context), attn.heads) for project in (attn.to_k, attn.to_v))
        added_key, added_value = (
            split_heads(project(tokens), attn.heads).expand(rows, -1, -1, -1)
            for project in (self.projection.to_k_expression, self.projection.to_v_expression)
        )
        # One key has all the attention of every query. Training needs the queries: DDP waits for their gradients.
        if mask is None and key.shape[2] == added_key.shape[2] == 1 and not torch.is_grad_enabled():
            return project_out(attn, value + self.adapter.scale * added_value).expand_as(hidden_states)
        query = split_heads(attn.to_q(hidden_states), attn.heads)
        bias = attention_bias(attn, mask, context.shape[1], rows)
        states = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        added = F.scaled_dot_product_attention(query, added_key, added_value)
        return project_out(attn, states + self.adapter.scale * added)
