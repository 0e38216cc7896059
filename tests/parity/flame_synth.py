# Provenance: part of the goldens made by running the peers' own public code; see data/README.md.
# ruff: noqa
# pyright: basic
"""Synthetic, structurally valid FLAME model (numpy + rule.py only). Not the real FLAME data."""

import numpy as np
import rule


def icosphere(level=2):
    p = (1 + 5**0.5) / 2
    v = [
        (-1, p, 0),
        (1, p, 0),
        (-1, -p, 0),
        (1, -p, 0),
        (0, -1, p),
        (0, 1, p),
        (0, -1, -p),
        (0, 1, -p),
        (p, 0, -1),
        (p, 0, 1),
        (-p, 0, -1),
        (-p, 0, 1),
    ]
    v = [np.array(x, np.float64) / np.linalg.norm(x) for x in v]
    f = [
        (0, 11, 5),
        (0, 5, 1),
        (0, 1, 7),
        (0, 7, 10),
        (0, 10, 11),
        (1, 5, 9),
        (5, 11, 4),
        (11, 10, 2),
        (10, 7, 6),
        (7, 1, 8),
        (3, 9, 4),
        (3, 4, 2),
        (3, 2, 6),
        (3, 6, 8),
        (3, 8, 9),
        (4, 9, 5),
        (2, 4, 11),
        (6, 2, 10),
        (8, 6, 7),
        (9, 8, 1),
    ]
    for _ in range(level):
        cache, nf = {}, []

        def mid(a, b):
            k = (min(a, b), max(a, b))
            if k not in cache:
                m = v[a] + v[b]
                v.append(m / np.linalg.norm(m))
                cache[k] = len(v) - 1
            return cache[k]

        for a, b, c in f:
            x, y, z = mid(a, b), mid(b, c), mid(c, a)
            nf += [(a, x, z), (b, y, x), (c, z, y), (x, y, z)]
        f = nf
    return np.array(v), np.array(f, np.int64)  # faces wind counter-clockwise seen from outside


def build(level=2):
    s, f = icosphere(level)
    n, nf = len(s), len(f)
    u = lambda name, shape: rule.uniform("flame." + name, shape).astype(np.float64)
    nrm = lambda a: a / a.sum(-1, keepdims=True)
    face_ids = lambda name, shape: np.minimum((u(name, shape) * nf).astype(np.int64), nf - 1)
    bary = lambda name, shape: nrm(u(name, shape + (3,)) + 0.05)
    model = dict(
        v_template=s * np.array([0.09, 0.12, 0.10]) + rule.data("flame.v", (n, 3), 0.001).astype(np.float64),
        f=f,
        shapedirs=rule.data("flame.shapedirs", (n, 3, 400), 0.002).astype(np.float64),  # 300 identity + 100 expression
        posedirs=rule.data("flame.posedirs", (n, 3, 36), 0.002).astype(np.float64),
        J_regressor=nrm(u("J_regressor", (5, n)) ** 8),
        kintree_table=np.array([[4294967295, 0, 1, 1, 1], [0, 1, 2, 3, 4]], np.int64),
        weights=nrm(u("weights", (n, 5)) ** 2 + 1e-3),
    )
    lmk = dict(
        static_lmk_faces_idx=face_ids("static_idx", (51,)),
        static_lmk_bary_coords=bary("static_bary", (51,)),
        dynamic_lmk_faces_idx=face_ids("dynamic_idx", (79, 17)),
        dynamic_lmk_bary_coords=bary("dynamic_bary", (79, 17)),
        full_lmk_faces_idx=face_ids("full_idx", (1, 68)),
        full_lmk_bary_coords=bary("full_bary", (1, 68)),
    )
    # uv: longitude/latitude of the unit sphere, in [0,1]
    uv = np.stack(
        [np.arctan2(s[:, 0], s[:, 2]) / (2 * np.pi) + 0.5, np.arcsin(np.clip(s[:, 1], -1, 1)) / np.pi + 0.5], -1
    )
    return model, lmk, uv


def write_obj(path, v, f, uv):
    with open(path, "w") as h:
        for a in v:
            h.write("v %.8f %.8f %.8f\n" % tuple(a))
        for a in uv:
            h.write("vt %.8f %.8f\n" % tuple(a))
        for a in f + 1:
            h.write("f %d/%d %d/%d %d/%d\n" % (a[0], a[0], a[1], a[1], a[2], a[2]))
