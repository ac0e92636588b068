"""Yes or no at a threshold: accuracy, precision, recall, F1, balanced accuracy and Matthews' correlation.

A score of at least the threshold says yes. With weights of true positives tp, false positives fp, tn and fn:

    accuracy = (tp + tn) / all      precision = tp / (tp + fp)      recall = tp / (tp + fn)
    f1 = 2 tp / (2 tp + fp + fn)    balanced = (recall + tn / (tn + fp)) / 2
    mcc = (tp tn - fp fn) / sqrt((tp + fp)(tp + fn)(tn + fp)(tn + fn))

A fraction without a denominator is NaN. Labels between 0 and 1 count as in `classification`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ethogram.evaluate.calibration import checked

NAMES = ("accuracy", "precision", "recall", "f1", "balanced", "mcc")


def decisions(label: Any, score: Any, weight: Any = None, *, threshold: float = 0.5) -> dict[str, float]:
    """All of them by name.

    Examples
    --------
    >>> found = decisions([1, 1, 0, 0, 1], [0.9, 0.4, 0.6, 0.1, 0.5])
    >>> {name: round(value, 3) for name, value in found.items()}
    {'accuracy': 0.6, 'precision': 0.667, 'recall': 0.667, 'f1': 0.667, 'balanced': 0.583, 'mcc': 0.167}
    """
    return {name: float(value[0]) for name, value in of_cells(cells(label, score, weight, threshold=threshold)).items()}


def cells(label: Any, score: Any, weight: Any = None, *, threshold: float = 0.5, units: Any = None) -> np.ndarray:
    """Weights of (true positives, false positives, false negatives, true negatives) by unit, float64[U, 4]."""
    y, s, w = checked(label, score, weight)
    unit = np.zeros(len(y), np.int64) if units is None else np.asarray(units, np.int64)
    number = int(unit.max(initial=0)) + 1
    yes = s >= threshold
    parts = (yes * y, yes * (1 - y), ~yes * y, ~yes * (1 - y))
    return np.column_stack([np.bincount(unit, w * part, number) for part in parts])


def of_cells(counts: np.ndarray) -> dict[str, np.ndarray]:
    """The metrics of every row of `cells`, or of sums of them."""
    tp, fp, fn, tn = counts.T
    recall = _share(tp, tp + fn)
    return {
        "accuracy": _share(tp + tn, tp + fp + fn + tn),
        "precision": _share(tp, tp + fp),
        "recall": recall,
        "f1": _share(2 * tp, 2 * tp + fp + fn),
        "balanced": (recall + _share(tn, tn + fp)) / 2,
        "mcc": _share(tp * tn - fp * fn, np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))),
    }


def _share(over: np.ndarray, under: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(under > 0, over / under, np.nan))
