"""Who bears the mistakes? Error rates of a threshold by a protected attribute, with plain warnings.

A case is declined where its risk is above the threshold. In a group of cases with known outcomes,

    FPR   good ones that are declined / good ones      the burden of a false alarm
    FNR   bad ones that are approved / bad ones
    approval rate   of all its cases, known or not
    gap   mean risk - bad rate: above 0 the group is judged worse than it turned out

Each share has Wilson's interval. A group is held against all others together: rates by the pooled z-test, the gap by
a z-test of the means of (risk - outcome), all p-values corrected together (Holm). "Beyond chance" is p <= 0.05 after
the correction; where a group has fewer than `SMALL` cases behind a rate, that is said instead of any comparison.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError
from ethogram.evaluate.calibration import checked
from ethogram.evaluate.correction import holm
from ethogram.evaluate.shares import differ, wilson

SMALL = 30
"""Cases behind a rate below which a group is not compared."""
RATES = {"approval": "approval rate", "fpr": "false alarms among the good", "fnr": "missed among the bad"}


def group_errors(groups: Any, risk: Any, label: Any, threshold: float, *, small: int = SMALL) -> pa.Table:
    """A row per group, by name.

    Columns `group`, `cases`, `known`, then for each of `approval`, `fpr`, `fnr` the rate with `_low`, `_high`, `_of`
    (cases behind it) and `_p`; `risk` (mean), `bad_rate`, `gap`, `gap_low`, `gap_high`, `gap_p`; `warnings` (list).

    Parameters
    ----------
    groups : an attribute per case, null where it is not known (these form no group). risk : [N]. label : 0, 1, or NaN
        where the outcome is not known, [N].

    Raises
    ------
    OptionError
        Lengths differ; a risk or a label that is none.
    """
    named = np.array([None if g is None or g != g else str(g) for g in _listed(groups)], object)
    s, y = np.asarray(risk, np.float64), np.asarray(label, np.float64)
    if not len(named) == len(s) == len(y):
        raise OptionError(f"{len(named)} groups, {len(s)} risks and {len(y)} labels: give one of each per case.")
    checked(np.nan_to_num(y), s)
    there = np.array([g is not None for g in named], bool)
    names, at = np.unique(named[there].astype(str), return_inverse=True)
    s, y, number = s[there], y[there], len(names)
    known, declined = ~np.isnan(y), s > threshold

    def count(rows: np.ndarray) -> np.ndarray:
        return np.bincount(at[rows], minlength=number).astype(np.float64)

    parts = {
        "approval": (count(~declined), count(np.ones(len(s), bool))),
        "fpr": (count(known & declined & (y == 0)), count(known & (y == 0))),
        "fnr": (count(known & ~declined & (y == 1)), count(known & (y == 1))),
    }
    made: dict[str, Any] = {"group": names, "cases": count(np.ones(len(s), bool)).astype(int), "known": count(known)}
    tests = {}
    for name, (hits, of) in parts.items():
        made[name], made[f"{name}_low"], made[f"{name}_high"] = wilson(hits, of)
        made[f"{name}_of"] = of
        enough = (of >= small) & (of.sum() - of >= small)
        tests[name] = np.where(enough, differ(hits, of, hits.sum() - hits, of.sum() - of), np.nan)
    made |= _calibration(at, s, y, known, number)
    tests["gap"] = np.where(made["known"] >= small, made.pop("gap_p"), np.nan)
    corrected = holm(np.stack(list(tests.values()))) if number else np.zeros((4, 0))
    made |= {f"{name}_p": p for name, p in zip(tests, corrected, strict=True)}
    made["known"] = made["known"].astype(int)
    rows = pa.table(made)
    return rows.append_column(
        "warnings", pa.array([_warnings(r, small) for r in rows.to_pylist()], pa.list_(pa.string()))
    )


def _calibration(at: np.ndarray, s: np.ndarray, y: np.ndarray, known: np.ndarray, number: int) -> dict[str, np.ndarray]:
    from scipy.special import ndtr

    at, risk, bad = at[known], s[known], y[known]
    n = np.bincount(at, minlength=number).astype(np.float64)
    off = risk - bad
    total, square = np.bincount(at, off, number), np.bincount(at, off * off, number)

    def moments(n: np.ndarray, total: np.ndarray, square: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean = total / n
        return mean, np.maximum(square / n - mean * mean, 0) / np.maximum(n - 1, 1)

    with np.errstate(invalid="ignore", divide="ignore"):
        mean, spread = moments(n, total, square)
        rest, rest_spread = moments(n.sum() - n, total.sum() - total, square.sum() - square)
        z = np.abs(mean - rest) / np.sqrt(spread + rest_spread)
        return {
            "risk": np.bincount(at, risk, number) / n,
            "bad_rate": np.bincount(at, bad, number) / n,
            "gap": mean,
            "gap_low": mean - 1.96 * np.sqrt(spread),
            "gap_high": mean + 1.96 * np.sqrt(spread),
            "gap_p": 2 * (1 - ndtr(z)),
        }


def _warnings(row: dict[str, Any], small: int) -> list[str]:
    """What a reader must not overlook in a row, one sentence each."""
    who, said = row["group"], []
    if row["cases"] < small:
        return [f"{who}: only {row['cases']} cases, too few to compare it with the others."]
    for name, words in RATES.items():
        p, of = row[f"{name}_p"], row[f"{name}_of"]
        if of < small:
            said.append(f"{who}: {words} rests on {of:.0f} cases, too few to compare it.")
        elif p == p and p <= 0.05:
            said.append(
                f"{who}: {words} is {row[name]:.1%}, different from the other groups beyond chance (p {_p(p)})."
            )
    p, gap = row["gap_p"], row["gap"]
    if p == p and p <= 0.05:
        way = "higher" if gap > 0 else "lower"
        said.append(
            f"{who}: its mean risk is {abs(gap):.1%} {way} than its bad rate, a gap that differs from the other "
            f"groups' beyond chance (p {_p(p)})."
        )
    return said


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def _listed(groups: Any) -> list[Any]:
    return groups.to_pylist() if hasattr(groups, "to_pylist") else list(groups)
