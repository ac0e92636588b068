"""Which of many sparse rows fit a question, by inner product and by age? An exact index that grows and forgets.

    score(q, i) = q . x_i - fade ln(1 + (t_q - t_i) / unit)        t_i < t_q: only rows that are older may be found

Postings (for each place of the vectors, the rows that hold it) are walked and added up, so a question costs what its
own places hold, not all rows; of rows that share nothing with it only the newest can be among the k best. Rows arrive
in blocks, and a block is merged with the one before it while that is less than twice as large: adding n rows costs
O(n log n) in all.

Zobel, Moffat: Inverted files for text search engines (ACM Computing Surveys, 2006). O'Neil et al.: The log-structured
merge-tree (Acta Informatica, 1996), for the blocks.
"""

# mypy: allow-untyped-decorators

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from scipy import sparse

from ethogram.errors import OptionError

GONE = np.iinfo(np.int64).max


class Postings:
    """Sparse rows of one width, each with a clock.

    Examples
    --------
    >>> index = Postings(3)
    >>> index.add(sparse.csr_matrix([[1.0, 0, 0], [0, 1.0, 0], [0.5, 0.5, 0]]), np.array([10, 20, 30]))
    >>> place, score, product = index.search(sparse.csr_matrix([[1.0, 0, 0]]), 2, np.array([40]))
    >>> place.tolist(), product.tolist()
    ([[0, 2]], [[1.0, 0.5]])
    """

    def __init__(self, width: int):
        if width < 1:
            raise OptionError(f"postings: width = {width}; give 1 or more.")
        self.width = width
        self.clock = np.zeros(0, np.int64)
        self._blocks: list[tuple[int, Any]] = []
        self._order: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.clock)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        held = [a for _, b in self._blocks for a in (b.data, b.indices, b.indptr)]
        return int(sum(a.nbytes for a in (*held, self.clock)))

    def add(self, rows: Any, clock: np.ndarray) -> None:
        """Take in rows (sparse, not negative, [n, width]) with their clocks, int64[n]; places follow those there are.

        Raises
        ------
        OptionError
            The width is another, clocks do not fit, or a value is below 0.
        """
        rows = sparse.csr_matrix(rows)
        if rows.shape != (len(clock), self.width) or (rows.data < 0).any():
            raise OptionError(
                f"postings: rows {rows.shape} with {len(clock)} clocks, width {self.width}; give rows of that width, a "
                "clock for each, values of 0 or more."
            )
        if not len(clock):
            return
        start, block = len(self), rows.astype(np.float32)
        self.clock, self._order = np.r_[self.clock, np.asarray(clock, np.int64)], None
        while self._blocks and len(self) - start >= (start - self._blocks[-1][0]) / 2:
            start, before = self._blocks.pop()
            block = sparse.vstack([before.tocsr(), block])
        made = block.tocsc()
        made.eliminate_zeros()
        self._blocks.append((start, made))

    def remove(self, places: np.ndarray) -> None:
        """Forget rows: they are found no more, and their values are overwritten with 0."""
        gone = np.zeros(len(self), bool)
        gone[places] = True
        self.clock[gone], self._order = GONE, None
        for start, block in self._blocks:
            block.data[gone[start + block.indices]] = 0.0

    def search(
        self, asked: Any, k: int, before: np.ndarray, fade: float = 0.0, unit: float = 1.0
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The k rows with the highest scores for each question.

        Parameters
        ----------
        asked : sparse[n, width], values of 0 or more. before : int64[n], t_q. fade : of the equation, 0 or more.

        Returns
        -------
        places : int64[n, k], best first, the lower place among equals, -1 where there are no more. score : float64[n,
            k], -inf there. product : float64[n, k], q . x_i, 0 there.
        """
        asked = sparse.csr_matrix(asked)
        if k < 1 or fade < 0 or unit <= 0 or asked.shape != (len(before), self.width):
            raise OptionError(
                f"postings: k = {k}, fade = {fade}, unit = {unit}, questions {asked.shape} with {len(before)} clocks; "
                f"give k of 1 or more, fade of 0 or more, unit above 0, and rows of width {self.width}."
            )
        if self._order is None:
            self._order = np.argsort(self.clock, kind="stable")
        n, limit = asked.shape[0], np.asarray(before, np.int64)
        product, touched = np.zeros(len(self)), np.empty(len(self), np.int64)
        places, score, kept = np.full((n, k), -1), np.full((n, k), -np.inf), np.zeros((n, k))
        newest = np.searchsorted(self.clock[self._order], limit, "left")
        for q in range(n):
            row = slice(asked.indptr[q], asked.indptr[q + 1])
            count = 0
            for start, block in self._blocks:
                count = _added(
                    asked.indices[row], asked.data[row], block.indptr, block.indices, block.data, start, self.clock,
                    limit[q], product, touched, count,
                )  # fmt: skip
            _best(self.clock, limit[q], self._order[: newest[q]], product, touched, count, fade, unit, k, places[q],
                  score[q], kept[q])  # fmt: skip
        return places, score, kept


@njit(cache=True, nogil=True)
def _added(
    tokens: np.ndarray, values: np.ndarray, ends: np.ndarray, rows: np.ndarray, held: np.ndarray, start: int,
    clock: np.ndarray, limit: int, product: np.ndarray, touched: np.ndarray, count: int,
) -> int:  # fmt: skip
    for t in range(len(tokens)):
        for at in range(ends[tokens[t]], ends[tokens[t] + 1]):
            i = start + rows[at]
            if clock[i] < limit and held[at] > 0:
                if product[i] == 0:
                    touched[count] = i
                    count += 1
                product[i] += values[t] * held[at]
    return count


@njit(cache=True, nogil=True)
def _best(
    clock: np.ndarray, limit: int, older: np.ndarray, product: np.ndarray, touched: np.ndarray, count: int, fade: float,
    unit: float, k: int, places: np.ndarray, scores: np.ndarray, kept: np.ndarray,
) -> None:  # fmt: skip
    met = count
    for back in range(min(k, len(older))):
        i = older[len(older) - 1 - back]
        if product[i] == 0:
            touched[met] = i
            met += 1
    if met == 0:
        return
    score = np.empty(met)
    for c in range(met):
        i = touched[c]
        score[c] = product[i] - fade * np.log1p((limit - clock[i]) / unit)
    least = np.partition(score, met - k)[met - k] if met > k else -np.inf
    chosen = np.flatnonzero(score >= least)
    chosen = chosen[np.argsort(touched[chosen])]
    chosen = chosen[np.argsort(-score[chosen], kind="mergesort")][:k]
    for c in range(len(chosen)):
        places[c] = touched[chosen[c]]
        scores[c] = score[chosen[c]]
        kept[c] = product[touched[chosen[c]]]
    for c in range(count):
        product[touched[c]] = 0.0
