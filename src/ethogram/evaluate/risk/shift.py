"""Has what comes in changed? The population stability index of the score and of every feature.

Bins are fixed on the reference window: deciles of a number (fewer where values repeat), the most frequent values of
anything else with one bin for all others, and one bin for what is missing. With shares r_b and c_b of the two windows,

    PSI = sum_b (c_b - r_b) ln(c_b / r_b),      r_b = (n_b + 1/2) / (N + B/2), so that an empty bin costs much, not all

Bands by custom: below 0.1 stable, below 0.25 moderate, then large. Windows of the same population have a PSI above 0,
too: about (1/N + 1/M) times a chi-squared of B - 1 degrees (Yurdakul and Naranjo, Statistical properties of the
population stability index, Journal of Risk Model Validation 2020). Its 95% quantile is told as `chance`; a PSI below
it says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError

BANDS = ((0.1, "stable"), (0.25, "moderate shift"), (float("inf"), "large shift"))
CHANCE = "within chance"
VALUES = 20
"""Values of a feature in words that have a bin of their own."""


class Shift(NamedTuple):
    """How far a window lies from the reference."""

    psi: float
    chance: float
    "What two windows of these sizes from one population stay below, 95 times in 100."
    band: str
    "stable, moderate shift, large shift; or within chance."
    most: str
    "The bin whose share changed most, and how."


@dataclass(frozen=True)
class Bins:
    """Bins of a feature as the reference window has them.

    Attributes
    ----------
    edges : inner edges of a number's bins, ascending; None for a feature in words. words : names of the bins.
    counts : of the reference, one per bin, the last for what is missing.
    """

    edges: np.ndarray | None
    words: tuple[str, ...]
    counts: np.ndarray

    @classmethod
    def of(cls, reference: Any, bins: int = 10) -> Bins:
        """Fix bins on a window.

        Parameters
        ----------
        reference : numbers (NaN or null is missing), or words (null is missing), [N]; an array, a list, an Arrow array.
        """
        if bins < 2:
            raise OptionError(f"drift: bins = {bins}; give 2 or more.")
        values = _values(reference)
        if values.dtype == object:
            found, count = np.unique(np.array([str(v) for v in values if v is not None], object), return_counts=True)
            words = tuple(str(found[i]) for i in np.lexsort((found, -count))[:VALUES])
            made = cls(None, (*words, "other", "missing"), np.zeros(0))
        else:
            there = np.unique(values[~np.isnan(values)])
            if len(there) > bins:
                inner = np.unique(np.quantile(values[~np.isnan(values)], np.arange(1, bins) / bins))
            else:
                inner = (there[1:] + there[:-1]) / 2
            ends = [f"{v:.4g}" for v in inner]
            words = tuple(
                f"up to {b}" if a is None else f"above {a}" if b is None else f"{a} to {b}"
                for a, b in zip([None, *ends], [*ends, None], strict=True)
            )
            made = cls(inner, (*(words if len(inner) else ("any",)), "missing"), np.zeros(0))
        return cls(made.edges, made.words, made.count(reference))

    def count(self, values: Any) -> np.ndarray:
        """Rows of a window in each bin, float64[B]."""
        given = _values(values)
        last = len(self.words) - 1
        if self.edges is None:
            place = {w: n for n, w in enumerate(self.words[:-2])}
            at = np.array([last if v is None else place.get(str(v), last - 1) for v in given], np.int64)
        elif given.dtype == object:
            raise OptionError("drift: a feature of numbers holds words in this window; both windows must be of a kind.")
        else:
            at = np.where(np.isnan(given), last, np.searchsorted(self.edges, given, side="left"))
        return np.bincount(at, minlength=len(self.words)).astype(np.float64)

    def shift(self, values: Any) -> Shift:
        """How far a window lies from the reference; NaN where a window is empty."""
        from scipy.special import chdtri

        now, n = self.count(values), self.counts.sum()
        # a bin that neither window has is no bin of this feature
        used = (now + self.counts) > 0
        if not n or not now.sum():
            return Shift(float("nan"), float("nan"), "no cases", "")
        before, after = (_shares(c[used]) for c in (self.counts, now))
        value = float(((after - before) * np.log(after / before)).sum())
        chance = float(chdtri(max(int(used.sum()) - 1, 1), 0.05) * (1 / n + 1 / now.sum()))
        names = [w for w, u in zip(self.words, used, strict=True) if u]
        most = int(np.argmax(np.abs(after - before)))
        told = f"{names[most]}: {self.counts[used][most] / n:.1%} to {now[used][most] / now.sum():.1%}"
        return Shift(value, chance, band(value, chance), told)


def psi(reference: Any, current: Any, bins: int = 10) -> float:
    """Population stability index of a window against a reference.

    >>> round(psi([0, 0, 1, 1], [0, 1, 1, 1]), 4)
    0.1695
    """
    return Bins.of(reference, bins).shift(current).psi


def band(value: float, chance: float = 0.0) -> str:
    """A PSI in words.

    >>> band(0.05), band(0.2), band(0.3), band(0.2, chance=0.4)
    ('stable', 'moderate shift', 'large shift', 'within chance')
    """
    if np.isnan(value):
        return "no cases"
    word = next(w for end, w in BANDS if value < end)
    return CHANCE if value < chance and word != BANDS[0][1] else word


def drift(reference: Mapping[str, Any], current: Mapping[str, Any], bins: int = 10) -> pa.Table:
    """A row per feature, the largest PSI first: `feature`, `psi`, `chance`, `band`, `most`.

    Raises
    ------
    OptionError
        A feature of the reference is absent from the window.
    """
    rows = []
    for name, values in reference.items():
        if name not in current:
            raise OptionError(f"drift: the window has no feature '{name}'; it has {', '.join(current)}.")
        rows.append({"feature": name, **Bins.of(values, bins).shift(current[name])._asdict()})
    rows.sort(key=lambda r: -np.nan_to_num(r["psi"], nan=-1.0))
    kinds = [("feature", pa.string()), ("psi", pa.float64()), ("chance", pa.float64())]
    return pa.Table.from_pylist(rows, pa.schema([*kinds, ("band", pa.string()), ("most", pa.string())]))


def _shares(counts: np.ndarray) -> np.ndarray:
    return np.asarray((counts + 0.5) / (counts.sum() + 0.5 * len(counts)))


def _values(given: Any) -> np.ndarray:
    """float64 with NaN for what is missing, or objects with None."""
    if isinstance(given, pa.ChunkedArray):
        given = given.combine_chunks()
    if isinstance(given, pa.Array):
        if pa.types.is_dictionary(given.type):
            given = given.dictionary_decode()
        if pa.types.is_boolean(given.type) or pa.types.is_decimal(given.type):
            given = given.cast(pa.float64())
        if pa.types.is_temporal(given.type):
            given = given.cast(pa.timestamp("us")).cast(pa.int64())
        number = pa.types.is_integer(given.type) or pa.types.is_floating(given.type) or pa.types.is_null(given.type)
        return (
            given.cast(pa.float64()).to_numpy(zero_copy_only=False) if number else np.array(given.to_pylist(), object)
        )
    try:
        return np.asarray(given, np.float64).ravel()
    except (TypeError, ValueError):
        return np.array([None if v is None or v != v else v for v in given], object)
