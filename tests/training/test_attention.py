import torch
import torch.nn.functional as F

from anifacediff.training.attention import plain_attention


def test_plain_attention_equals_the_fused_kernel_and_leaves_nothing_behind():
    attend, allowed = F.scaled_dot_product_attention, torch.backends.cuda.fp16_bf16_reduction_math_sdp_allowed
    query, key, value = torch.randn(2, 3, 5, 4), torch.randn(2, 3, 7, 4), torch.randn(2, 3, 7, 4)
    expected, before = attend(query, key, value), allowed()
    with plain_attention():
        torch.testing.assert_close(attend(query, key, value), expected)
        assert allowed()
    assert allowed() == before
