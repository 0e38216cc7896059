"""The Expression Adapter's attention equals IP-Adapter's decoupled cross-attention on the same weights."""

import golden
import pytest
import torch
from diffusers.models.attention_processor import Attention, AttnProcessor2_0

from anifacediff.checkpoint import load_strict
from anifacediff.conditioning.expression_adapter import ExpressionAdapter, ExpressionAttnProcessor, ExpressionProjection


@pytest.mark.parametrize("scale", [0.0, 0.6, 1.0])
def test_decoupled_cross_attention(scale: float):
    stored = golden.read("ip_adapter/decoupled_cross_attention")
    attn = Attention(64, cross_attention_dim=48, heads=4, dim_head=16)
    weights = stored.weights("attn2.")
    ours = {key: weights.pop(f"processor.{key}") for key in ("to_k_ip.weight", "to_v_ip.weight")}
    load_strict(attn, weights, "attn2")
    projection = ExpressionProjection(48, 64)
    load_strict(projection, {key.replace("_ip", "_expression"): value for key, value in ours.items()}, "processor")
    adapter = ExpressionAdapter(layers={"attn2": 64}, cross_attention_dim=48, scale=scale)
    attn.set_processor(ExpressionAttnProcessor(AttnProcessor2_0(), "attn2", adapter, projection))  # pyright: ignore[reportArgumentType]
    with torch.no_grad():
        output = attn(
            stored.arrays["hidden"],
            encoder_hidden_states=stored.arrays["text"],
            expression_tokens=stored.arrays["image"],
        )
    stored.assert_close(output, f"output_{scale}", golden.SINGLE_MODULE)
