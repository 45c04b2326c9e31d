"""Sparse factors of an admittance matrix, by rows, as compiled code wants them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from networks.model import Complex, Int


@dataclass(frozen=True, eq=False)
class Factor:
    """``A[order][:, order] = L U`` with a unit diagonal in `L`.

    A radial feeder is eliminated from its leaves, so that its factors have as many entries as it
    has branches.

    Attributes
    ----------
    order : int64 (row,)
    lower_start, upper_start : int64 (row + 1,)
        Where the rows of the strict triangles begin.
    lower_column, upper_column : int64 (entry,)
    lower, upper : complex128 (entry,)
    pivot : complex128 (row,)
        Inverse of the diagonal of `U`.
    """

    order: Int
    lower_start: Int
    lower_column: Int
    lower: Complex
    upper_start: Int
    upper_column: Int
    upper: Complex
    pivot: Complex

    @property
    def arrays(self) -> tuple[Int | Complex, ...]:
        """The factors as compiled code takes them."""
        return (
            self.lower_start, self.lower_column, self.lower,
            self.upper_start, self.upper_column, self.upper, self.pivot,
        )  # fmt: skip


def factor(matrix: sp.csc_array[np.complex128]) -> Factor:
    """Return the factors of a square matrix whose pattern is symmetric."""
    symmetric = {"SymmetricMode": True}
    first = splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=symmetric)
    order = np.argsort(first.perm_c).astype(np.int64)
    ordered = sp.csc_array(sp.csr_array(matrix)[order][:, order])
    made = splu(ordered, permc_spec="NATURAL", diag_pivot_thresh=0.0, options=symmetric)
    rows = np.argsort(made.perm_r)
    if not (made.perm_c == np.arange(len(order))).all() or not (rows == made.perm_c).all():
        raise ArithmeticError("an admittance matrix has a zero on its diagonal")
    lower, upper = sp.csr_array(made.L), sp.csr_array(made.U)
    return Factor(
        order,
        *_strict(sp.csr_array(sp.tril(lower, -1))),
        *_strict(sp.csr_array(sp.triu(upper, 1))),
        (1.0 / upper.diagonal()).astype(np.complex128),
    )


def _strict(triangle: sp.csr_array[np.complex128]) -> tuple[Int, Int, Complex]:
    triangle.sort_indices()
    return (
        triangle.indptr.astype(np.int64),
        triangle.indices.astype(np.int64),
        triangle.data.astype(np.complex128),
    )
