import io
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from assets.mutate import Call, chumpy, face_model, hostile, touch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_strategies

from anifacediff.assets.opcodes import read_opcodes
from anifacediff.assets.pickles import read_pickle, unpickle
from anifacediff.assets.sparse import SparseMatrix
from anifacediff.assets.unfolding import unfolded_size
from anifacediff.errors import AssetError

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
DTYPES = ("?", "u1", "i2", ">i4", "i8", "f2", "f4", ">f8", "c16", "S3", "U2")


def read(content: bytes) -> Any:
    return unpickle(io.BytesIO(content), "model.pkl")


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays_are_those_of_numpy(protocol: int, dtype: str):
    numbers = np.arange(24).astype(dtype).reshape(2, 3, 4)
    for array in (
        numbers,
        np.asfortranarray(numbers),
        numbers.transpose(1, 2, 0),
        numbers[:, ::2],
        numbers[:0],
        numbers[0, 0, 1],
    ):
        found = read(pickle.dumps(array, protocol))
        assert np.array_equal(found, array)
        assert found.shape == array.shape
        assert found.dtype == array.dtype.newbyteorder("=")
        if isinstance(found, np.ndarray):
            assert found.flags.writeable


@settings(max_examples=30, deadline=None)
@given(
    numpy_strategies.arrays(
        st.one_of(numpy_strategies.integer_dtypes(), numpy_strategies.floating_dtypes(sizes=(16, 32, 64))),
        numpy_strategies.array_shapes(min_dims=0, min_side=0),
    ),
    st.sampled_from(PROTOCOLS),
)
def test_any_array_of_numbers(array: np.ndarray, protocol: int):
    assert np.array_equal(read(pickle.dumps(array, protocol)), pickle.loads(pickle.dumps(array)), equal_nan=True)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner) | st.sets(st.integers())
    ),
    max_leaves=12,
)


@settings(max_examples=50, deadline=None)
@given(VALUES, st.sampled_from(PROTOCOLS))
def test_any_plain_value(value: object, protocol: int):
    assert read(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("layout", ["csc", "csr", "coo"])
@pytest.mark.parametrize("kind", ["matrix", "array"])
def test_sparse_matrices_are_those_of_scipy(protocol: int, layout: str, kind: str):
    dense = np.random.default_rng(0).normal(size=(4, 5)) * (np.random.default_rng(1).random((4, 5)) < 0.4)
    sparse = getattr(scipy.sparse, f"{layout}_{kind}")(dense)
    for found in (read(pickle.dumps(sparse, protocol)), read(pickle.dumps({"J": [sparse]}, protocol))["J"][0]):
        assert isinstance(found, SparseMatrix)
        assert np.array_equal(found.dense(), dense)


def test_names_of_older_numpy_and_scipy():
    sound = pickle.dumps({"J": scipy.sparse.csc_matrix(np.eye(2)), "v": np.float32(3)}, 2)
    old = sound.replace(b"numpy._core", b"numpy.core").replace(b"scipy.sparse._csc", b"scipy.sparse.csc")
    assert b"numpy.core" in old
    found = read(old)
    assert np.array_equal(found["J"].dense(), np.eye(2))
    assert found["v"] == np.float32(3)


def test_entries_at_one_place_add_up():
    twice = SparseMatrix((1, 2), np.array([0, 0]), np.array([1, 1]), np.array([2.0, 3.0]))
    assert twice.dense().tolist() == [[0, 5]]


def test_a_sparse_matrix_is_not_written_out_at_any_size():
    zeros = np.zeros(0, int)
    with pytest.raises(AssetError, match="more than"):
        SparseMatrix((2**30, 2**30), zeros, zeros, np.zeros(0)).dense()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_face_model_of_chumpy_scipy_and_numpy(protocol: int, tmp_path: Path):
    path = tmp_path / "generic_model.pkl"
    with chumpy():
        model = face_model()
        path.write_bytes(pickle.dumps(model, protocol))
    found: Any = read_pickle(path)
    assert found.keys() == model.keys()
    assert np.array_equal(found["shapedirs"], model["shapedirs"].x)
    assert np.array_equal(found["J_regressor"].dense(), model["J_regressor"].toarray())
    assert found["names"].tolist() == ["neck", None]
    assert found["weights"].dtype == np.float32


def test_a_selection_of_chumpy_is_what_its_class_computes():
    array, picked = np.arange(12.0).reshape(3, 4), np.array([[5, 1], [0, 11]])
    state = pickle.dumps({"a": array, "idxs": picked, "preferred_shape": (1, 4)}, 2)
    content = b"\x80\x02cchumpy.reordering\nSelect\n)\x81" + state[2:-1] + b"b."
    assert np.array_equal(read(content), array.ravel()[picked].reshape(1, 4))


def test_text_and_arrays_of_python_2():
    """As cPickle of Python 2 writes ``{'a': numpy.array([1., -2.]), 'b': '\\xe9'}`` with protocols 0 and 2."""
    raw = np.array([1.0, -2.0]).tobytes()
    head = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\nt"
    dtype = b"cnumpy\ndtype\n(S'f8'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntb"
    text = (
        b"(dS'a'\n"
        + head
        + b"S'b'\ntR(I1\n(I2\nt"
        + dtype
        + b"I00\nS"
        + repr(raw)[1:].encode()
        + b"\ntbsS'b'\nS'\\xe9'\ns."
    )
    binary = (
        b"\x80\x02}(U\x01acnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K\x02\x85"
        b"cnumpy\ndtype\nU\x02f8K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x10"
        + raw
        + b"tbU\x01bU\x01\xe9u."
    )
    for content in (text, binary):
        expected = pickle.loads(content, encoding="latin1")
        found = read(content)
        assert found["a"].tolist() == expected["a"].tolist() == [1, -2]
        assert found["b"] == expected["b"] == "é"


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("function", "name"),
    [
        (os.mkdir, "posix.mkdir"),
        (eval, "builtin"),
        (exec, "exec"),
        (getattr, "getattr"),
        (__import__, "__import__"),
        (subprocess.check_output, "check_output"),
        (np.load, "numpy.load"),
        (np.zeros, "zeros"),
        (np.fromfile, "fromfile"),
        (np.memmap, "memmap"),
        (bytearray, "bytearray"),
        (print, "print"),
    ],
)
def test_any_other_name_is_refused_and_shown(protocol: int, function: Any, name: str):
    content = pickle.dumps({"v_template": np.zeros(3), "extra": Call(function, 10**9)}, protocol)
    with pytest.raises(AssetError, match=rf"model\.pkl: refused.*{name}.*nothing of it was run"):
        read(content)


def test_hostile_pickles_leave_no_trace(tmp_path: Path):
    witness = tmp_path / "witness"
    content = pickle.dumps([touch(witness)])
    with pytest.raises(AssetError, match=r"posix\.system"):
        read(content)
    for piece in hostile(witness):
        if b"touch" in piece:
            with pytest.raises(AssetError, match=r"model\.pkl: refused.*(system|eval|INST|OBJ)"):
                read(b"\x80\x02" + piece + b".")
    assert not witness.exists()
    pickle.loads(content)  # what would have happened
    assert witness.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"cos\nsystem\n.",  # a name alone
        b"cnumpy\nndarray\n.",  # a class as a value
        b"]cnumpy\nndarray\na.",
        b"(cnumpy\nndarray\nt.",
        b"cnumpy\nndarray\nK\x05\x85R.",  # would allocate
        b"cnumpy\nndarray\n)\x81.",
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\ndtype\nK\x00\x85U\x01btR.",  # an array of another type
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR.",  # without its state
        b"cnumpy\ndtype\nU\x02M8\x85R.",
        b"cnumpy\ndtype\nU\x0aS999999999\x85R.",
        b"cnumpy\ndtype\n]\x85R.",
        b"ccopy_reg\n_reconstructor\n(cos\nsystem\nc__builtin__\nobject\nNtR.",
        b"ccopy_reg\n_reconstructor\n(cscipy.sparse.csc\ncsc_matrix\nc__builtin__\nset\nNtR.",
        b"cchumpy.ch\nCh\n(U\x01xtR.",  # arguments run its constructor
        b"cchumpy.ch\nChLambda\n)\x81.",
        b"c_codecs\nencode\nU\x01aU\x03zip\x86R.",
        b"c__builtin__\nset\n(cnumpy\nndarray\nltR.",
        b"U\x05hello}b.",  # a state for text
        b"NN.",
        b".",
        b"",
        b"\x80\x02K\x01.trailing",
        b"}]Ns.",  # a list as a key
        b"h\x05.",
        b"\x93.",
    ],
)
def test_what_allowed_names_could_be_abused_for(content: bytes):
    with pytest.raises(AssetError, match=r"^model\.pkl: "):
        read(content)


def test_a_file_is_named_when_it_is_missing_or_too_large(tmp_path: Path):
    path = tmp_path / "flame.pkl"
    with pytest.raises(AssetError, match=r"flame\.pkl: cannot be read \(No such file"):
        read_pickle(path)
    path.write_bytes(pickle.dumps(np.zeros(1000)))
    with pytest.raises(AssetError, match=r"flame\.pkl: is larger than 100 bytes"):
        read_pickle(path, most_bytes=100)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_beginning_of_a_file_is_taken_for_it(protocol: int):
    with chumpy():
        content = pickle.dumps(face_model(), protocol)
    for size in range(0, len(content), len(content) // 25):
        with pytest.raises(AssetError, match=r"model\.pkl"):
            read(content[:size])


def _array(data: bytes, shape: bytes) -> bytes:
    dtype = b"cnumpy\ndtype\nU\x02f8\x85R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    return (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR(K\x01"
        + shape
        + dtype
        + b"\x89"
        + data
        + b"tb"
    )


@pytest.mark.parametrize(
    "shape",
    [b"K\x03\x85", b"J\xff\xff\xff\x7f\x85", b"J\xff\xff\xff\xffJ\xff\xff\xff\xff\x86", b"U\x01a\x85", b"K\x01"],
)
def test_an_array_has_as_many_bytes_as_its_shape_says(shape: bytes):
    assert read(_array(b"U\x08" + bytes(8), b"K\x01\x85") + b".").tolist() == [0]
    with pytest.raises(AssetError, match="damaged"):
        read(_array(b"U\x08" + bytes(8), shape) + b".")


def test_remembered_bytes_are_not_multiplied_without_end():
    text = b"T" + (2**20).to_bytes(4, "little") + bytes(2**20) + b"q\x000"
    arrays = b"".join(_array(b"h\x00", b"J\x00\x00\x02\x00\x85") + b"0" for _ in range(40))
    with pytest.raises(AssetError, match="more memory"):
        read(text + arrays + b"N.")


def test_nested_tuples_are_no_keys():
    deep = b")" + b"q\x00h\x00\x86" * 60
    with pytest.raises(AssetError, match="key"):
        read(b"}" + deep + b"Ns.")


@pytest.mark.parametrize(
    "content",
    [
        b"]q\x00" + b"0](h\x00h\x00eq\x00" * 40,  # lists of twice the same list
        b")q\x00" + b"0h\x00h\x00\x86q\x00" * 40,
        b"]q\x00h\x00a",  # a list that holds itself
        b"}q\x00U\x01ah\x00s",
        b"]q\x00h\x00\x85a",
    ],
)
def test_what_would_be_endless_if_it_were_written_out(content: bytes):
    with pytest.raises(AssetError, match=r"again and again|holds itself"):
        read(content + b".")


def test_what_is_held_twice_is_read():
    array = np.ones(3)
    found = read(pickle.dumps({"a": [array, array], "b": (array,)}))
    assert found["a"][0] is found["a"][1] is found["b"][0]


def test_sizes_are_those_of_what_is_written_out():
    pair = [1, 2]
    assert unfolded_size([pair, pair, np.zeros((2, 3)), "abc"]) == 1 + 2 * 3 + 7 + 4
    assert unfolded_size({"a": np.array([pair, None], object)}) == 2 + 3 + 3 + 1


def test_too_many_opcodes():
    assert len(list(read_opcodes(io.BytesIO(b"N0" * 4 + b"N."), most=10))) == 10
    with pytest.raises(ValueError, match="more than 9 opcodes"):
        list(read_opcodes(io.BytesIO(b"N0" * 4 + b"N."), most=9))


def test_neither_chumpy_nor_scipy_is_imported(tmp_path: Path):
    path = tmp_path / "model.pkl"
    with chumpy():
        path.write_bytes(pickle.dumps(face_model()))
    code = "import sys; from anifacediff.assets.pickles import read_pickle; read_pickle(sys.argv[1])\n"
    code += "print({'scipy', 'chumpy', 'torch'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code, path], text=True).strip() == "set()"


@pytest.mark.parametrize("dtype", ["i4", "u4", "u8"])
def test_pointers_that_go_back_make_no_entries(dtype: str):
    matrix = scipy.sparse.csc_matrix(np.eye(3))
    matrix.indptr = np.array([0, 3, 1, 3], dtype)  # without a sign, 1 - 3 is four billion
    with pytest.raises(AssetError, match="do not match its entries"):
        read(pickle.dumps(matrix, 2))


def test_arrays_of_objects_are_not_nested():
    """Sixty thousand of them, one in the other, overflowed the stack when they were freed."""
    inner = np.empty(1, object)
    outer = np.empty(1, object)
    outer[0] = inner
    with pytest.raises(AssetError, match="array of objects in another"):
        read(pickle.dumps(outer))
    assert read(pickle.dumps([inner]))[0].tolist() == [None]


MODULUS = 2**61 - 1  # of Python's hash of numbers


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps(dict.fromkeys(MODULUS * k for k in range(200))),
        pickle.dumps(dict.fromkeys(-MODULUS * k for k in range(200)), 0),  # one after the other
        pickle.dumps({MODULUS * k for k in range(200)}),
        pickle.dumps({MODULUS * k for k in range(200)}, 2),
        pickle.dumps(dict.fromkeys(np.int64(MODULUS + k) for k in range(200))),
        pickle.dumps({np.complex128(complex(-1000003, 1)): None}),
        pickle.dumps({2**1001: None}),
        b"N" + b"".join(b"p%d\n" % (k * MODULUS) for k in range(200)) + b".",
    ],
)
def test_numbers_that_could_all_have_one_hash_are_no_keys(content: bytes):
    with pytest.raises(AssetError, match="key"):
        read(content)


def test_scalars_are_keys():
    few = {2**59: 1.5, 1.5: True, None: b"a", MODULUS: 0, np.float32(2.5): 1}
    many = dict.fromkeys(range(1000))
    assert read(pickle.dumps([few, many])) == [few, many]
