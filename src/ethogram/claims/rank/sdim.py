"""What is claimed of `sdim`, and how it is measured.

Settings were chosen on the validation part of the generator; nothing was chosen on test.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from ethogram.claims import Gap, Grid, Law, Laws, claim
from ethogram.claims.explaining import NAMED, deleted

TUNED = {"dim": 16, "lr": 3e-3, "decay": 1.0, "epochs": 5, "patience": 2}
REAL = {"dim": 16, "lr": 2e-3, "decay": 1.0, "epochs": 3, "patience": 1, "batch": 1_024}
FLOORS = {
    "smoothed rates": "smoothed_rates",
    "hashed regression": "hashed_regression",
    "boosted aggregates": "boosted_aggregates",
}
QUICK = {"epochs": 1, "questions": 48, "steps": 10}
"""Settings of a quick run."""
GENERATED: dict[str, Any] = {
    "data": [("interests", {"users": 800})],
    "metric": "gauc",
    "protocol": "by-user",
    "split": {"valid": 0.1, "test": 0.4},
    "quick": QUICK,
}


def arm(settings: dict[str, Any], **more: Any) -> tuple[str, dict[str, Any]]:
    return "sdim", {**settings, **more}


@claim("sdim", "Sees interests that only old events tell as well as attention over the whole history does")
def quality(bench: Any) -> Grid:
    return Grid(
        arms={
            "sdim": arm(TUNED),
            "short only": arm(TUNED, long="none"),
            "target attention": arm(TUNED, long="attention"),
            "dot attention": arm(TUNED, long="dot"),
            "mean pooling": arm(TUNED, long="mean"),
            "top 50 by category": arm(TUNED, long="category", category="category"),
            "top 50 by hash": arm(TUNED, long="nearest"),
            **FLOORS,
        },
        seeds=3,
        **GENERATED,
        holds=[
            Gap("sdim", "short only") >= 0.01,
            Gap("target attention", "sdim") <= 0.005,
            Gap("sdim", "mean pooling") > 0,
            Gap("target attention", "mean pooling") > 0,
            Gap("sdim", "top 50 by hash") >= -0.005,
        ],
    )


@claim("sdim", "The best sharpness lies inside 1 ... 8, and more hashes are better")
def sharpness(bench: Any) -> Grid:
    return Grid(
        arms={"sdim": arm(TUNED), "m 6": arm(TUNED, hashes=6)}
        | {f"tau {tau}": arm(TUNED, width=tau) for tau in (1, 2, 4, 6, 8)},
        seeds=3,
        **GENERATED,
        holds=[Gap("sdim", "tau 1") > 0, Gap("sdim", "tau 8") > 0, Gap("sdim", "m 6") > 0],
    )


@claim("sdim", "On real histories it is no worse than attention over all of them")
def real(bench: Any) -> Grid:
    return Grid(
        arms={
            "sdim": arm(REAL, last=500),
            "short only": arm(REAL, long="none"),
            "target attention": arm(REAL, long="attention", last=500),
            "mean pooling": arm(REAL, long="mean", last=500),
            **FLOORS,
        },
        data=["ml_100k", ("complete_journey", {"households": 400, "max_baskets": 5_000, "negatives": 10})],
        metric="auc",
        seeds=1,
        budget="60m",
        quick=QUICK,
        holds=[Gap("sdim", "short only") >= 0.01, Gap("target attention", "sdim") <= 0.005],
    )


@claim("sdim", "Is attention in disguise: collisions follow the angle, tables equal histories, cost ignores length")
def laws(bench: Any) -> Laws:
    return Laws(
        Law("largest distance of the collision rate from (1 - angle / pi)^tau", collisions, "<=", 0.01),
        Law("largest difference of a table after 10,000 changes from one made at once", equivalence, "<=", 1e-5),
        Law("largest difference of scores from such tables from those of whole histories", served, "<=", 1e-5),
        Law("error without the norm, 4 times the hashes over once (1/2 by the law)", convergence, "<=", 0.65),
        Law("angle from the expected attention, with the norm over without, m = 12,288", norm_gap, ">=", 2.0),
        Law("spread of one model's scores over 8 draws, m = 48 over m = 6 (.35 by the law)", tighter(48, 6), "<=", 0.6),
        Law("the same, m = 192 over m = 48 (1/2 by the law)", tighter(192, 48), "<=", 0.75),
        Law("spread of its gauc over these draws, m = 48 over m = 6", tighter(48, 6, "gauc"), "<", 1.0),
        Law("the same, m = 192 over m = 48", tighter(192, 48, "gauc"), "<", 1.0),
        Law("time of a request at 16,384 events over 256", flat, "<=", 1.3),
        Law("dot-product attention over sdim's request, 4,096 events", against_dot, ">=", 8.0),
        Law("the same over a request that hashes the history itself", unserved, ">=", 1.0),
        Law("DIN's attention over sdim's request, 4,096 events", against_din, ">=", 100.0),
        Law("top 50 by category, then DIN's attention, over sdim's request, 4,096 events", against_category, ">=", 1.0),
        Law("top 50 by hash, then DIN's attention, over sdim's request, 4,096 events", against_nearest, ">=", 1.0),
        Law(NAMED, explained, ">", 0.0),
    )


def collisions(bench: Any) -> float:
    """Signatures of pairs at known angles, for tau 1, 2, 3, 5."""
    from ethogram.nn.lsh import SimHash

    rng, worst = np.random.default_rng(0), 0.0
    for tau in (1, 2, 3, 5):
        made = SimHash(16, hashes=2_000 * tau, width=tau, seed=tau)
        for angle in (0.3, 0.8, 1.4, 2.2):
            same = []
            for _ in range(3 if bench.quick else 12):
                a = rng.standard_normal(16)
                b = rng.standard_normal(16)
                a /= np.linalg.norm(a)
                b -= a * (a @ b)
                b = np.cos(angle) * a + np.sin(angle) * b / np.linalg.norm(b)
                codes = made.codes(np.stack([a, b]).astype(np.float32))
                same.append(np.mean(codes[0] == codes[1]))
            worst = max(worst, abs(float(np.mean(same)) - (1 - angle / np.pi) ** tau))
    return worst


def equivalence(bench: Any) -> float:
    """Events come and expire one by one; what is left is compared with a table of it."""
    from ethogram.nn.buckets import BucketTable
    from ethogram.nn.lsh import SimHash

    rng, window = np.random.default_rng(1), 500
    steps = 500 if bench.quick else 5_000
    vectors = rng.standard_normal((steps + window, 32)).astype(np.float32)
    made = SimHash(32, 48, 3, seed=0)
    codes = made.codes(vectors)
    table = BucketTable.of(codes[:window], vectors[:window], made.buckets)
    for i in range(steps):  # one event comes, the oldest goes: two changes
        table = table.add(codes[window + i], vectors[window + i]).expire(codes[i], vectors[i])
    fresh = BucketTable.of(codes[steps:], vectors[steps:], made.buckets)
    asked = made.codes(rng.standard_normal((256, 32)).astype(np.float32))
    return float(np.abs(table.gather(asked) - fresh.gather(asked)).max())


def convergence(bench: Any) -> float:
    """Mean error against the expected attention, m = 192 over m = 48."""
    import torch

    from ethogram.nn.lsh import Hashed

    rng = np.random.default_rng(2)
    keys = rng.standard_normal((200, 16)).astype(np.float32)
    queries = rng.standard_normal((50, 16)).astype(np.float32)
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (queries, keys)]
    weight = (1 - np.arccos(np.clip(unit[0] @ unit[1].T, -1, 1)) / np.pi) ** 3
    errors = {}
    ends = [torch.tensor([0, 200]), torch.tensor([0, 50])]
    for m in (48, 192):
        found = []
        for seed in range(5 if bench.quick else 40):
            made = Hashed(16, m, 3, normalise=False, seed=seed)
            got = made(torch.from_numpy(keys), ends[0], torch.from_numpy(queries), ends[1]).numpy()
            found.append(np.abs(got - weight @ keys).mean())
        errors[m] = np.mean(found)
    return float(errors[192] / errors[48])


def norm_gap(bench: Any) -> float:
    """Mean angle between interest and expected attention, in a history with many events of one kind and few of others.

    So many directions are drawn that chance plays no part.
    """
    import torch

    from ethogram.nn.lsh import Hashed

    rng, size = np.random.default_rng(4), (256, 96, 32, 8, 4, 2, 1, 1)
    keys = np.repeat(rng.standard_normal((8, 32)), size, axis=0) + 0.45 * rng.standard_normal((sum(size), 32))
    keys, queries = keys.astype(np.float32), rng.standard_normal((64, 32)).astype(np.float32)
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (queries, keys)]
    expected = (1 - np.arccos(np.clip(unit[0] @ unit[1].T, -1, 1)) / np.pi) ** 3 @ keys
    ends = [torch.tensor([0, len(keys)]), torch.tensor([0, len(queries)])]
    angle = {}
    for normalise in (False, True):
        made = Hashed(32, 3 * (256 if bench.quick else 4_096), 3, normalise=normalise)
        got = made(torch.from_numpy(keys), ends[0], torch.from_numpy(queries), ends[1]).numpy()
        cosine = (got * expected).sum(1) / np.linalg.norm(got, axis=1) / np.linalg.norm(expected, axis=1)
        angle[normalise] = np.arccos(np.clip(cosine, -1, 1)).mean()
    return float(angle[True] / angle[False])


@cache
def taught(quick: bool) -> tuple[Any, Any]:
    """A fitted model, test questions of the generator."""
    from ethogram import data
    from ethogram.system import system

    log = data.load("interests", users=60 if quick else 300, **({"length": (60, 90)} if quick else {}))
    cut = log.split("by-user", valid=0.1, test=0.2)
    model = system("sdim", **{**TUNED, **({"epochs": 1, "questions": 48} if quick else {})}).fit(cut.train, cut.valid)
    return model, cut.test.questions("slates")


def served(bench: Any) -> float:
    """Tables to which each event is added, after those of somebody else, which expire again; 10,000 changes or more."""
    from ethogram.nn.buckets import BucketTable

    model, asked = taught(bench.quick)
    codes, vectors = model.events(asked.histories)
    ends = np.concatenate([[0], np.cumsum(asked.histories.lengths)])
    part = model.fitted.network.interest.parts[0]
    empty = BucketTable.empty(part.hash.groups, part.hash.buckets, part.width, model.version)
    tables, changes, n = [], 0, len(asked)
    while len(tables) < n and changes < (300 if bench.quick else 10_000):
        at, other = len(tables), (len(tables) + n // 2) % n
        own, foreign = (range(ends[q], ends[q + 1]) for q in (at, other))
        table = empty
        for rows, change in ((foreign, "add"), (own, "add"), (foreign, "expire")):
            for row in rows:
                table = getattr(table, change)(codes[row], vectors[row])
            changes += len(rows)
        tables.append(table)
    some = asked[0 : len(tables)]
    whole = model.score(some.histories, some.candidates, some.context)
    got = model.score_tables(tables, some.histories.last(model.short), some.candidates, some.context)
    return float(np.abs(np.asarray(got) - np.asarray(whole)).max())


def explained(bench: Any) -> Any:
    return deleted(*taught(bench.quick), bench.quick)


@cache
def spreads(quick: bool) -> dict[str, dict[int, float]]:
    """Standard deviation over draws of m directions, by m: of log odds (mean over candidates) and of gauc."""
    from ethogram.evaluate.classification import group_auc
    from ethogram.nn.lsh import SimHash

    model, asked = taught(quick)
    part, ends = model.fitted.network.interest.parts[0], asked.candidates.flat(len(asked))[1]
    trained, found = part.hash, {"odds": {}, "gauc": {}}  # type: ignore[var-annotated]
    for m in (6, 48, 192):
        odds, gauc = [], []
        for seed in range(2 if quick else 8):
            part.hash = SimHash(part.width, m, trained.width, seed)
            p = np.asarray(model.score(asked.histories, asked.candidates, asked.context), np.float64).ravel()
            odds.append(np.log(p / (1 - p)))
            gauc.append(group_auc(asked.label, p, asked.weight, offsets=ends).value)
        found["odds"][m] = float(np.std(odds, axis=0, ddof=1).mean())
        found["gauc"][m] = float(np.std(gauc, ddof=1))
    part.hash = trained
    return found


def tighter(more: int, fewer: int, what: str = "odds") -> Any:
    return lambda bench: spreads(bench.quick)[what][more] / max(spreads(bench.quick)[what][fewer], 1e-12)


def request(length: int, way: str) -> Any:
    """One request of 256 candidates, d = 64, against a history of `length`: a function to time.

    Whatever does not depend on the candidates is made before: sdim's table, the categories and bits of the events.
    """
    import torch

    from ethogram.nn.attention import TargetAttention
    from ethogram.nn.buckets import BucketTable
    from ethogram.nn.lsh import SimHash

    rng, made = np.random.default_rng(3), SimHash(64, 48, 3, seed=0)
    keys = rng.standard_normal((length, 64)).astype(np.float32)
    queries = rng.standard_normal((256, 64)).astype(np.float32)
    if way == "sdim":
        table = BucketTable.of(made.codes(keys), keys, made.buckets)
        table.gather(made.codes(queries))
        return lambda: table.gather(made.codes(queries))
    if way == "unserved":
        return lambda: BucketTable.of(made.codes(keys), keys, made.buckets).gather(made.codes(queries))
    kind: Any = way if way in ("din", "dot") else "topk"
    unit = TargetAttention(64, kind, hidden=(36,), act="dice", k=50).eval()
    events, asked = torch.from_numpy(keys), torch.from_numpy(queries)
    tags = [torch.from_numpy(rng.integers(0, 100, (n, 1))) for n in (length, 256)]
    bits = made.bits(events)

    def attend() -> Any:
        with torch.no_grad():
            mine = {"category": tags, "nearest": (bits, made.bits(asked))}.get(way, (None, None))
            return unit(events, [0, length], asked, [0, 256], key_tags=mine[0], query_tags=mine[1])

    return attend


def flat(bench: Any) -> Any:
    return bench.race({"long": request(16_384, "sdim"), "short": request(256, "sdim")}).ratio("long", "short")


def against(bench: Any, way: str) -> Any:
    length = 256 if bench.quick else 4_096
    return bench.race({way: request(length, way), "sdim": request(length, "sdim")}).ratio(way, "sdim")


def unserved(bench: Any) -> Any:
    length = 256 if bench.quick else 4_096
    ways = {"dot": request(length, "dot"), "unserved": request(length, "unserved")}
    return bench.race(ways).ratio("dot", "unserved")


def against_dot(bench: Any) -> Any:
    return against(bench, "dot")


def against_din(bench: Any) -> Any:
    return against(bench, "din")


def against_category(bench: Any) -> Any:
    return against(bench, "category")


def against_nearest(bench: Any) -> Any:
    return against(bench, "nearest")
