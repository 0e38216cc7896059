# Provenance: part of the goldens made by running the peers' own public code; see data/README.md.
# ruff: noqa
# pyright: basic
"""Deterministic weights/inputs by name. Depends on numpy only (legacy RandomState stream: frozen).

Rule (all arithmetic in float64, one final cast to float32):
  n    = RandomState(crc32(name)).standard_normal(shape)
  leaf = last dot-separated component of name
  ndim >= 2                      -> n / sqrt(fan_in),  fan_in = prod(shape[1:])
  ndim <= 1, leaf "weight" or "scale" -> 1 + 0.1 n    (norm gains, PReLU slopes, ...)
  leaf "running_var"             -> 1 + 0.1 |n|
  any other ndim <= 1            -> 0.02 n             (biases, running_mean, free vectors)
  scalars (ndim 0)               -> 1 + 0.1 n
Zero-initialised layers get the same rule (so no path is silent).
What is filled: every float *parameter* and the batch-norm running_mean/running_var buffers.
Every other buffer (e.g. "pos_encoder.pe") keeps the value its constructor computes.
`name` is the state-dict key of the peer's module, with the golden's "prefix" in front.
"""

import zlib
import numpy as np


def weight(name, shape):
    shape = tuple(int(s) for s in shape)
    n = np.random.RandomState(zlib.crc32(name.encode()) & 0xFFFFFFFF).standard_normal(shape)
    leaf = name.rsplit(".", 1)[-1]
    if len(shape) >= 2:
        v = n / np.sqrt(float(np.prod(shape[1:])))
    elif len(shape) == 0 or leaf in ("weight", "scale"):
        v = 1.0 + 0.1 * n
    elif leaf == "running_var":
        v = 1.0 + 0.1 * np.abs(n)
    else:
        v = 0.02 * n
    return np.asarray(v, dtype=np.float32)


def data(name, shape, scale=1.0, shift=0.0):
    """Named input tensor: shift + scale * N(0,1), seeded by crc32('input:' + name)."""
    n = np.random.RandomState(zlib.crc32(("input:" + name).encode()) & 0xFFFFFFFF).standard_normal(tuple(shape))
    return np.asarray(shift + scale * n, dtype=np.float32)


def uniform(name, shape, low=0.0, high=1.0):
    """Named uniform input tensor, seeded by crc32('input:' + name)."""
    u = np.random.RandomState(zlib.crc32(("input:" + name).encode()) & 0xFFFFFFFF).random_sample(tuple(shape))
    return np.asarray(low + (high - low) * u, dtype=np.float32)
