"""How what is claimed of `ban_evasion` is measured: logs of returning accounts, tasks, scores, each made once."""

from __future__ import annotations

from typing import Any

import numpy as np

from ethogram.claims import Estimate

KEY = "ban_evasion"
FIRST = 1
"""The first seed."""
NULLS = (2, 6, 7, 8)
"""Seeds of the logs in which nothing is planted."""
TASKS = ("T1", "T2", "T3a")
PLANTED = {
    "evading / malicious": {
        "talk": "talk", "reverts": "revert", "active days": "activity", "edits": "activity", "swear": "swear",
        "opinion": "opinion",
    },
    "evading / benign": {"talk": "talk", "reverts": "revert", "swear": "swear", "opinion": "opinion"},
    "pairs / random pairs": {
        "same name": "username", "same keys": "username", "same grams": "username", "same name words": "username",
        "same pages": "pages", "shared pages": "pages", "on old pages": "pages", "same titles": "pages",
        "same added": "style", "same vocabulary": "style", "same comments": "comments", "same hours": "hours",
    },
}  # fmt: skip
"""Comparison -> attribute -> what was planted that it measures. Attributes in neither list follow from what was planted
(pages from activity) and are not judged."""
NULL = (
    *("delay", "weekend", "minor", "words per edit", "positive", "negative", "sentiment", "self", "other", "negation"),
    *("certainty", "tentative", "cause", "social", "wiki", *(f"hours {4 * h}-{4 * h + 4}" for h in range(6))),
)
PAIR_NULL = tuple(f"difference: {n}" for n in ("delay", "minor", "words per edit", "positive", "negative", "sentiment"))


def kept(bench: Any, name: str, make: Any) -> Any:
    """What a law already measured on this bench."""
    held = bench.__dict__.setdefault("_ban_evasion", {})
    if name not in held:
        held[name] = make()
    return held[name]


def made(bench: Any, seed: int, pairs: int = 2_000, **how: Any) -> Any:
    """A generated log; a quick one is small, and the same for every seed without options."""
    from ethogram.data.returning_accounts import ReturningAccounts
    from ethogram.log import Log

    def make() -> Any:
        sizes = {"malicious": 2 * pairs, "benign": 2 * pairs, "days": 730}
        small = {"pairs": 80, "malicious": 200, "benign": 200, "days": 45} if bench.quick else {}
        read = ReturningAccounts(**{"pairs": pairs, "seed": seed, **sizes, **how, **small}).read()
        return Log.open(read.events, users=read.users, **read.roles)

    return kept(bench, f"log {sorted(how.items())}", make) if bench.quick else make()


def base_tasks(bench: Any) -> Any:
    """Tasks of the first log."""
    from ethogram.risk.ban_evasion import Accounts, Tasks

    return kept(bench, "tasks", lambda: Tasks(Accounts.of(made(bench, FIRST))))


def task(bench: Any, key: str) -> Any:
    return kept(bench, f"task {key}", lambda: base_tasks(bench).make(key))


def scores(bench: Any, key: str) -> dict[str, np.ndarray]:
    """Out-of-fold scores of a task: all features, each family, all but each family, all by trees and by the blend,
    matched variables."""

    def make() -> dict[str, np.ndarray]:
        from scipy.special import logit

        from ethogram.risk.ban_evasion.judged import ALL, by_family, logistic, out_of_fold, way

        one, folds = task(bench, key), 2 if bench.quick else 10
        families = {"all": ALL, **{f: (f,) for f in ALL}, **{f"no {f}": tuple(o for o in ALL if o != f) for f in ALL}}
        found = by_family(one, families, folds=folds)
        found["trees"] = out_of_fold(one.columns, one, way("boosted"), one.names, folds=folds)
        found["blend"] = logit(found["all"]) + logit(found["trees"])
        own = [i for i, name in enumerate(one.names) if name.startswith("new: ")]
        if own:
            found["own"] = out_of_fold(one.columns[:, own], one, logistic(), folds=folds)
        found["matched"] = out_of_fold(one.matched, one, logistic(), folds=folds)
        found["matched trees"] = out_of_fold(one.matched, one, way("boosted"), folds=folds)
        return found

    return dict(kept(bench, f"scores {key}", make))


def _draws(bench: Any) -> int:
    return 50 if bench.quick else 1_000


def auc(bench: Any, key: str, name: str = "all") -> Estimate:
    from ethogram.evaluate.bootstrap import auc as area

    one = task(bench, key)
    found = area(one.label, scores(bench, key)[name], units=one.groups, resamples=_draws(bench))
    return Estimate(*found, units=len(set(one.groups.tolist())), unit="people")


def off_half(bench: Any, key: str, name: str) -> Estimate:
    """AUC − 0.5; an equivalence is decided at 90%."""
    from ethogram.evaluate.bootstrap import auc as area

    one = task(bench, key)
    v, low, high = area(one.label, scores(bench, key)[name], units=one.groups, resamples=_draws(bench), level=0.90)
    return Estimate(v - 0.5, low - 0.5, high - 0.5, 0.90, len(set(one.groups.tolist())), "people")


def gap(bench: Any, key: str, left: str, right: str) -> Estimate:
    from ethogram.evaluate.bootstrap import auc_difference

    one, held = task(bench, key), scores(bench, key)
    found = auc_difference(one.label, held[left], held[right], units=one.groups, resamples=_draws(bench))
    return Estimate(*found[:3], units=len(set(one.groups.tolist())), unit="people")


def importance(bench: Any, key: str) -> float:
    from ethogram.risk.ban_evasion.judged import importances

    folds, repeats = (2, 1) if bench.quick else (10, 3)
    found = kept(bench, f"importances {key}", lambda: importances(task(bench, key), folds=folds, repeats=repeats))
    return found["edit"] - max(v for k, v in found.items() if k != "edit")


def _ranks(bench: Any) -> dict[str, np.ndarray]:
    def make() -> dict[str, np.ndarray]:
        from ethogram.evaluate.grouped import grouped_folds
        from ethogram.numeric.scorer import Scorer
        from ethogram.risk.ban_evasion.judged import reciprocal_ranks
        from ethogram.risk.ban_evasion.scorers import learn

        one, folds = task(bench, "T3a"), 2 if bench.quick else 10
        fold = grouped_folds(one.groups, folds, 0)
        parts = {"names": one.of(["username"]), "no edit": one.of(["temporal", "username", "language"])}
        ways = {}
        for name, at in parts.items():
            names_ = [one.names[i] for i in at]
            models = [
                Scorer.learn(one.columns[fold != f][:, at], one.label[fold != f], names_, 30.0) for f in range(folds)
            ]
            ways[name] = lambda f, columns, m=models, at=at: m[f].logit(columns[:, at])
        blends = [learn("blend", one.columns[fold != f], one.label[fold != f], one.names, 30.0) for f in range(folds)]
        ways["blend"] = lambda f, columns: blends[f].logit(columns)
        return reciprocal_ranks(base_tasks(bench), one, ways, folds=folds)

    return dict(kept(bench, "ranks", make))


def _people(bench: Any) -> np.ndarray:
    one = task(bench, "T3a")
    return one.groups[one.label]


def mrr(bench: Any, way: str) -> Estimate:
    from ethogram.evaluate.bootstrap import mean

    people = _people(bench)
    found = mean(_ranks(bench)[way], units=people, resamples=_draws(bench))
    return Estimate(*found, units=len(set(people.tolist())), unit="people")


def mrr_gap(bench: Any, way: str, left: str = "T3a") -> Estimate:
    from ethogram.evaluate.bootstrap import mean_difference

    people, held = _people(bench), _ranks(bench)
    found = mean_difference(held[left], held[way], units=people, resamples=_draws(bench))
    return Estimate(*found[:3], units=len(set(people.tolist())), unit="people")


def _null(bench: Any, seed: int = FIRST + 1) -> Any:
    from ethogram.risk.ban_evasion import Accounts, Tasks

    how = {"pairs": 1_000, "malicious": 2_000, "benign": 2_000, "effect": 0.0, "days": 365}
    return kept(bench, f"null {seed}", lambda: Tasks(Accounts.of(made(bench, seed, **how))))


def null_auc(bench: Any, key: str) -> Estimate:
    """Mean over logs, with the spread between them: a bootstrap of one log knows nothing of what chance taught."""
    from scipy.stats import t

    from ethogram.evaluate.classification import auc as area
    from ethogram.risk.ban_evasion.judged import logistic, out_of_fold

    def one_log(seed: int) -> float:
        one = _null(bench, seed).make(key)
        return area(one.label, out_of_fold(one.columns, one, logistic(), folds=2 if bench.quick else 5)) - 0.5

    seeds = (FIRST + 1,) if bench.quick else NULLS
    found = np.array([one_log(seed) for seed in seeds])
    spread = float(t.ppf(0.95, len(found) - 1) * found.std(ddof=1) / np.sqrt(len(found))) if len(found) > 1 else 0.5
    mean = float(found.mean())
    return Estimate(mean, mean - spread, mean + spread, 0.90, len(found), "logs")


def _report(bench: Any) -> dict[tuple[str, str], bool]:
    from ethogram.risk.ban_evasion.report import characterise

    rows = kept(bench, "report", lambda: characterise(base_tasks(bench)).to_pylist())
    return {(r["comparison"], r["attribute"]): r["differs"] for r in rows}


def missed(bench: Any, comparison: str) -> float:
    found = _report(bench)
    return float(sum(not found[comparison, name] for name in PLANTED[comparison]))


def false(bench: Any, comparison: str) -> float:
    found = _report(bench)
    return float(sum(found[comparison, name] for name in (PAIR_NULL if comparison.startswith("pairs") else NULL)))


def nothing_found(bench: Any) -> float:
    """Of the three comparisons; benign accounts live longer, which is no matter of what is planted."""
    from ethogram.risk.ban_evasion.report import characterise

    rows = characterise(_null(bench)).to_pylist()
    return float(sum(r["differs"] for r in rows if r["comparison"] in ("evading / malicious", "pairs / random pairs")))


def learned(bench: Any) -> Any:
    """The system as built, fitted on the first log."""
    return kept(bench, "learned", lambda: bench.build(KEY).fit(made(bench, FIRST), seed=0))


def assessed(bench: Any) -> dict[str, Any]:
    return dict(kept(bench, "assessed", lambda: _assessed(bench)))


def _assessed(bench: Any) -> dict[str, Any]:
    from ethogram.evaluate.bootstrap import auc as area
    from ethogram.evaluate.calibration import ece
    from ethogram.risk.ban_evasion import Accounts

    built = learned(bench)
    log = made(bench, FIRST + 2)
    a, table = Accounts.of(log), built.assess(log)
    returning, risk = a.parent >= 0, table["risk"].to_numpy()
    top = returning[np.argsort(-risk, kind="stable")[:100]]
    spread = 1.96 * np.sqrt(top.mean() * (1 - top.mean()) / len(top))
    lift = top.mean() - returning.mean()
    best = table["parent"].to_pylist()
    first = np.mean([best[i] == a.names[a.parent[i]] for i in np.flatnonzero(returning)])
    found = area(returning, risk, units=a.master, resamples=_draws(bench))
    return {
        "lift": Estimate(lift, lift - spread, lift + spread, units=len(top), unit="accounts"),
        "auc": Estimate(*found, units=len(set(a.master.tolist())), unit="people"), "ece": ece(returning, risk),
        "first": float(first),
    }  # fmt: skip


def large(bench: Any) -> dict[str, float]:
    return dict(kept(bench, "large", lambda: _large(bench)))


def _large(bench: Any) -> dict[str, float]:
    from ethogram.evaluate import machine
    from ethogram.risk.ban_evasion import Accounts, Tasks
    from ethogram.risk.ban_evasion.judged import ALL, by_family, reciprocal_ranks

    log = made(bench, FIRST + 4, 8_551)
    with machine.measure() as cost:
        tasks = Tasks(Accounts.of(log))
        for key in TASKS:
            one = tasks.make(key)
            by_family(one, {"all": ALL}, folds=2 if bench.quick else 10)
        reciprocal_ranks(tasks, one, folds=2 if bench.quick else 10)
        bench.build(KEY).fit(log)
    return {"seconds": cost.cpu_seconds, "gib": (cost.peak_mb or float("nan")) / 1024}
