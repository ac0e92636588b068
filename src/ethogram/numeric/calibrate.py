"""Monotone maps from scores to probabilities, kept as plain numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit


@dataclass(frozen=True)
class Calibration:
    """``sigmoid``: x = (slope, offset). ``isotonic``: steps (x, y), linear between. ``none``: the logistic function."""

    kind: str
    x: tuple[float, ...] = ()
    y: tuple[float, ...] = ()

    @classmethod
    def learn(cls, kind: str, z: np.ndarray, label: np.ndarray, weight: np.ndarray | None = None) -> Calibration:
        """From scores float[n] and labels in [0, 1] of the same rows, each with a weight."""
        if kind == "sigmoid":
            return cls(kind, _platt(z, label, np.ones(len(z)) if weight is None else weight))
        if kind == "isotonic":
            from sklearn.isotonic import IsotonicRegression

            made = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(z, label, weight)
            return cls(kind, tuple(map(float, made.X_thresholds_)), tuple(map(float, made.y_thresholds_)))
        return cls("none")

    def __call__(self, z: np.ndarray) -> np.ndarray:
        if self.kind == "sigmoid":
            return np.asarray(expit(self.x[0] * z + self.x[1]))
        if self.kind == "isotonic":
            return np.asarray(np.interp(z, self.x, self.y))
        return np.asarray(expit(z))

    def json(self) -> dict[str, Any]:
        return {"kind": self.kind, "x": list(self.x), "y": list(self.y)}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Calibration:
        return cls(row["kind"], tuple(row["x"]), tuple(row["y"]))


def pulled(label: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Labels drawn a little towards each other, as Platt (1999) does: no row is taken for certain."""
    yes, no = (weight * label).sum(), (weight * (1 - label)).sum()
    found: np.ndarray = label * (yes + 1) / (yes + 2) + (1 - label) / (no + 2)
    return found


def _platt(z: np.ndarray, y: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Slope and offset of least weighted log-loss by Newton's method."""
    target = pulled(y, weight)
    design, found = np.stack([z, np.ones(len(z))], 1), np.array([1.0, 0.0])

    def loss(at: np.ndarray) -> float:
        score = design @ at
        return float((weight * (np.logaddexp(0, score) - target * score)).sum())

    for _ in range(50):
        p = expit(design @ found)
        slope = design.T @ (weight * (p - target))
        bend = (design * (weight * p * (1 - p))[:, None]).T @ design + 1e-10 * np.eye(2)
        step, size = np.linalg.solve(bend, slope), 1.0
        while size > 1e-6 and loss(found - size * step) > loss(found):
            size /= 2
        found = found - size * step
        if np.abs(size * step).max() < 1e-10:
            break
    return float(found[0]), float(found[1])
