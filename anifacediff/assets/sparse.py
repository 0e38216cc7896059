"""Sparse matrices read from files, without scipy."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anifacediff.errors import AssetError


@dataclass(frozen=True)
class SparseMatrix:
    """A matrix that is zero but for some entries; entries at the same place add up.

    Attributes:
        shape: rows and columns.
        rows: n, of each entry.
        columns: n, of each entry.
        values: n.
    """

    shape: tuple[int, int]
    rows: NDArray[np.integer[Any]]
    columns: NDArray[np.integer[Any]]
    values: NDArray[Any]

    def __post_init__(self):
        if not self.rows.shape == self.columns.shape == self.values.shape == (len(self.values),):
            raise ValueError("a sparse matrix needs as many rows and columns as values")
        for name, indices, size in (("row", self.rows, self.shape[0]), ("column", self.columns, self.shape[1])):
            if indices.dtype.kind not in "iu" or (indices.size and not 0 <= indices.min() <= indices.max() < size):
                raise ValueError(f"a sparse matrix of shape {self.shape} has a {name} outside of it")
        if self.values.dtype.kind not in "biufc":
            raise ValueError(f"a sparse matrix holds {self.values.dtype} instead of numbers")

    def dense(self, *, most_bytes: int = 2**30) -> NDArray[Any]:
        """Write the zeros out.

        Args:
            most_bytes: a larger result is refused.

        Raises:
            AssetError: if the result would be larger.
        """
        size = math.prod(self.shape) * self.values.itemsize
        if size > most_bytes:
            raise AssetError(f"a sparse matrix of shape {self.shape} would take {size} bytes, more than {most_bytes}.")
        dense = np.zeros(self.shape, self.values.dtype)
        np.add.at(dense, (self.rows, self.columns), self.values)
        return dense


def compressed(
    shape: tuple[int, int], starts: NDArray[Any], inner: NDArray[Any], values: NDArray[Any], *, by_rows: bool
) -> SparseMatrix:
    """Unpack scipy's compressed rows or columns.

    Args:
        shape: rows and columns.
        starts: where the entries of each row (or column) begin, and where the last ends; scipy's ``indptr``.
        inner: the column (or row) of each entry; scipy's ``indices``.
        values: of each entry; scipy's ``data``.
        by_rows: True for csr, False for csc.

    Raises:
        ValueError: if the parts do not belong together.
    """
    outer_size = shape[0] if by_rows else shape[1]
    if not (starts.dtype.kind in "iu" and starts.shape == (outer_size + 1,)):
        raise ValueError("a sparse matrix has no row or column pointers that fit its shape")
    counts = np.diff(starts.astype(np.int64))  # without a sign, 1 - 2 would be four billion entries
    if (counts < 0).any() or counts.sum() != len(inner) or starts[0] != 0:
        raise ValueError("the row or column pointers of a sparse matrix do not match its entries")
    outer = np.repeat(np.arange(outer_size), counts)
    rows, columns = (outer, inner) if by_rows else (inner, outer)
    return SparseMatrix(shape, rows, columns, values)
