"""Sums that forget, in tables of fixed size: what was written under a code is read back in constant time.

For each of R codes of a row, row r of the table adds up what rows of that code brought, each written at clock t:

    S_r[c](now) = sum_i 1[c_ri = c] v_i 2^(-(now - t_i) / half_life)

and a reader with codes c_1 ... c_R is told mean_r S_r[c_r](now). With codes of locality-sensitive hashing the
expectation of that is a sum over all rows written, weighted by their probability of collision (Coleman and Shrivastava:
Sub-linear RACE Sketches for Approximate Kernel Density Estimation on Streaming Data. WWW 2020).

Nothing is decayed in place: a write is scaled up by 2^((t - base) / half_life), a read down, and the base moves (one
pass over the table) before a factor could leave the range of float64. A write touches R cells whatever was written
before, and bytes are fixed when the table is made. Sums are float64: 1e8 writes of size 1 stay exact.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ethogram.errors import OptionError

REACH = 400.0
"""Half-lives that a write may lie after the base; 2^400 squared still fits into float64."""


class Sketch:
    """R rows of `size` cells that hold `values` sums each.

    Parameters
    ----------
    rows, size : R, and the number of codes. values : sums per cell. half_life : in units of the clock, None never
        forgets.

    Examples
    --------
    >>> sketch = Sketch(1, 4, values=1, half_life=10.0)
    >>> sketch.write(np.array([[2]]), np.array([[8.0]]), np.array([0.0]))
    >>> sketch.read(np.array([[2], [3]]), np.array([10.0, 10.0])).tolist()
    [[4.0], [0.0]]
    """

    def __init__(self, rows: int, size: int, values: int = 3, half_life: float | None = None) -> None:
        if min(rows, size, values) < 1 or (half_life is not None and not half_life > 0):
            raise OptionError(f"sketch: rows = {rows}, size = {size}, half-life = {half_life}; all are above 0.")
        self.rows, self.size, self.half_life = rows, size, half_life
        self.sums = np.zeros((rows * size, values))
        self.base, self._empty = 0.0, True
        self._first = np.arange(rows) * size

    @property
    def nbytes(self) -> int:
        """Bytes of the table."""
        return self.sums.nbytes

    def write(self, codes: np.ndarray, values: np.ndarray, clock: np.ndarray) -> None:
        """Add rows.

        Parameters
        ----------
        codes : int[n, rows] in [0, size). values : float[n, values]. clock : float[n], when; in any order.
        """
        if not len(codes):
            return
        if self.half_life is not None:
            self._rebase(float(np.max(clock)))
            values = values * np.exp2((clock - self.base) / self.half_life)[:, None]
        for column in range(self.sums.shape[1]):
            np.add.at(self.sums[:, column], codes + self._first, values[:, column : column + 1])

    def read(self, codes: np.ndarray, now: np.ndarray) -> np.ndarray:
        """Mean over the rows of the sums under the codes int[n, rows] as of `now` float[n]; float64[n, values]."""
        found = np.zeros((len(codes), self.sums.shape[1]))
        for r in range(self.rows):  # row by row: no [n, rows, values] is held
            found += self.sums[codes[:, r] + self._first[r]]
        if self.half_life is not None:
            found *= np.exp2(np.minimum((self.base - now) / self.half_life, REACH))[:, None]
        return found / self.rows

    def _rebase(self, latest: float) -> None:
        assert self.half_life is not None
        away = (latest - self.base) / self.half_life
        if self._empty:
            self.base, self._empty = latest, False
        elif away > REACH:
            self.sums *= np.exp2(-min(away, 1_070.0))  # beyond that, what was written is 0 in float64
            self.base = latest

    def arrays(self) -> dict[str, np.ndarray]:
        """For a system's State."""
        return {"sums": self.sums, "base": np.array([self.base])}

    def restore(self, held: Mapping[str, np.ndarray]) -> None:
        """The inverse of `arrays`."""
        self.sums, self.base = np.array(held["sums"]), float(held["base"][0])
        self._empty = not self.sums.any()
