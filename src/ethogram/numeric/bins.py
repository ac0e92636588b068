"""Numbers as a few codes that a model can say: bins of equal counts, each with the number that it stands for.

    code(x) = number of inner edges not above x          value(code) = mean of the learned numbers in the bin

A distribution p over the codes is read back as its mean ``sum_c p_c value_c``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ethogram.errors import OptionError


@dataclass(frozen=True, eq=False)
class Bins:
    """Bins of numbers; the first and last are open.

    Attributes
    ----------
    edges : float64[k - 1], ascending inner edges. values : float64[k], what each bin stands for.

    Examples
    --------
    >>> made = Bins.of(np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), 3)
    >>> made.codes([0.0, 3.0, 100.0]).tolist(), made.values.tolist()
    ([0, 1, 2], [1.5, 3.5, 5.5])
    """

    edges: np.ndarray
    values: np.ndarray

    def __len__(self) -> int:
        return len(self.values)

    @classmethod
    def of(cls, numbers: np.ndarray, count: int) -> Bins:
        """At most `count` bins of about equal counts of `numbers`, NaN aside; equal numbers share a bin.

        Raises
        ------
        OptionError
            Fewer than 2 bins, or no number that is finite.
        """
        known = np.sort(np.asarray(numbers, np.float64))
        known = known[~np.isnan(known)]
        if count < 2 or not len(known) or not np.isfinite(known).all():
            raise OptionError(f"bins: {count} bins of {len(known)} numbers; give 2 or more, and finite numbers.")
        cuts = known[np.minimum(np.arange(1, count) * len(known) // count, len(known) - 1)]
        edges = np.unique(cuts[cuts > known[0]])
        code = np.searchsorted(edges, known, side="right")
        sums, counts = (np.bincount(code, w, len(edges) + 1) for w in (known, None))
        return cls(edges, sums / counts)

    def codes(self, numbers: Any) -> np.ndarray:
        """The bin of each number, int64; -1 for NaN."""
        x = np.asarray(numbers, np.float64)
        return np.where(np.isnan(x), -1, np.searchsorted(self.edges, x, side="right"))

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """For a system's State."""
        return {f"bins.{name}.edges": self.edges, f"bins.{name}.values": self.values}

    @classmethod
    def restored(cls, arrays: Mapping[str, np.ndarray], name: str) -> Bins:
        """The inverse of `arrays`."""
        return cls(*(np.asarray(arrays[f"bins.{name}.{part}"], np.float64) for part in ("edges", "values")))
