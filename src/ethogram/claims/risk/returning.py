"""How what is claimed of `ban_evasion` is measured: logs of returning accounts, tasks, scores, each made once."""

from __future__ import annotations

from typing import Any

import numpy as np

from ethogram.claims import Estimate, NotMeasurable
from ethogram.errors import MissingData

KEY = "ban_evasion"
FIRST = 1
"""The first seed."""
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


def _kept(bench: Any, name: str, make: Any) -> Any:
    """What a law already measured on this bench."""
    held = bench.__dict__.setdefault("_ban_evasion", {})
    if name not in held:
        held[name] = make()
    return held[name]


def made(bench: Any, seed: int, pairs: int = 2_000, **how: Any) -> Any:
    """A generated log; a quick one is small."""
    from ethogram.data.returning_accounts import ReturningAccounts
    from ethogram.log import Log

    pairs = 100 if bench.quick else pairs
    sizes = {"malicious": 2 * pairs, "benign": 2 * pairs, "days": 70 if bench.quick else 730}
    read = ReturningAccounts(pairs=pairs, seed=seed, **{**sizes, **how}).read()
    return Log.open(read.events, users=read.users, **read.roles)


def _tasks(bench: Any) -> Any:
    from ethogram.risk.ban_evasion import Accounts, Tasks

    return _kept(bench, "tasks", lambda: Tasks(Accounts.of(made(bench, FIRST))))


def task(bench: Any, key: str) -> Any:
    return _kept(bench, f"task {key}", lambda: _tasks(bench).make(key))


def trees(columns: np.ndarray, label: np.ndarray, names: Any) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    steps = 100 if len(label) > 1_000 else 10
    model = HistGradientBoostingClassifier(max_iter=steps, learning_rate=0.08, random_state=0).fit(columns, label)
    return lambda rows: model.decision_function(rows)


def scores(bench: Any, key: str) -> dict[str, np.ndarray]:
    """Out-of-fold scores of a task: all features, each family, all but each family, trees, matched variables."""

    def make() -> dict[str, np.ndarray]:
        from ethogram.risk.ban_evasion.judged import ALL, by_family, logistic, out_of_fold

        one, folds = task(bench, key), 3 if bench.quick else 10
        kept = {"all": ALL, **{f: (f,) for f in ALL}, **{f"no {f}": tuple(o for o in ALL if o != f) for f in ALL}}
        found = by_family(one, kept, folds=folds)
        found["trees"] = out_of_fold(one.columns, one, trees, folds=folds)
        found["matched"] = out_of_fold(one.matched, one, logistic(), folds=folds)
        found["matched trees"] = out_of_fold(one.matched, one, trees, folds=folds)
        return found

    return dict(_kept(bench, f"scores {key}", make))


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

    folds, repeats = (3, 1) if bench.quick else (10, 3)
    found = _kept(bench, f"importances {key}", lambda: importances(task(bench, key), folds=folds, repeats=repeats))
    return found["edit"] - max(v for k, v in found.items() if k != "edit")


def _ranks(bench: Any) -> dict[str, np.ndarray]:
    def make() -> dict[str, np.ndarray]:
        from ethogram.evaluate.grouped import grouped_folds
        from ethogram.numeric.scorer import Scorer
        from ethogram.risk.ban_evasion.judged import reciprocal_ranks

        one, folds = task(bench, "T3a"), 3 if bench.quick else 10
        fold = grouped_folds(one.groups, folds, 0)
        parts = {"names": one.of(["username"]), "no edit": one.of(["temporal", "username", "language"])}
        ways = {}
        for name, at in parts.items():
            kept = [one.names[i] for i in at]
            models = [
                Scorer.learn(one.columns[fold != f][:, at], one.label[fold != f], kept, 30.0) for f in range(folds)
            ]
            ways[name] = lambda f, columns, m=models, at=at: m[f].logit(columns[:, at])
        return reciprocal_ranks(_tasks(bench), one, ways, folds=folds)

    return dict(_kept(bench, "ranks", make))


def _people(bench: Any) -> np.ndarray:
    one = task(bench, "T3a")
    return one.groups[one.label]


def mrr(bench: Any, way: str) -> Estimate:
    from ethogram.evaluate.bootstrap import mean

    people = _people(bench)
    found = mean(_ranks(bench)[way], units=people, resamples=_draws(bench))
    return Estimate(*found, units=len(set(people.tolist())), unit="people")


def mrr_gap(bench: Any, way: str) -> Estimate:
    from ethogram.evaluate.bootstrap import mean_difference

    people, held = _people(bench), _ranks(bench)
    found = mean_difference(held["T3a"], held[way], units=people, resamples=_draws(bench))
    return Estimate(*found[:3], units=len(set(people.tolist())), unit="people")


def _null(bench: Any) -> Any:
    from ethogram.risk.ban_evasion import Accounts, Tasks

    return _kept(bench, "null", lambda: Tasks(Accounts.of(made(bench, FIRST + 1, 1_000, effect=0.0, days=365))))


def null_auc(bench: Any, key: str) -> Estimate:
    from ethogram.evaluate.bootstrap import auc as area
    from ethogram.risk.ban_evasion.judged import logistic, out_of_fold

    one = _null(bench).make(key)
    found = out_of_fold(one.columns, one, logistic(), folds=3 if bench.quick else 10)
    v, low, high = area(one.label, found, units=one.groups, resamples=_draws(bench), level=0.90)
    return Estimate(v - 0.5, low - 0.5, high - 0.5, 0.90, len(set(one.groups.tolist())), "people")


def _report(bench: Any) -> dict[tuple[str, str], bool]:
    from ethogram.risk.ban_evasion.report import characterise

    rows = _kept(bench, "report", lambda: characterise(_tasks(bench)).to_pylist())
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


def assessed(bench: Any) -> dict[str, Any]:
    return dict(_kept(bench, "assessed", lambda: _assessed(bench)))


def _assessed(bench: Any) -> dict[str, Any]:
    from ethogram.evaluate.bootstrap import auc as area
    from ethogram.evaluate.calibration import ece
    from ethogram.risk.ban_evasion import Accounts

    built = bench.build(KEY).fit(made(bench, FIRST), seed=0)
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


def searched(bench: Any) -> dict[str, float]:
    return dict(_kept(bench, "searched", lambda: _searched(bench)))


def _searched(bench: Any) -> dict[str, float]:
    """Against the exact similarities with all accounts banned before, for 500 reported accounts."""
    from time import process_time

    from scipy import sparse

    from ethogram.risk.ban_evasion import Accounts, Tasks
    from ethogram.risk.ban_evasion.profiles import WIDTH
    from ethogram.risk.ban_evasion.shortlist import Banned, micros, sets

    how = {} if bench.quick else {"malicious": 75_000, "benign": 1_000, "days": 3_650}
    tasks = Tasks(Accounts.of(made(bench, FIRST + 3, 17_000, **how)))
    a = tasks.accounts
    banned = tasks.n[np.isfinite(a.blocked)]
    index = Banned(tasks.idf)
    for at in range(0, len(banned), 10_000):
        rows = banned[at : at + 10_000]
        index.add(tasks.old(rows), a.blocked[rows])
    children = tasks.n[(a.parent >= 0) & np.isfinite(a.blocked)]
    asked = np.random.default_rng(0).permutation(children)[: 20 if bench.quick else 500]
    seen = tasks.reported(asked)
    index.search(seen, a.created[asked], 1)  # compiled beforehand
    begun = process_time()
    places, _ = index.search(seen, a.created[asked], 50)
    ms = 1e3 * (process_time() - begun) / len(asked)

    def matrix(held: Any, values: np.ndarray) -> Any:
        return sparse.csr_matrix((values, held.tokens.astype(np.int64), held.offsets), (len(held), 4 * WIDTH))

    held, asks = index.index.sets, sets(seen, tasks.idf)
    weighted, right = matrix(held, held.weights), matrix(asks, np.ones(len(asks.tokens)))
    total, own = np.asarray(weighted.sum(1)).ravel(), np.asarray(matrix(asks, asks.weights).sum(1)).ravel()
    recall = []
    for i in range(len(asked)):
        both = np.asarray((weighted @ right[i].T).todense()).ravel()
        like = np.where(index.index.clock < micros(a.created[asked[i : i + 1]]), both / (total + own[i] - both), 0.0)
        k = min(50, int((like > 0).sum()))
        least = np.sort(like)[-k] if k else np.inf
        mine = places[i][places[i] >= 0]
        recall.append(min(1.0, float((like[mine] >= least - 1e-12).sum()) / k) if k else 1.0)
    place = np.full(len(a), -1)
    place[banned] = np.arange(len(banned))
    true = (places == place[a.parent[asked]][:, None]).any(1)
    return {"recall": float(np.mean(recall)), "ms": ms, "true": float(true.mean()), "gib": index.index.nbytes / 2**30}


def read(bench: Any) -> dict[str, float]:
    return dict(_kept(bench, "read", lambda: _read(bench)))


def _read(bench: Any) -> dict[str, float]:
    from ethogram.data.ban_evasion import BanEvasion
    from ethogram.log import Log
    from ethogram.risk.ban_evasion import Accounts, Tasks

    real = BanEvasion()
    try:
        told = real.read()
    except MissingData as error:
        raise NotMeasurable(str(error)) from None
    tasks = Tasks(Accounts.of(Log.open(told.events, users=told.users, **told.roles)))
    fine = ("revision of no account whose contributions are here", "the account has no contributions")
    wrong = [r for r in real.aside()["reason"].to_pylist() if r not in fine]
    seen = tasks.reported(tasks.n)
    return {
        "edits": 572.0 - len(tasks.accounts.time), "pairs": 45.0 - len(real.pairs()),
        "revisions": 40.0 - len(real.revisions()), "wrong": float(len(wrong)),
        "lost": float(len(tasks.n) - int(np.isfinite(seen.numbers).any(1).sum())),
    }  # fmt: skip


def large(bench: Any) -> dict[str, float]:
    return dict(_kept(bench, "large", lambda: _large(bench)))


def _large(bench: Any) -> dict[str, float]:
    from ethogram.evaluate import machine
    from ethogram.risk.ban_evasion import Accounts, Tasks
    from ethogram.risk.ban_evasion.judged import ALL, by_family, reciprocal_ranks

    log = made(bench, FIRST + 4, 8_551)
    with machine.measure() as cost:
        tasks = Tasks(Accounts.of(log))
        for key in TASKS:
            one = tasks.make(key)
            by_family(one, {"all": ALL}, folds=3 if bench.quick else 10)
        reciprocal_ranks(tasks, one, folds=3 if bench.quick else 10)
        bench.build(KEY).fit(log)
    return {"seconds": cost.cpu_seconds, "gib": (cost.peak_mb or float("nan")) / 1024}
