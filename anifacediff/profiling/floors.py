"""The least time that counted work can take: multiplications over the rate at which the device multiplies matrices."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

_CPU_ATTENTION = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu  # unknown to PyTorch's counter


@contextmanager
def counted_work() -> Generator[Callable[[], int]]:
    """Count floating-point operations, a multiplication and an addition as two; of eager code only.

    Yields:
        A function that gives their number so far.
    """
    with FlopCounterMode(display=False, custom_mapping={_CPU_ATTENTION: _attention}) as counter:
        yield counter.get_total_flops


def matmul_rate(device: torch.device, dtype: torch.dtype, *, size: int | None = None, repeats: int = 5) -> float:
    """Measure floating-point operations per second of the product of two square matrices, the best of some.

    Args:
        device: where.
        dtype: of the matrices.
        size: of their sides; large enough to keep the device busy if not given.
        repeats: how many products are timed, after one to warm up.
    """
    size = size or (1536 if device.type == "cpu" else 8192)
    left = torch.randn(size, size, device=device, dtype=dtype)
    best = min(_seconds(left) for _ in range(repeats + 1))
    return 2 * size**3 / best


def _attention(query: torch.Size, key: torch.Size, value: torch.Size, *_: object, **__: object) -> int:
    return sdpa_flop_count(query, key, value)


def _seconds(matrix: torch.Tensor) -> float:
    _wait(matrix.device)
    start = time.perf_counter()
    torch.matmul(matrix, matrix)
    _wait(matrix.device)
    return time.perf_counter() - start


def _wait(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
