"""From graded rows to what the audit says: means with intervals, contrasts, one-sided tests, the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from ethogram.audit.instruction_shift.heads import THIRDS
from ethogram.evaluate import bootstrap
from ethogram.verbs import Interval, Report, Table

VERBS, CONTROLS, CONCEPTS = "verbs", "controls", "concepts"


def welch(more: Any, less: Any) -> float:
    """One-sided p-value of Welch's test that the first mean is larger; NaN below two values a side."""
    from scipy.stats import ttest_ind

    a, b = _known(more), _known(less)
    if min(len(a), len(b)) < 2:
        return float("nan")
    if max(a.std(), b.std()) < 1e-9:
        return 0.0 if a.mean() > b.mean() + 1e-9 else 1.0
    return float(ttest_ind(a, b, equal_var=False, alternative="greater").pvalue)


def paired(more: Any, less: Any) -> float:
    """One-sided p-value of the paired t-test that the first mean is larger; NaN below two pairs."""
    from scipy.stats import ttest_1samp

    gap = _known(np.asarray(more, float) - np.asarray(less, float))
    if len(gap) < 2:
        return float("nan")
    if gap.std() < 1e-9:
        return 0.0 if gap.mean() > 1e-9 else 1.0
    return float(ttest_1samp(gap, 0.0, alternative="greater").pvalue)


def report(rows: Table) -> Report:
    """The report; which parts it has follows from what was asked and whether there is a base."""
    told = _Rows(rows)
    metrics: dict[str, Interval] = {}
    contrasts: dict[str, Interval] = {}
    p: dict[str, float] = {}
    _prompts(told, metrics, contrasts, p)
    _words(told, metrics, contrasts, p)
    _concepts(told, metrics, contrasts)
    metrics |= {f"p {name}": (value, value, value) for name, value in p.items() if not np.isnan(value)}
    verdict, why = _verdict(metrics, contrasts)
    notes = []
    if "followed tuned" in metrics and "detector auc" not in metrics:
        notes.append("every instruction was followed, or none: nothing to tell apart")
    if not told.column("score base").size or np.isnan(told.column("score base")).all():
        notes.append("without a base model nothing is said about what tuning changed")
    return Report("instruction_shift", "", metrics, verdict, why, contrasts, tuple(notes))


class _Rows:
    """Columns as float arrays, NaN where a row does not have them."""

    def __init__(self, rows: Table):
        self.rows, self.group = rows, np.array(rows.column("group").to_pylist(), object)

    def column(self, name: str, groups: tuple[str, ...] = ()) -> np.ndarray:
        if name not in self.rows.column_names:
            return np.full(int(np.isin(self.group, groups).sum()) if groups else len(self.group), np.nan)
        values = np.array([np.nan if v is None else float(v) for v in self.rows.column(name).to_pylist()])
        return values[np.isin(self.group, groups)] if groups else values


def _prompts(
    told: _Rows, metrics: dict[str, Interval], contrasts: dict[str, Interval], p: dict[str, float]
) -> None:  # fmt: skip
    score = {m: told.column(f"score {m}") for m in ("base", "tuned")}
    followed = {m: told.column(f"followed {m}") for m in ("base", "tuned")}
    for kind, found in (("score", score), ("followed", followed)):
        metrics |= {f"{kind} {m}": _mean(v) for m, v in found.items() if _known(v).size}
    if _known(score["tuned"] - score["base"]).size:
        contrasts["score: tuned − base"] = _mean(score["tuned"] - score["base"])
        p["score: tuned over base"] = paired(score["tuned"], score["base"])
    both = ~np.isnan(score["tuned"]) & ~np.isnan(followed["tuned"])
    yes, no = (score["tuned"][both & (followed["tuned"] == v)] for v in (1, 0))
    if yes.size and no.size:
        metrics |= {"score where followed": _mean(yes), "score where not": _mean(no)}
        contrasts["score: followed − not"] = _gap(yes, no)
        p["score: followed over not"] = welch(yes, no)
        metrics["detector auc"] = _inside(bootstrap.auc(followed["tuned"][both], score["tuned"][both]))
    falls = {}
    for model in score:
        start, middle = (_known(score[model][told.group == place]) for place in ("start", "middle"))
        if start.size and middle.size:
            falls[model] = metrics[f"fall to the middle {model}"] = _gap(start, middle)
    if len(falls) == 2:
        parts = [score[m][told.group == place] for m in ("base", "tuned") for place in ("start", "middle")]
        contrasts["fall to the middle: base − tuned"] = _falls(*parts)


def _words(
    told: _Rows, metrics: dict[str, Interval], contrasts: dict[str, Interval], p: dict[str, float]
) -> None:  # fmt: skip
    share = {}
    for kind in (VERBS, CONTROLS):
        for third in THIRDS:
            values = _known(told.column(f"wins {third}", (kind,)))
            if values.size:
                share[kind, third] = values
                metrics[f"wins {kind} {third}"] = _mean(values)
    for third in THIRDS:
        if (VERBS, third) in share and (CONTROLS, third) in share:
            contrasts[f"wins {third}: verbs − controls"] = _gap(share[VERBS, third], share[CONTROLS, third])
            p[f"wins {third}: verbs over controls"] = welch(share[VERBS, third], share[CONTROLS, third])
    # each verb beside itself: what it gained below less what it gained above, over the mean of the controls there
    level = {t: float(v.mean()) for (k, t), v in share.items() if k == CONTROLS}
    if len(level) == 3:
        gained = {t: told.column(f"wins {t}", (VERBS,)) - level[t] for t in THIRDS}
        low = np.stack([gained["lower"], gained["middle"]])
        there = (~np.isnan(low)).sum(axis=0)
        below = np.divide(np.nansum(low, axis=0), there, out=np.full(low.shape[1], np.nan), where=there > 0)
        if _known(below - gained["upper"]).size:
            contrasts["wins of verbs: lower and middle − upper"] = _mean(below - gained["upper"])
            p["wins of verbs: lower and middle over upper"] = paired(below, gained["upper"])


def _concepts(told: _Rows, metrics: dict[str, Interval], contrasts: dict[str, Interval]) -> None:
    found = {}
    for name in ("task share base", "task share tuned", "tasks moved", "levels moved"):
        if (values := _known(told.column(name, (CONCEPTS,)))).size:
            found[name] = values
            metrics[name] = _mean(values)
    if {"task share base", "task share tuned"} <= found.keys():
        contrasts["task share: tuned − base"] = _mean(found["task share tuned"] - found["task share base"])
    if {"tasks moved", "levels moved"} <= found.keys():
        contrasts["moved: tasks − levels"] = _mean(found["tasks moved"] - found["levels moved"])


def _verdict(
    metrics: Mapping[str, Interval], contrasts: Mapping[str, Interval]
) -> tuple[Literal["pass", "fail", "inconclusive"], str]:  # fmt: skip
    name, level = "score: tuned − base", 0.0
    found = contrasts.get(name)
    if found is None:
        name, level = "detector auc", 0.5
        found = metrics.get(name)
    if found is None:
        return "inconclusive", "neither a base model to compare with, nor answers of both kinds"
    value, low, high = found
    why = f"{name} is {value:.3f} [{low:.3f}, {high:.3f}] against {level:g}"
    return ("pass" if low > level else "fail" if high <= level else "inconclusive"), why


def _known(values: Any) -> np.ndarray:
    x = np.asarray(values, float)
    return x[~np.isnan(x)]


def _mean(values: np.ndarray) -> Interval:
    return _inside(bootstrap.mean(_known(values)))


def _draws(values: np.ndarray, seed: int) -> np.ndarray:
    kept = _known(values)[:, None]
    return bootstrap.ratio_draws(kept, np.ones_like(kept), seed=seed)[:, 0]


def _gap(a: np.ndarray, b: np.ndarray) -> Interval:
    """Difference of the means of two groups that were drawn apart."""
    return _inside(bootstrap.interval(_known(a).mean() - _known(b).mean(), _draws(a, 0) - _draws(b, 1)))


def _falls(base_start: np.ndarray, base_middle: np.ndarray, start: np.ndarray, middle: np.ndarray) -> Interval:
    """How much more the base falls than the tuned model, each prompt's two scores drawn together."""
    return _gap(base_start - start, base_middle - middle)


def _inside(found: Any) -> Interval:
    value, low, high = (float(v) for v in found[:3])
    return value, min(low, value), max(high, value)
