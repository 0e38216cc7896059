"""One clip through three face models: the built-in head, and heads in the layouts of FLAME's and the BFM's files.

The real files may not be handed on, so the built-in head's surface is written into files of their layouts, converted as
a user's would be, and loaded by the plugins: other coefficients, joints, units and landmark rules, the same
face. Prints the reprojection error of each, how far the control maps overlap, and writes a sheet
of a few frames (driver, built-in, FLAME layout, BFM layout)::

    python benchmarks/heads.py driving.mp4 [-o heads.png] [--frames 40]
"""

import argparse
import pickle
import tempfile
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from anifacediff_bfm.assets import bfm_deep3d
from anifacediff_bfm.loading import deep3d_model
from anifacediff_flame.assets import flame_2020, flame_landmarks
from anifacediff_flame.loading import flame_model
from numpy.typing import NDArray
from scipy.io import savemat

from anifacediff.assets.store import place
from anifacediff.conditioning import FacialAlignment
from anifacediff.geometry import ParametricHead
from anifacediff.geometry.contracts import LandmarkedModel
from anifacediff.geometry.head import build_head
from anifacediff.media import VideoSource, side_by_side, to_pictures, write_image
from anifacediff.tracking import default_tracker, track_faces

Arrays = NDArray[Any]
MOST_YAW, ROWS = 39, 79


def padded(basis: Arrays, columns: int) -> Arrays:
    """The first columns of a basis, and zeros for those that it does not have."""
    kept = basis[..., :columns]
    return np.pad(kept, [(0, 0), (0, 0), (0, columns - kept.shape[-1])])


def corners_of(vertices: Arrays, triangles: Arrays) -> tuple[Arrays, Arrays]:
    """For each vertex a triangle that it is a corner of, and its weights there."""
    triangle = np.array([int((triangles == vertex).any(1).argmax()) for vertex in vertices.ravel()])
    weights = (triangles[triangle] == vertices.ravel()[:, None]).astype(float)
    return triangle.reshape(vertices.shape), weights.reshape(*vertices.shape, 3)


def contour(head: ParametricHead, yaw: float) -> Arrays:
    """The vertices of the jaw line that the head shows when turned by some degrees."""
    pose = torch.zeros(1, len(head.joint_names), 3)
    pose[0, 0, 1] = np.radians(yaw)
    turned = head(torch.zeros(1, head.num_shape), torch.zeros(1, head.num_expression), pose)
    marks = head.landmarks(turned, pose)[0, :17]
    return torch.cdist(marks, turned[0]).argmin(1).numpy()


def write_flame(folder: Path, head: ParametricHead) -> list[Path]:
    """The built-in head as ``generic_model.pkl`` and the landmark embeddings of RingNet."""
    mesh = build_head().mesh
    triangles = mesh.triangles.numpy()
    basis = [padded(mesh.shape_basis.numpy(), 300), padded(mesh.expression_basis.numpy(), 100)]
    vertices = len(mesh.template)
    model = {
        "v_template": mesh.template.numpy(),
        "f": triangles.astype(np.uint32),
        "shapedirs": np.concatenate(basis, axis=2),
        "posedirs": np.zeros((vertices, 3, 36)),
        "J_regressor": mesh.joint_regressor.numpy(),
        "kintree_table": np.array([[2**32 - 1, *mesh.parents[1:]], range(len(mesh.parents))], np.uint32),
        "weights": mesh.skinning_weights.numpy(),
    }
    turns = [*range(MOST_YAW + 1), *range(-1, MOST_YAW - ROWS, -1)]
    faces, weights = corners_of(np.stack([contour(head, yaw) for yaw in turns]), triangles)
    face, weight = corners_of(build_head().face_landmarks.numpy(), triangles)
    (folder / "generic_model.pkl").write_bytes(pickle.dumps(model, protocol=2))
    static = {"lmk_face_idx": face.astype(np.uint32), "lmk_b_coords": weight}
    (folder / "flame_static_embedding.pkl").write_bytes(pickle.dumps(static, protocol=2))
    dynamic = {"lmk_face_idx": list(faces.astype(np.uint32)), "lmk_b_coords": list(weights)}
    np.save(folder / "flame_dynamic_embedding.npy", np.array(dynamic, dtype=object), allow_pickle=True)
    return [folder / name for name in ("flame_static_embedding.pkl", "flame_dynamic_embedding.npy")]


def write_bfm(path: Path, head: ParametricHead) -> None:
    """The built-in head as ``BFM_model_front.mat``: decimetres, no joints, so an open jaw is one more expression."""
    mesh = build_head().mesh
    pose = torch.zeros(1, len(head.joint_names), 3)
    pose[0, head.joint_names.index("jaw"), 0] = 0.1
    opened = head(torch.zeros(1, head.num_shape), torch.zeros(1, head.num_expression), pose)[0] - mesh.template
    expression = np.concatenate([opened.numpy()[..., None], mesh.expression_basis.numpy()], axis=2)
    keypoints = np.concatenate([contour(head, 0.0), build_head().face_landmarks.numpy()])
    vertices = len(mesh.template)
    fields: Mapping[str, Arrays] = {
        "meanshape": 10 * mesh.template.numpy().reshape(1, -1),
        "idBase": 10 * padded(mesh.shape_basis.numpy(), 80).reshape(-1, 80),
        "exBase": 10 * padded(expression, 64).reshape(-1, 64),
        "meantex": np.full((1, 3 * vertices), 128.0),
        "texBase": np.zeros((3 * vertices, 80)),
        "tri": mesh.triangles.numpy() + 1.0,
        "keypoints": keypoints[None] + 1.0,
        "point_buf": np.ones((vertices, 8)),
        "skinmask": np.ones((1, vertices)),
    }
    savemat(path, dict(fields), do_compression=True)


def models(folder: Path) -> Mapping[str, LandmarkedModel]:
    """The three models; two by way of their files."""
    head, files = ParametricHead(), folder / "files"
    files.mkdir()
    embeddings = write_flame(files, head)
    write_bfm(files / "BFM_model_front.mat", head)
    assets = folder / "assets"
    place(flame_2020(), [files / "generic_model.pkl"], assets)
    place(flame_landmarks(), embeddings, assets)
    place(bfm_deep3d(), [files / "BFM_model_front.mat"], assets)
    return {
        "built-in": head,
        "FLAME layout": flame_model(flame_2020(), folder=assets),
        "BFM layout": deep3d_model(folder=assets),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("heads.png"))
    parser.add_argument("--frames", type=int, default=40, help="how many, from the first")
    options = parser.parse_args()
    frames = list(islice(VideoSource(options.clip), options.frames))
    tracker = default_tracker()
    faces = [next(iter(tracker(frame)), None) for frame in frames]
    masks: dict[str, torch.Tensor] = {}
    chosen = [round(number) for number in np.linspace(0, len(frames) - 1, 4)]
    rows: list[Arrays] = []
    with tempfile.TemporaryDirectory() as folder:
        for name, model in models(Path(folder)).items():
            tracked = track_faces(faces, model=model)
            error = 100 * tracked.report.reprojection_error
            align = FacialAlignment(model, align_shape=False, align_scale=False)
            maps = align(tracked.parameters[:1], tracked.parameters)
            masks[name] = maps.mask
            assert maps.normal is not None
            rows.append(side_by_side(list(to_pictures(maps.normal[chosen]))))
            if len(rows) == 1:
                rows.insert(0, side_by_side([tracked.crop.apply(frames[number], 256) for number in chosen]))
            print(f"{name:13} landmarks off by {error.mean():.2f} % of the face's width, at most {error.max():.2f} %")
    first = masks.pop("built-in")
    for name, mask in masks.items():
        overlap = (first & mask).sum() / (first | mask).sum()
        print(f"{name:13} covers the built-in head's pixels: intersection over union {overlap:.3f}")
    write_image(options.output, np.concatenate(rows))


if __name__ == "__main__":
    main()
