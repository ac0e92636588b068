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
from ethogram.evaluate.associations import Z95
from ethogram.evaluate.calibration import checked
from ethogram.evaluate.correction import holm
from ethogram.evaluate.shares import differ, wilson

SMALL = 30
"""Cases behind a rate below which a group is not compared."""
RATES = {"approval": "approval rate", "fpr": "false alarms among the good", "fnr": "missed among the bad"}


def group_errors(
    groups: Any, risk: Any, label: Any, threshold: float, weight: Any = None, *, small: int = SMALL
) -> pa.Table:
    """A row per group, by name.

    Columns `group`, `cases`, `known`, then for each of `approval`, `fpr`, `fnr` the rate with `_low`, `_high`, `_of`
    (cases behind it) and `_p`; `risk` (mean), `bad_rate`, `gap`, `gap_low`, `gap_high`, `gap_p`; `warnings` (list).
    What rests on outcomes is of the cases whose outcome is known. Two groups are one comparison, told with the first.

    Parameters
    ----------
    groups : an attribute per case, null where it is not known (these form no group). risk : [N]. label : 0, 1, or NaN
        where the outcome is not known, [N]. weight : of cases with an outcome, such as those of `censoring`; the
        approval rate counts every case as one.

    Raises
    ------
    OptionError
        Lengths differ; a risk or a label that is none.
    """
    named = np.array([None if g is None or g != g else str(g) for g in _listed(groups)], object)
    s, y = np.asarray(risk, np.float64), np.asarray(label, np.float64)
    if not len(named) == len(s) == len(y):
        raise OptionError(f"{len(named)} groups, {len(s)} risks and {len(y)} labels: give one of each per case.")
    _, _, w = checked(np.nan_to_num(y), s, weight)
    there = np.array([g is not None for g in named], bool)
    names, at = np.unique(named[there].astype(str), return_inverse=True)
    s, y, w, number = s[there], y[there], w[there], len(names)
    known, declined, each = ~np.isnan(y), s > threshold, np.ones(len(s))
    rows = {
        "approval": (~declined, each > 0, each),
        "fpr": (declined, known & (y == 0), w),
        "fnr": (~declined, known & (y == 1), w),
    }
    made: dict[str, Any] = {"group": names, "cases": np.bincount(at, minlength=number)}
    made["known"] = np.bincount(at[known], minlength=number)
    tests = {}
    for name, (hit, of, by) in rows.items():
        hits, trials = _counts(at[of], hit[of], by[of], number)
        made[name], made[f"{name}_low"], made[f"{name}_high"] = wilson(hits, trials)
        made[f"{name}_of"] = counted = np.bincount(at[of], minlength=number)
        enough = (counted >= small) & (counted.sum() - counted >= small)
        rest = np.array([_counts(0 * at[o], hit[o], by[o], 1) for o in (of & (at != g) for g in range(number))])
        rest = rest.reshape(number, 2)
        tests[name] = np.where(enough, differ(hits, trials, rest[:, 0], rest[:, 1]), np.nan)
    made |= _calibration(at[known], s[known], y[known], w[known], number)
    tests["gap"] = np.where(made["known"] >= small, made.pop("gap_p"), np.nan)
    p = np.stack(list(tests.values())) if number else np.zeros((4, 0))
    # of two groups each is the other's rest: one test, not two
    p = np.repeat(holm(p[:, :1]), 2, 1) if number == 2 and not np.isnan(p[:, 0]).all() else holm(p)
    made |= {f"{name}_p": of for name, of in zip(tests, p, strict=True)}
    table = pa.table(made)
    said = [_warnings(r, small, r["group"] == names[0] or number > 2) for r in table.to_pylist()]
    return table.append_column("warnings", pa.array(said, pa.list_(pa.string())))


def _counts(at: np.ndarray, hit: np.ndarray, weight: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
    """(hits, trials) of each group, in cases of equal weight that say as much."""
    total, square = np.bincount(at, weight, number), np.bincount(at, weight * weight, number)
    with np.errstate(invalid="ignore", divide="ignore"):
        trials = np.nan_to_num(total * total / square)
        return np.nan_to_num(np.bincount(at, weight * hit, number) / total) * trials, trials


def _calibration(at: np.ndarray, risk: np.ndarray, bad: np.ndarray, w: np.ndarray, number: int) -> dict[str, Any]:
    from scipy.special import ndtr

    def moments(rows: np.ndarray, at: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
        """(mean of risk - outcome, its variance) by group."""
        off, by = (risk - bad)[rows], w[rows]
        total = np.bincount(at, by, number)
        mean = np.bincount(at, by * off, number) / total
        return mean, np.bincount(at, (by * (off - mean[at])) ** 2, number) / total**2

    with np.errstate(invalid="ignore", divide="ignore"):
        total = np.bincount(at, w, number)
        mean, spread = moments(np.ones(len(at), bool), at, number)
        others = [moments(at != g, np.zeros(int((at != g).sum()), np.int64), 1) for g in range(number)]
        rest, rest_spread = np.array(others).reshape(number, 2).T
        z = np.abs(mean - rest) / np.sqrt(spread + rest_spread)
        return {
            "risk": np.bincount(at, w * risk, number) / total,
            "bad_rate": np.bincount(at, w * bad, number) / total,
            "gap": mean,
            "gap_low": mean - Z95 * np.sqrt(spread),
            "gap_high": mean + Z95 * np.sqrt(spread),
            "gap_p": 2 * (1 - ndtr(z)),
        }


def _warnings(row: dict[str, Any], small: int, compared: bool) -> list[str]:
    """What a reader must not overlook in a row, one sentence each."""
    who, said = row["group"], []
    if row["cases"] < small:
        return [f"{who}: only {row['cases']} cases, too few to compare it with the others."]
    for name, words in RATES.items():
        p, of = row[f"{name}_p"], row[f"{name}_of"]
        if of < small:
            said.append(f"{who}: {words} rests on {of} cases, too few to compare it.")
        elif compared and p == p and p <= 0.05:
            said.append(f"{who}: {words} is {row[name]:.1%}, different from the others' beyond chance (p {_p(p)}).")
    p, gap = row["gap_p"], row["gap"]
    if compared and p == p and p <= 0.05:
        way = "higher" if gap > 0 else "lower"
        said.append(
            f"{who}: its mean risk is {abs(gap):.1%} {way} than its bad rate, a gap that differs from the others' "
            f"beyond chance (p {_p(p)})."
        )
    return said


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def _listed(groups: Any) -> list[Any]:
    return groups.to_pylist() if hasattr(groups, "to_pylist") else list(groups)
