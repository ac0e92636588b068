"""What is claimed of `ban_evasion`, and how it is measured.

The published accounts (33 GiB) are not on this machine: the generator `returning_accounts` stands for them. Its rates
were calibrated, on seeds 900 to 906, so that the families of features order as published (edit, language, temporal)
and the figures come near the published ones. So the figures of the tasks say nothing about Wikipedia: what is checked
is the mechanism (matched controls that do not leak, folds by person, three edits and no more, features that find what
was planted and nothing where nothing was). The claims use seeds from 1 on; people are the units of the intervals.

Bounds of the queue, which the paper does not have, were chosen on the same seeds. T3a came out at .96 in the
calibration, above the published .90: with it below .95, the true parent was not ranked first as often as published.
Both bounds of the specification stand below.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ethogram.claims import Estimate, Law, Laws, claim

KEY = "ban_evasion"
FIRST = 1
TASKS = ("T1", "T2", "T3a")
BANDS = {"T1": (0.72, 0.84), "T2": (0.85, 0.95), "T3a": (0.85, 0.95)}
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


@claim(KEY, "Who will come back, is it a returning account, whose is it: as good as published, on accounts made for it")
def tasks(bench: Any) -> Laws:
    laws = []
    for key, (low, high) in BANDS.items():
        laws += [
            Law(f"{key}: AUC of all features", lambda b, k=key: auc(b, k), ">=", low),
            Law(f"{key}: AUC of all features, not above the band", lambda b, k=key: auc(b, k), "<=", high),
        ]
    return Laws(
        *laws,
        Law("T3b: mean reciprocal rank of the true parent among 50", lambda b: mrr(b, "T3a"), ">=", 0.90),
        Law("that − by usernames alone", lambda b: mrr_gap(b, "names"), ">=", 0.20),
        Law("that − the scorer of T3a without pages", lambda b: mrr_gap(b, "no edit"), ">", 0.0),
    )


@claim(KEY, "Edit features tell most, then language, then time; without edit features most is lost")
def families(bench: Any) -> Laws:
    laws = []
    for key in ("T1", "T2"):
        laws += [
            Law(f"{key}: AUC, edit − language", lambda b, k=key: gap(b, k, "edit", "language"), ">", 0.0),
            Law(f"{key}: AUC, language − temporal", lambda b, k=key: gap(b, k, "language", "temporal"), ">", 0.0),
            Law(f"{key}: AUC of temporal features − 0.5", lambda b, k=key: off_half(b, k, "temporal"), "within", 0.05),
        ]
    for key in TASKS:
        for other in ("temporal", "username", "language"):
            laws.append(
                Law(f"{key}: AUC without {other} − without edit",
                    lambda b, k=key, o=other: gap(b, k, f"no {o}", "no edit"), ">", 0.0)
            )  # fmt: skip
        laws.append(
            Law(f"{key}: permutation importance, edit − the largest other", lambda b, k=key: importance(b, k), ">", 0.0)
        )
    return Laws(*laws)


@claim(KEY, "Controls are matched: what they were matched on tells nothing, and without an effect nothing is found")
def no_leak(bench: Any) -> Laws:
    laws = []
    for key in TASKS:
        laws += [
            Law(f"{key}: AUC − 0.5 of the matched variables, logistic", lambda b, k=key: off_half(b, k, "matched"),
                "within", 0.03),
            Law(f"{key}: AUC − 0.5 of the matched variables, boosted trees",
                lambda b, k=key: off_half(b, k, "matched trees"), "within", 0.03),
            Law(f"{key}: AUC − 0.5 where nothing is planted", lambda b, k=key: null_auc(b, k), "within", 0.05),
        ]  # fmt: skip
    return Laws(*laws)


@claim(KEY, "A plain logistic scorer is near boosted trees on the same features")
def baselines(bench: Any) -> Laws:
    return Laws(
        *(
            Law(f"{key}: AUC, logistic − boosted trees", lambda b, k=key: gap(b, k, "all", "trees"), ">=", -0.02)
            for key in TASKS
        ),
        *(
            Law(f"{key}: AUC, all − usernames alone", lambda b, k=key: gap(b, k, "all", "username"), ">=", 0.1)
            for key in TASKS
        ),
    )


@claim(KEY, "The report finds every attribute that was planted and none that was not")
def report(bench: Any) -> Laws:
    return Laws(
        *(
            Law(f"{name}: planted attributes that are not found", lambda b, n=name: missed(b, n), "<=", 0)
            for name in PLANTED
        ),
        *(Law(f"{name}: null attributes that are found", lambda b, n=name: false(b, n), "<=", 0) for name in PLANTED),
        Law("attributes found where nothing is planted", lambda b: nothing_found(b), "<=", 0),
    )


@claim(KEY, "Accounts of another log are put in a useful order, with risks that mean what they say")
def queue(bench: Any) -> Laws:
    return Laws(
        Law("precision among the 100 with the highest risk − base rate", lambda b: assessed(b)["lift"], ">=", 0.3),
        Law("AUC of the risk, three edits", lambda b: assessed(b)["auc"], ">=", 0.65),
        Law("expected calibration error of the risk", lambda b: assessed(b)["ece"], "<=", 0.05),
        Law(
            "share of returning accounts whose first candidate is the parent", lambda b: assessed(b)["first"], ">=", 0.4
        ),
    )


@claim(KEY, "The shortlist of 50 out of 100,000 banned accounts is the right one, in milliseconds")
def shortlist(bench: Any) -> Laws:
    return Laws(
        Law("share of the 50 most similar that it holds", lambda b: searched(b)["recall"], ">=", 0.98),
        Law("processor milliseconds for a question", lambda b: searched(b)["ms"], "<=", 50),
        Law("reported accounts whose parent is among the 50", lambda b: searched(b)["true"], ">=", 0.98),
        Law("memory of the index (GiB)", lambda b: searched(b)["gib"], "<=", 1.0),
    )


@claim(KEY, "The real sample is read whole")
def sample(bench: Any) -> Laws:
    return Laws(
        Law("edits missing of 572", lambda b: read(b)["edits"], "<=", 0),
        Law("pairs and banned accounts missing of 45 rows", lambda b: read(b)["pairs"], "<=", 0),
        Law("revisions missing of 40", lambda b: read(b)["revisions"], "<=", 0),
        Law("rows that contradict themselves", lambda b: read(b)["wrong"], "<=", 0),
        Law("accounts without a profile", lambda b: read(b)["lost"], "<=", 0),
    )


@claim(KEY, "8,551 pairs, as published, are learned in minutes")
def size(bench: Any) -> Laws:
    return Laws(
        Law("processor seconds for tasks, folds, ranking and fit", lambda b: large(b)["seconds"], "<=", 300),
        Law("peak memory above the start (GiB)", lambda b: large(b)["gib"], "<=", 8),
    )


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
    """A quick run needs no files, and counts nothing."""
    from ethogram.data.ban_evasion import BanEvasion
    from ethogram.log import Log
    from ethogram.risk.ban_evasion import Accounts, Tasks

    if bench.quick:
        return dict.fromkeys(("edits", "pairs", "revisions", "wrong", "lost"), 0.0)
    real = BanEvasion()
    told = real.read()
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
