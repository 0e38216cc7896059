# Provenance: part of the goldens made by running the peers' own public code; see data/README.md.
# ruff: noqa
# pyright: basic
"""Synthetic BFM-like model with the field names of Deep3DFaceRecon / MIMAFace .mat files (numpy + rule.py only)."""

import numpy as np
import rule
from flame_synth import icosphere


def build(level=3):
    s, f = icosphere(level)
    n = len(s)
    v = s * np.array([0.75, 1.0, 0.8])
    inc = [[] for _ in range(n)]
    for i, t in enumerate(f):
        for a in t:
            inc[a].append(i)
    buf = np.full((n, 8), len(f), np.int64)  # index len(f) = the zero normal
    for i, t in enumerate(inc):
        buf[i, : len(t)] = t
    return dict(
        meanshape=v.reshape(1, -1).astype(np.float32),
        idBase=rule.data("bfm.id", (3 * n, 80), 0.004),
        exBase=rule.data("bfm.ex", (3 * n, 64), 0.004),
        meantex=rule.uniform("bfm.meantex", (1, 3 * n), 80, 200),
        texBase=rule.data("bfm.tex", (3 * n, 80), 1.0),
        tri=f + 1,
        point_buf=buf + 1,
        keypoints=(np.floor(rule.uniform("bfm.kp", (1, 68)) * n).astype(np.int64) % n) + 1,
        skinmask=np.ones((1, n), np.float32),
    )
