"""The synthetic model of FLAME's structure as the parts of our own."""

import flame_synth
import numpy as np
import torch
from anifacediff_flame.landmarks import LandmarkEmbedding
from anifacediff_flame.model import FlameArrays

_DATA, _EMBEDDING, _UV = flame_synth.build(level=2)


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array.astype(np.float32))


ARRAYS = FlameArrays(
    template=_tensor(_DATA["v_template"]),
    basis=_tensor(_DATA["shapedirs"]),
    pose_basis=_tensor(_DATA["posedirs"]),
    joint_regressor=_tensor(_DATA["J_regressor"]),
    skinning_weights=_tensor(_DATA["weights"]),
    triangles=torch.from_numpy(_DATA["f"]),
)
SLIDING = LandmarkEmbedding(
    contour_triangles=torch.from_numpy(_EMBEDDING["dynamic_lmk_faces_idx"]),
    contour_barycentric=_tensor(_EMBEDDING["dynamic_lmk_bary_coords"]),
    inner_triangles=torch.from_numpy(_EMBEDDING["static_lmk_faces_idx"]),
    inner_barycentric=_tensor(_EMBEDDING["static_lmk_bary_coords"]),
)
STAYING = LandmarkEmbedding(
    contour_triangles=torch.from_numpy(_EMBEDDING["full_lmk_faces_idx"])[:, :17],
    contour_barycentric=_tensor(_EMBEDDING["full_lmk_bary_coords"])[:, :17],
    inner_triangles=torch.from_numpy(_EMBEDDING["full_lmk_faces_idx"])[0, 17:],
    inner_barycentric=_tensor(_EMBEDDING["full_lmk_bary_coords"])[0, 17:],
)
TEXTURE_POSITIONS = _tensor(_UV)
"""v 2, where a vertex lies in the texture, from 0 to 1; the second axis points up."""
