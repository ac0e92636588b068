"""What is claimed of `dare`, and how it is measured.

The generator plants interference: a person who likes a category takes less of its pair (`complement` below 0), so
events of both tell about a candidate, and tell opposite things. Settings were chosen on validation parts; nothing was
chosen on test. All networks have the same features and epochs; `double` has as many numbers per item as both tables of
dare.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from ethogram.claims import Gap, Grid, Law, Laws, claim
from ethogram.claims.explaining import deleted

TUNED = {"lr": 5e-3, "decay": 0.01, "batch": 1_024, "epochs": 5, "patience": 2}
BASE = {"dim": 16, "side": 16, "last": 200, "lr": 1e-2, "decay": 0.1, "batch": 1_024, "epochs": 5, "patience": 2}
"""Settings of the networks that are not dare's."""
REAL = {
    "lr": 2e-3, "decay": 1.0, "batch": 1_024, "epochs": 2, "patience": 1, "last": 100, "questions": 4_000,
}  # fmt: skip
FLOORS = {
    "smoothed rates": "smoothed_rates",
    "hashed regression": "hashed_regression",
    "boosted aggregates": "boosted_aggregates",
}
JOURNEY = {"households": 300, "max_baskets": 4_000, "negatives": 10}
PLANTED: dict[str, Any] = {"users": 300, "complement": -1.0, "base": -0.5, "length": (60, 200), "recent": 20}
DENSE = {**PLANTED, "categories": 20, "items": 1_000}
"""Fewer categories, so that the cells of a report are counted well."""
QUICK = {"epochs": 1, "questions": 24, "steps": 5}
"""Settings of a quick run."""


def arm(settings: dict[str, Any], **more: Any) -> tuple[str, dict[str, Any]]:
    return "dare", {**settings, **more}


def sharing(settings: dict[str, Any]) -> dict[str, Any]:
    """Ways to share tables between search and representation."""
    return {
        "dare": arm(settings),
        "shared": arm(settings, tables="one"),
        "shared, projected": arm(settings, tables="projected"),
    }


@claim("dare", "Tables of their own for search and representation beat shared ones where the two disagree")
def planted(bench: Any) -> Grid:
    return Grid(
        arms={
            **sharing(TUNED),
            "shared, double": arm(TUNED, tables="one", dim=32, side=32),
            "four tables": arm(TUNED, tables="four"),
            "no product with the target": arm(TUNED, cross="none"),
            "no second tower": arm(TUNED, auxiliary=False),
            "category search": arm(TUNED, search="category", category="category"),
            "hash search": arm(TUNED, search="hash"),
            "full attention": arm(TUNED, search="all"),
            "search of a quarter": arm(TUNED, search_dim=4, search_side=4),
            "din": ("din", BASE),
            "mean pooling": ("mean_pooled", BASE),
            **FLOORS,
        },
        data=[("interests", PLANTED)],
        metric="auc",
        seeds=3,
        protocol="by-user",
        split={"valid": 0.1, "test": 0.4},
        quick=QUICK,
        holds=[
            Gap("dare", "shared, double") >= 0.01,
            Gap("dare", "shared") >= 0.01,
            Gap("shared, projected", "dare") <= 0,
            Gap("dare", "four tables") > 0,
            Gap("dare", "no product with the target") > 0,
            Gap("dare", "no second tower") > 0,
            Gap("dare", "category search") > 0,
            Gap("dare", "hash search") > 0,
            Gap("dare", "full attention") >= -0.005,
            Gap("dare", "search of a quarter") <= 0.003,
            Gap("dare", "din") >= -0.005,
            Gap("dare", "mean pooling") >= 0.01,
            Gap("dare", "boosted aggregates") > 0,
        ],
    )


@claim("dare", "On real histories it is no worse than shared tables")
def real(bench: Any) -> list[Grid]:
    if bench.quick:
        return []
    holds = [
        Gap("dare", "shared") >= 0,
        Gap("shared, projected", "dare") <= 0,
        Gap("dare", "din") >= -0.005,
        Gap("dare", "boosted aggregates") > 0,
    ]
    arms = {**sharing(REAL), "din": ("din", {**REAL, "dim": 16, "side": 16}), **FLOORS}
    return [Grid(arms=arms, data=[("complete_journey", JOURNEY), "ml_100k"], holds=holds)]


@cache
def split(quick: bool, users: int) -> Any:
    """A cut log with planted interference; 300 users for the diagnostics."""
    from ethogram import data

    small = {"users": 40, "slates": 6, "length": (60, 80)} if quick else {"users": users}
    return data.load("interests", **{**DENSE, **small}).split("by-user", valid=0.1, test=0.4)


@cache
def fitted(quick: bool, key: str, seed: int = 0, **options: Any) -> Any:
    from ethogram.system import system

    cut, how = split(quick, 300), {**(TUNED if key == "dare" else BASE), **options}
    how |= {"epochs": 1, "questions": 24} if quick else {}
    return system(key, **how).fit(cut.train, cut.valid, seed=seed)


WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "dare": ("dare", {"last": None}),
    "shared": ("dare", {"last": None, "tables": "one"}),
    "hash": ("dare", {"last": None, "search": "hash"}),
    "category": ("dare", {"last": None, "search": "category", "category": "category"}),
    "all": ("dare", {"last": None, "search": "all"}),
}


@cache
def seen(quick: bool, way: str) -> tuple[Any, Any]:
    """(pairs of events and candidates as a model weighs them, the cells of the report)."""
    from ethogram.rank.dare.interference import Seen

    found = Seen.of(fitted(quick, WAYS[way][0], **WAYS[way][1]), split(quick, 300).test.questions("slates"), "category")
    return found, found.cells(least=2 if quick else 30)


@cache
def long(quick: bool, way: str, length: int) -> float:
    """Retrieval accuracy in histories of one length, by the cells that the test part's questions gave."""
    from ethogram import data
    from ethogram.rank.dare.interference import Seen

    length = 400 if quick else length
    few = {**DENSE, "users": 4, "slates": 2, "candidates": 5, "length": (length, length)}
    asked = data.load("interests", **few).questions("slates")
    model = fitted(quick, WAYS[way][0], **WAYS[way][1])
    return float(Seen.of(model, asked, "category").retrieval(seen(quick, "dare")[1], 20))


def accuracy(bench: Any, way: str) -> float:
    found, cells = seen(bench.quick, way)
    return float(found.attention(cells))


def retrieval(bench: Any, way: str, length: int = 0) -> float:
    if length:
        return long(bench.quick, way, length)
    return float(seen(bench.quick, way)[0].retrieval(seen(bench.quick, "dare")[1], 20))


def others(bench: Any, length: int = 0) -> float:
    """Retrieval accuracy of the best way that is not dare's."""
    return max(retrieval(bench, way, length) for way in WAYS if way != "dare")


def clusters(bench: Any) -> float:
    """Information of 50 clusters of candidate times interest, dare over shared tables."""
    from ethogram.rank.dare.interference import discriminability

    asked, n = split(bench.quick, 300).test.questions("slates"), (8 if bench.quick else 50,)
    told = [
        discriminability(fitted(bench.quick, "dare", **WAYS[way][1]), asked, n)["information"][0].as_py()
        for way in ("dare", "shared")
    ]
    return float(told[0] / max(told[1], 1e-12))


@cache
def mirrored(quick: bool) -> tuple[Any, float]:
    """(gradients of a shared model by role, largest difference of its losses from those of the model that shares)."""
    from ethogram.rank.dare import DARE
    from ethogram.rank.dare.interference import gradients
    from ethogram.system import system

    how = {**TUNED, "epochs": 1 if quick else 2, "questions": 24 if quick else None}
    losses: list[list[float]] = [[], []]
    train = split(quick, 300).train
    found = gradients(DARE(**how), train, watch=lambda facts: losses[0].append(facts["loss"]))
    system("dare", tables="one", **how).fit(train, watch=lambda facts: losses[1].append(facts["loss"]))
    return found, float(np.abs(np.subtract(*losses)).max())


def role(bench: Any, column: str) -> float:
    rows = {r["table"]: r for r in mirrored(bench.quick)[0].to_pylist()}
    return float(rows["item.category"][column])


def curve(bench: Any) -> float:
    return mirrored(bench.quick)[1]


@claim("dare", "In shared tables search and representation interfere; apart, attention agrees with what events tell")
def diagnosed(bench: Any) -> Laws:
    return Laws(
        Law("shared: gradient of the representation over the search's, categories", lambda b: role(b, "ratio"), ">", 1),
        Law("shared: share of pulls on categories that conflict", lambda b: role(b, "conflict"), ">", 0.0),
        Law("largest difference of the mirrored model's losses from the shared model's", curve, "<=", 1e-5),
        Law(
            "rank correlation of attention with mutual information, dare less shared",
            lambda b: accuracy(b, "dare") - accuracy(b, "shared"), ">=", 0.1,
        ),
        Law("information of clusters of candidate times interest, dare over shared", clusters, ">", 1.0),
        *(
            Law(
                f"events found among those that tell most, {where}: dare less the best of shared, hash, category, all",
                lambda b, n=n: retrieval(b, "dare", n) - others(b, n), ">=", 0.0,
            )
            for where, n in (("60 to 200 events", 0), ("10,000 events", 10_000), ("50,000 events", 50_000))
        ),
    )  # fmt: skip


@claim("dare", "Searches 50,000 events in the time and memory of a matrix product, less with a narrower search")
def speed(bench: Any) -> Laws:
    return Laws(
        Law("DIN's attention over dare's request, 10,000 events", lambda b: against(b, "din", 10_000), ">=", 10.0),
        Law("full dot attention over dare's request, 50,000 events", lambda b: against(b, "dot", 50_000), ">=", 1.0),
        Law("hash search over dare's request, 50,000 events", lambda b: against(b, "hash", 50_000), ">=", 1.0),
        Law("search time of a quarter of the width over the whole, 50,000 events", narrow, "<=", 0.6),
        Law("index and request at 50,000 events, peak memory above the start, MiB", memory, "<=", 64.0),
    )


def vectors(length: int, width: int = 32, candidates: int = 256) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    return tuple(rng.standard_normal((n, width)).astype(np.float32) for n in (length, candidates))  # type: ignore[return-value]


def request(length: int, way: str, width: int = 32) -> Any:
    """One request of 256 candidates: a function to time. What does not depend on candidates is made before."""
    import torch

    from ethogram.nn.attention import TargetAttention
    from ethogram.nn.lsh import SimHash
    from ethogram.nn.ragged import segment_softmax, segment_sum
    from ethogram.numeric.topk import TopK

    keys, queries = vectors(length, width)
    events, asked = torch.from_numpy(keys), torch.from_numpy(queries)
    values = torch.from_numpy(vectors(length)[0])
    if way == "dare":
        index, spans = TopK(keys), torch.arange(257) * 20

        def found() -> Any:
            rows = torch.from_numpy(index.search(queries, 20)[1].reshape(-1).astype(np.int64))
            scores = (events[rows] * asked.repeat_interleave(20, 0)).sum(1) * width**-0.5
            return segment_sum(values[rows] * segment_softmax(scores, spans).unsqueeze(1), spans)

        return found
    made = SimHash(width, 48, 3, seed=0)
    bits = (made.bits(events), made.bits(asked)) if way == "hash" else (None, None)
    kind: Any = {"hash": "topk"}.get(way, way)
    unit = TargetAttention(width, kind, within="dot", act="dice", k=20).eval()

    def attend() -> Any:
        with torch.no_grad():
            more = {} if way == "din" else {"values": values}
            return unit(events, [0, length], asked, [0, 256], key_tags=bits[0], query_tags=bits[1], **more)

    return attend


def against(bench: Any, way: str, length: int) -> Any:
    length = 512 if bench.quick else length
    return bench.race({way: request(length, way), "dare": request(length, "dare")}).ratio(way, "dare")


def narrow(bench: Any) -> Any:
    from ethogram.numeric.topk import TopK

    racers = {}
    for width in (33, 9):  # a column more for the place
        keys, queries = vectors(512 if bench.quick else 50_000, width)
        racers[str(width)] = lambda index=TopK(keys), queries=queries: index.search(queries, 20)
    return bench.race(racers).ratio("9", "33")


def memory(bench: Any) -> float:
    """Through the network's own path: attention vectors given, nothing prepared."""
    import torch

    from ethogram.evaluate import machine
    from ethogram.nn.attention import TargetAttention

    keys, queries = vectors(3_000 if bench.quick else 50_000)
    unit = TargetAttention(32, "topk", within="dot", k=20).eval()
    given = torch.from_numpy(keys), torch.from_numpy(queries)
    few = torch.from_numpy(keys[:100])
    with torch.no_grad():
        unit(few, [0, 100], given[1], [0, 256])  # compiled before
        with machine.measure() as cost:
            unit(given[0], [0, len(keys)], given[1], [0, 256], values=given[0])
    return float("nan") if cost.peak_mb is None else cost.peak_mb


@claim("dare", "Explanations of din, sdim and dare name the events that make the score")
def explained(bench: Any) -> Laws:
    """On one log, the planted one; din and sdim are tested on logs of their own in their claims."""

    def measured(bench: Any, key: str) -> Any:
        asked = split(bench.quick, 300).test.questions("slates")
        return deleted(fitted(bench.quick, key, **WAYS.get(key, ("", {}))[1]), asked, bench.quick)

    text = "change of the log odds by deleting the 3 named events less that by 3 random ones, {}"
    return Laws(
        *(Law(text.format(key), lambda b, key=key: measured(b, key), ">", 0.0) for key in ("din", "sdim", "dare"))
    )
