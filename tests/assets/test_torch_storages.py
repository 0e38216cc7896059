import io
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from assets.mutate import Call, touch
from torch._utils import _rebuild_tensor_v2
from torch.storage import _load_from_bytes

from anifacediff.assets.pickles import unpickle
from anifacediff.errors import AssetError

KINDS = (torch.float64, torch.float32, torch.float16, torch.int64, torch.int16, torch.uint8, torch.int8, torch.bool)


def read(content: bytes) -> Any:
    return unpickle(io.BytesIO(content), "landmark_embedding.npy")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_tensors_become_arrays(protocol: int):
    base = torch.arange(24).reshape(4, 6) - 5
    tensors = {str(kind): base.to(kind) for kind in KINDS}
    tensors |= {"view": base[1:3, ::2].T, "empty": base[:0], "single": base[2, 3]}
    found = read(pickle.dumps(tensors, protocol))
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert np.array_equal(found[name], tensor.numpy())
        assert (found[name].dtype, found[name].shape) == (tensor.numpy().dtype, tuple(tensor.shape))


def test_a_type_that_numpy_lacks_is_refused_by_name():
    with pytest.raises(AssetError, match=r"refused.*torch\.BFloat16Storage"):
        read(pickle.dumps(torch.ones(2, dtype=torch.bfloat16)))


def test_a_pickle_in_a_pickle_runs_nothing(tmp_path: Path):
    witness = tmp_path / "witness"
    buffer = io.BytesIO()
    torch.save({"a": touch(witness)}, buffer, _use_new_zipfile_serialization=False)
    for content in (buffer.getvalue(), pickle.dumps(touch(witness))):
        with pytest.raises(AssetError, match=r"landmark_embedding\.npy: refused.*posix\.system.*nothing of it was run"):
            read(pickle.dumps(Call(_load_from_bytes, content)))
    assert not witness.exists()


def storage(count: int) -> bytes:
    buffer = io.BytesIO()
    torch.save(torch.zeros(count).storage(), buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


@pytest.mark.filterwarnings("ignore:TypedStorage")
def test_storages_are_as_large_as_they_say():
    sound = storage(4)
    assert read(pickle.dumps(Call(_load_from_bytes, sound))).tolist() == [0, 0, 0, 0]
    count = struct.pack("<q", 4)
    assert count in sound
    declared = sound.replace(count, struct.pack("<q", 2**40))
    for content in (b"", sound[:-1], sound[:40], declared, sound + b"\0", pickle.dumps(0x1950A86A20F9469CFC6C)):
        with pytest.raises(AssetError, match="damaged"):
            read(pickle.dumps(Call(_load_from_bytes, content)))


@pytest.mark.filterwarnings("ignore:TypedStorage")
@pytest.mark.parametrize(
    ("offset", "sizes", "strides"),
    [
        (1, (4,), (1,)),
        (0, (2**30,), (0,)),
        (0, (2, 2), (3, 1)),
        (-1, (2,), (1,)),
        (0, (2,), (-1,)),
        (0, (2,), (1, 1)),
        (0, 2, 1),
    ],
)
def test_tensors_lie_within_their_storage(offset: int, sizes: Any, strides: Any):
    view = Call(_rebuild_tensor_v2, Call(_load_from_bytes, storage(4)), offset, sizes, strides, False, {})
    with pytest.raises(AssetError, match="damaged"):
        read(pickle.dumps(view))


def test_what_is_no_storage_has_no_tensors():
    for what in (np.eye(2), np.array([None]), "text"):
        with pytest.raises(AssetError, match="damaged"):
            read(pickle.dumps(Call(_rebuild_tensor_v2, what, 0, (1,), (1,), False, {})))


def test_a_long_pickle_describes_no_storage():
    """Else one of a million opcodes could be gone through for each of a million references to it."""
    with pytest.raises(AssetError, match="more than 1000 opcodes"):
        read(pickle.dumps(Call(_load_from_bytes, b"N0" * 1000 + b"N.")))
