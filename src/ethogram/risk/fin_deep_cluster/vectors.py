"""From cases to points: tokens for the network, scaled numbers of the experts, and both in one vector.

    token      the page where it is frequent, else its type, else "unknown"
    vectors    of tokens to begin with: of the matrix  max(0, ln (#(i, j) D / (#i #j)))  of pairs within two steps, the
               largest singular vectors by the root of their values; what skip-gram factorises (Levy, Goldberg 2014)
    number     (x - median) / (upper - lower quartile), cut at 2; of a long tail first the logarithm; missing is 0
    hybrid     [ sqrt(w) z / sigma_z ; sqrt(1 - w) f / sigma_f ]      sigma^2: total variance of the block

With the blocks divided by their spread w is the share of the mean squared distance that comes from the sequence,
whatever the widths of the blocks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ethogram.risk.fin_deep_cluster.cases import Cases

RARE, MOST = 5, 2_000
"""Pages seen less often, or beyond so many, are read by their type."""
CUT = 2.0
TAIL = 20.0
"""A number whose largest value is so many quartile ranges from the median is read by its logarithm."""
SHOWN = 8
"""Values of a text that count by themselves."""
PAGE, KIND = "item", "kind"


@dataclass(frozen=True)
class Tokens:
    """Names of the tokens: 0 is what is unknown, then pages, then types of pages."""

    pages: tuple[str, ...]
    kinds: tuple[str, ...]

    @classmethod
    def of(cls, held: Cases) -> Tokens:
        counts = held.pages[PAGE].counts() if PAGE in held.pages else {}
        often = sorted((n for n, c in counts.items() if c >= RARE), key=lambda n: (-counts[n], n))[:MOST]
        kinds = sorted(held.pages[KIND].counts()) if KIND in held.pages else []
        return cls(tuple(often), tuple(kinds))

    def __len__(self) -> int:
        return 1 + len(self.pages) + len(self.kinds)

    @property
    def names(self) -> list[str]:
        return ["unknown", *self.pages, *self.kinds]

    def codes(self, held: Cases) -> np.ndarray:
        """Token of each event, int64[N]."""
        found = np.zeros(int(held.offsets[-1]), np.int64)
        if KIND in held.pages:
            found = 1 + len(self.pages) + held.pages[KIND].places(self.kinds, -1 - len(self.pages))
        if PAGE in held.pages:
            page = held.pages[PAGE].places(self.pages, -1)
            found = np.where(page >= 0, page + 1, found)
        return found


def paired(codes: np.ndarray, offsets: np.ndarray, tokens: int, dim: int, window: int = 2) -> np.ndarray:
    """Vectors of tokens from which of them stand near each other, float32[tokens, dim]; see the module."""
    owner = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    counts = np.zeros(tokens * tokens)
    for apart in range(1, window + 1):
        same = owner[apart:] == owner[:-apart]
        counts += np.bincount(codes[:-apart][same] * tokens + codes[apart:][same], minlength=tokens * tokens)
    near = counts.reshape(tokens, tokens)
    near = near + near.T
    alone = np.maximum(near.sum(1), 1e-9)
    with np.errstate(divide="ignore"):
        information = np.maximum(np.log(near * max(near.sum(), 1e-9) / np.outer(alone, alone)), 0.0)
    left, values, _ = np.linalg.svd(information)
    kept = left[:, :dim] * np.sqrt(values[:dim])
    # a singular vector's sign is arbitrary: the largest entry is positive
    kept *= np.where(kept[np.abs(kept).argmax(0), np.arange(kept.shape[1])] < 0, -1.0, 1.0)
    found = np.zeros((tokens, dim))
    found[:, : kept.shape[1]] = kept
    size = np.sqrt((found**2).sum(1).mean())
    return (found / max(size, 1e-9)).astype(np.float32)


@dataclass(frozen=True)
class Scales:
    """How each column of the experts becomes coordinates: a number one, a text one for each of its frequent values.

    numbers : column -> median, range, 1 where the logarithm is read. texts : column -> values.
    """

    numbers: Mapping[str, tuple[float, float, float]]
    texts: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, known: Mapping[str, np.ndarray]) -> Scales:
        numbers: dict[str, tuple[float, float, float]] = {}
        texts: dict[str, tuple[str, ...]] = {}
        for name, values in known.items():
            if values.dtype == object:
                found, counts = np.unique([v for v in values if v is not None], return_counts=True)
                texts[name] = tuple(str(v) for v in found[np.argsort(-counts, kind="stable")][:SHOWN])
            elif (there := values[np.isfinite(values)]).size:
                numbers[name] = _scale(there)
        return cls(numbers, texts)

    def apply(self, known: Mapping[str, np.ndarray], n: int) -> np.ndarray:
        """float64[n, coordinates]; a column that is not there is missing for all."""
        parts = [np.zeros((n, 0))]
        for name, (median, spread, logarithm) in self.numbers.items():
            x = np.asarray(known.get(name, np.full(n, np.nan)))
            x = np.full(n, np.nan) if x.dtype == object else x
            x = _logarithm(x) if logarithm else x
            with np.errstate(invalid="ignore"):
                parts.append(np.nan_to_num(np.clip((x - median) / spread, -CUT, CUT), nan=0.0)[:, None])
        for name, values in self.texts.items():
            held = np.asarray(known.get(name, np.full(n, None, object)), object)
            parts.append(np.stack([held == v for v in values], 1) * 1.0 if values else np.zeros((n, 0)))
        return np.concatenate(parts, axis=1)

    def json(self) -> dict[str, Any]:
        return {"numbers": {n: list(v) for n, v in self.numbers.items()},
                "texts": {n: list(v) for n, v in self.texts.items()}}  # fmt: skip

    @classmethod
    def from_json(cls, held: Mapping[str, Any]) -> Scales:
        numbers = {n: (float(v[0]), float(v[1]), float(v[2])) for n, v in held["numbers"].items()}
        return cls(numbers, {n: tuple(v) for n, v in held["texts"].items()})


def _logarithm(x: np.ndarray) -> np.ndarray:
    return np.asarray(np.sign(x) * np.log1p(np.abs(x)))


def _scale(x: np.ndarray) -> tuple[float, float, float]:
    low, median, high = np.quantile(x, [0.25, 0.5, 0.75])
    spread = high - low if high > low else float(x.std()) or 1.0
    if np.abs(x - median).max() <= TAIL * spread:
        return float(median), float(spread), 0.0
    x = _logarithm(x)
    low, median, high = np.quantile(x, [0.25, 0.5, 0.75])
    return float(median), float(high - low if high > low else x.std() or 1.0), 1.0


def spread(block: np.ndarray) -> float:
    """Root of the total variance of a block, 1 where nothing varies."""
    return float(np.sqrt(block.var(0).sum())) or 1.0


def hybrid(z: np.ndarray, f: np.ndarray, weight: float, spreads: tuple[float, float]) -> np.ndarray:
    """Both blocks in one vector, float32[n, d]; see the module."""
    parts = [np.sqrt(weight) * z / spreads[0], np.sqrt(1 - weight) * f / spreads[1]]
    kept = [p for p, w in zip(parts, (weight, 1 - weight), strict=True) if w > 0 and p.shape[1]]
    return np.ascontiguousarray(np.concatenate([*kept, np.zeros((len(z), 0))], axis=1), np.float32)
