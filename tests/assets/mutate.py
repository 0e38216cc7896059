"""Damages asset files by chance and reads them: ``python tests/assets/mutate.py 1000 [SEED]``.

Every reading must end in an AssetError or in plain arrays. Prints what happened as JSON; the exit code is 1 if anything
else did. The reader runs in this process, so that a crash of it is one of this program.
"""

import io
import json
import os
import pickle
import pickletools
import random
import resource
import struct
import sys
import tempfile
import time
import types
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
import scipy.sparse
import torch
from safetensors.numpy import save

from anifacediff.assets.description import read_tensors
from anifacediff.assets.mat_files import read_mat
from anifacediff.assets.npy_files import read_npy
from anifacediff.assets.pickles import read_pickle
from anifacediff.assets.sparse import SparseMatrix
from anifacediff.assets.torch_files import read_torch
from anifacediff.errors import AssetError

OPCODES = [opcode.code.encode("latin1") for opcode in pickletools.opcodes]
HUGE = (0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, 0x10000000, 1 << 20)
FORBIDDEN = (
    "os.system",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.remove",
    "os.mkdir",
    "subprocess.Popen",
    "socket.",
)


@contextmanager
def chumpy() -> Generator[type]:
    """A class that pickles like ``chumpy.ch.Ch``."""
    module = types.ModuleType("chumpy.ch")
    made = type("Ch", (), {"__module__": "chumpy.ch"})
    module.Ch = made  # pyright: ignore[reportAttributeAccessIssue]
    sys.modules["chumpy.ch"] = module
    sys.modules["chumpy"] = types.ModuleType("chumpy")
    try:
        yield made
    finally:
        del sys.modules["chumpy.ch"], sys.modules["chumpy"]


class Call:
    """Pickles as the call of a function."""

    def __init__(self, function: Any, *arguments: Any):
        self._call = (function, arguments)

    def __reduce__(self) -> Any:
        return self._call


def touch(witness: Path) -> Call:
    """What leaves a trace when it is unpickled by Python."""
    return Call(os.system, f"touch {witness}")  # pyright: ignore[reportDeprecated]


def face_model() -> dict[str, Any]:
    """What the pickle of a face model holds, small; to be pickled within :func:`chumpy`."""
    draws = np.random.default_rng(0)
    shapes = sys.modules["chumpy.ch"].Ch()
    shapes.__dict__.update(x=draws.normal(size=(6, 3, 4)), _dirty_vars=set(), _itr=None, _status="new")
    return {
        "shapedirs": shapes,
        "v_template": draws.normal(size=(6, 3)),
        "J_regressor": scipy.sparse.csc_matrix(np.eye(2, 6)),
        "f": np.arange(12, dtype=np.uint32).reshape(4, 3),
        "weights": np.asfortranarray(draws.normal(size=(6, 2))).astype(">f4"),
        "names": np.array(["neck", None], object),
        "scale": np.float64(2),
        "bs_type": "lrotmin",
    }


def samples() -> dict[str, bytes]:
    """A sound file of each kind, by ``kind/variant``."""
    with chumpy():
        files = {f"pickle/{protocol}": pickle.dumps(face_model(), protocol) for protocol in range(6)}
    files["pickle/torch"] = pickle.dumps({"view": torch.arange(6.0).reshape(2, 3).T}, 2)
    arrays = {
        "meanshape": np.arange(12.0),
        "tri": np.arange(9, dtype=np.int32).reshape(3, 3),
        "idBase": np.ones((4, 2)),
    }
    for name, packed in (("mat/plain", False), ("mat/packed", True)):
        buffer = io.BytesIO()
        scipy.io.savemat(buffer, {**arrays, "text": "abc"}, do_compression=packed)
        files[name] = buffer.getvalue()
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    for name, archive in (("torch/archive", True), ("torch/legacy", False)):
        buffer = io.BytesIO()
        state = {"encoder": torch.nn.Linear(4, 3).state_dict(), **tensors, "step": 3}
        torch.save(state, buffer, _use_new_zipfile_serialization=archive)
        files[name] = buffer.getvalue()
    buffer = io.BytesIO()
    np.save(buffer, np.array({"static": np.arange(6.0), "dynamic": [np.eye(2)]}, object), allow_pickle=True)
    return files | {"npy/objects": buffer.getvalue(), "safetensors/plain": save(arrays)}


READERS: dict[str, Callable[[Path], object]] = {
    "pickle": read_pickle,
    "mat": lambda path: read_mat(path, ("meanshape", "tri", "idBase")),
    "torch": read_torch,
    "npy": read_npy,
    "safetensors": read_tensors,
}


def hostile(witness: Path) -> list[bytes]:
    """Pieces of pickles that run code, or take memory or time, where they are let to."""
    touch = f"touch {witness}".encode()
    return [
        b"cos\nsystem\n(S'" + touch + b"'\ntR",
        b"cposix\nsystem\n(V" + touch + b"\ntR",
        b'c__builtin__\neval\n(S\'__import__("os").system("' + touch + b"\")'\ntR",
        b"(cos\nsystem\nS'" + touch + b"'\no",
        b"(S'" + touch + b"'\nios\nsystem\n",
        b"\x8c\x05posix\x8c\x06system\x93\x8c" + bytes([len(touch)]) + touch + b"\x85R",
        b"cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R",
        b"cnumpy\nzeros\nJ\xff\xff\xff\x7f\x85R",
        b"\x8e" + struct.pack("<Q", 1 << 40),
        b"\x96" + struct.pack("<Q", 1 << 36),
        b"\x95" + struct.pack("<Q", 1 << 40),
        b"r\xff\xff\xff\xff",
        b"\x8b" + struct.pack("<i", 1 << 30),
        b"(" * 5000,
        b")" + b"\x85" * 5000,
        b"]" * 2000 + b"a" * 1999,
        b")2\x862\x862\x862\x862\x86" * 60,
        b"\x82\x01",
        b"\x97",
        b"Ppersistent\n",
    ]


def damaged(data: bytes, chance: random.Random, pieces: list[bytes]) -> bytes:
    """Damage bytes in one of several ways."""
    place = chance.randrange(len(data))
    end = min(len(data), place + chance.randrange(1, 40))
    way = chance.choice(("flip", "cut", "byte", "number", "insert", "insert", "delete", "repeat", "begin"))
    if way == "flip":
        found = bytearray(data)
        for _ in range(chance.randrange(1, 9)):
            found[chance.randrange(len(found))] ^= 1 << chance.randrange(8)
        return bytes(found)
    if way == "number":
        return data[:place] + struct.pack(chance.choice("<>") + "I", chance.choice(HUGE)) + data[place + 4 :]
    return {
        "cut": data[:place],
        "byte": data[:place] + chance.choice(OPCODES) + data[place + 1 :],
        "insert": data[:place] + chance.choice(pieces) + data[place:],
        "delete": data[:place] + data[end:],
        "repeat": data[:end] + data[place:end] * chance.randrange(1, 50) + data[end:],
        "begin": data[:2] + chance.choice(pieces) + b"0" + data[2:],
    }[way]


def mutated(name: str, data: bytes, chance: random.Random, pieces: list[bytes]) -> bytes:
    """Damage a file, or what lies within its container."""
    if name == "torch/archive" and chance.random() < 0.7:
        return _with_damaged_pickle(data, chance, pieces)
    if name == "mat/packed" and chance.random() < 0.7:
        size = struct.unpack("<I", data[132:136])[0]
        inner = damaged(zlib.decompress(data[136 : 136 + size]), chance, pieces)
        packed = zlib.compress(inner)
        return data[:132] + struct.pack("<I", len(packed)) + packed + data[136 + size :]
    if name == "npy/objects" and chance.random() < 0.7:
        return data[:128] + damaged(data[128:], chance, pieces)
    return damaged(data, chance, pieces)


def _with_damaged_pickle(data: bytes, chance: random.Random, pieces: list[bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w") as new:
        for entry in old.infolist():
            content = old.read(entry)
            new.writestr(entry, damaged(content, chance, pieces) if entry.filename.endswith("data.pkl") else content)
    return buffer.getvalue()


def is_plain(result: object) -> bool:
    """Whether a result consists of arrays, tensors, scalars and containers only."""
    waiting, seen = [result], set[int]()
    while waiting:
        item = waiting.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, Mapping):
            waiting += [*item.keys(), *item.values()]
        elif isinstance(item, list | tuple | set | frozenset) or (
            isinstance(item, np.ndarray) and item.dtype.hasobject
        ):
            waiting += list(item.flat if isinstance(item, np.ndarray) else item)
        elif isinstance(item, np.ndarray):
            item.tolist()
        elif isinstance(item, torch.Tensor):
            item.sum().item()
        elif not isinstance(item, SparseMatrix | np.generic | np.dtype | str | bytes | bytearray | int | float | None):
            return False
    return True


def run(count: int, seed: int, folder: Path) -> dict[str, Any]:
    """Read ``count`` damaged files and tell what happened."""
    witness, watched = folder / "witness", list[str]()
    reading = False
    sys.addaudithook(lambda event, _: watched.append(event) if reading and event.startswith(FORBIDDEN) else None)
    chance, files, pieces = random.Random(seed), samples(), hostile(witness)
    for name, data in files.items():  # sound files first: the peak of memory before
        (folder / "sound").write_bytes(data)
        assert is_plain(READERS[name.split("/")[0]](folder / "sound")), name
    before, path, names = peak(), folder / "damaged", sorted(files)
    outcomes, wrong, slowest = Counter[str](), list[str](), 0.0
    for number in range(count):
        name = names[number % len(names)]
        kind = name.split("/")[0]
        path.write_bytes(mutated(name, files[name], chance, pieces))
        began, reading = time.perf_counter(), True
        try:
            outcome = f"{kind}: read" if is_plain(READERS[kind](path)) else "wrong: strange result"
        except AssetError as error:
            outcome = f"{kind}: refused" if str(path) in str(error) else f"wrong: not named: {error}"
        except BaseException as error:
            outcome = f"wrong: {type(error).__name__}: {error}"
        reading, slowest = False, max(slowest, time.perf_counter() - began)
        outcomes[outcome[:5] if outcome.startswith("wrong") else outcome] += 1
        if outcome.startswith("wrong"):
            (Path(tempfile.gettempdir()) / f"mutation-{seed}-{number}").write_bytes(path.read_bytes())
            wrong.append(f"{number} {name} {outcome}")
    return {
        "outcomes": dict(sorted(outcomes.items())),
        "wrong": wrong,
        "code_run": witness.exists() or bool(watched),
        "peak_mib_grown": round(peak() - before, 1),
        "slowest_seconds": round(slowest, 2),
    }


def peak() -> float:
    """The most memory that this process has taken, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (2**34, 2**34))  # so that a bomb harms nobody
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as scratch:
        told = run(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0, Path(scratch))
    print(json.dumps(told, indent=2))
    sys.exit(bool(told["wrong"] or told["code_run"]))
