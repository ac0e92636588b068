"""Density clustering beside hdbscan, fast-hdbscan and scikit-learn: first the labels, then what they cost.

scikit-learn's is the reference for labels: it builds the spanning tree of all pairs, and counts the point itself among
`min_samples` as ours does (the others are asked for one less). Ties of mutual reachability leave every library its own
choice, so that exact ones differ by some points: the row of hdbscan with ``approx_min_span_tree=False`` tells how many.
"""

from __future__ import annotations

import functools
import gc
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from benchmarks.clouds import CLOUDS, Cloud, blobs
from benchmarks.harness import Target
from benchmarks.peers import hdbscan
from benchmarks.peers.inside import Clock, peak
from benchmarks.peers.peer import PeerError
from benchmarks.race import Found, Race
from ethogram.errors import MissingData, MissingExtra

OURS, SKLEARN, APPROXIMATE, EXACT, FAST = "ethogram", "scikit-learn", "hdbscan", "hdbscan, exact tree", "fast-hdbscan"
TURNS = 2
GIVEN_UP = 300.0
"""Seconds on the clock after which a peer is."""
SIZES = (10_000, 25_000, 50_000, 100_000, 200_000, 400_000, 1_000_000)
FITTED = 25_000
"""Points from which growth is fitted: below, what does not grow is most of it."""
UP_TO = {"exact": 200_000, "hnsw": 25_000, "hdbscan": 25_000}
"""Points up to which one takes part: its next size would take longer than all the others together."""


def ours(cloud: Cloud, backend: str = "auto") -> dict[str, Any]:
    from ethogram.numeric.density import density
    from ethogram.numeric.density.backends import EXACT_UP_TO

    for name in {"exact", backend} - {"auto"} | ({"descent"} if len(cloud.x) > EXACT_UP_TO else set()):
        density(cloud.x[:6_000], min_cluster_size=cloud.least, min_samples=cloud.samples, backend=name)  # compiled
    gc.collect()
    with peak() as highest:
        with Clock() as clock:
            found = density(cloud.x, min_cluster_size=cloud.least, min_samples=cloud.samples, backend=backend)
        memory = highest()
    told = {"labels": found.labels, "backend": found.backend, "recall": found.recall, "repaired": found.repaired}
    return {**clock.read(), "peak_mb": memory, **told}


def sklearn(cloud: Cloud) -> dict[str, Any]:
    from sklearn.cluster import HDBSCAN

    gc.collect()
    with peak() as highest:
        with Clock() as clock:
            found = HDBSCAN(min_cluster_size=cloud.least, min_samples=cloud.samples, copy=True).fit(cloud.x)
        memory = highest()
    return {**clock.read(), "peak_mb": memory, "labels": found.labels_}


def peer(library: str, cloud: Cloud, exact: bool = False) -> dict[str, Any]:
    return hdbscan.ask(
        library, cloud.x, least=cloud.least, samples=cloud.samples, exact=exact, seconds=GIVEN_UP
    )  # fmt: skip


CONTESTANTS: Mapping[str, Callable[[Cloud], dict[str, Any]]] = {
    OURS: ours, SKLEARN: sklearn, APPROXIMATE: functools.partial(peer, "hdbscan"),
    EXACT: functools.partial(peer, "hdbscan", exact=True), FAST: functools.partial(peer, "fast_hdbscan"),
}  # fmt: skip


def side_by_side() -> Found:
    """All of them on each cloud, in turns; `TURNS` turns where speed is a goal, one elsewhere."""
    found = Found(notes=[
        f"minimum of {TURNS} turns of blobs of one size, of one turn else; every library warm, compilation not counted",
        "ARI: adjusted Rand index of the labels, noise as a class of its own, to scikit-learn's and to what was drawn",
    ])  # fmt: skip
    versions: dict[str, str] = {}
    for number, make in enumerate(CLOUDS):
        try:
            cloud = make()
        except (MissingData, MissingExtra) as error:
            found.absent.append(str(error))
            continue
        best: dict[str, dict[str, Any]] = {}
        for turn in range(TURNS if number < 2 else 1):
            for name, run in CONTESTANTS.items():
                if turn and name == EXACT:
                    continue
                try:
                    one = run(cloud)
                except PeerError as error:
                    found.absent.append(f"{name} on {cloud.name}: {error}")
                    continue
                versions |= one.get("versions", {})
                if name not in best or one["cpu"] < best[name]["cpu"]:
                    best[name] = one
        found.rows += [_row(name, cloud, one, best[SKLEARN]["labels"]) for name, one in best.items()]
        for name, one in best.items():
            found.values[f"ari {name} {number}"] = _ari(one["labels"], best[SKLEARN]["labels"])
            found.values[f"x {name} {number}"] = one["cpu"] / best[OURS]["cpu"]
    found.notes.append(", ".join(f"{name} {version}" for name, version in versions.items()))
    return found


def _row(name: str, cloud: Cloud, one: Mapping[str, Any], reference: np.ndarray | None) -> dict[str, Any]:
    labels = one["labels"]
    row = {
        "": name, "points": cloud.name, "CPU s": one["cpu"], "wall s": one["wall"], "peak MB": float(one["peak_mb"]),
        "clusters": int(labels.max()) + 1, "noise": float((labels < 0).mean()),
    }  # fmt: skip
    if reference is not None:
        row["ARI to exact"] = _ari(labels, reference)
    row["ARI to truth"] = None if cloud.truth is None else _ari(labels, cloud.truth)
    row["edges repaired"] = one.get("repaired")
    return row


def _ari(one: np.ndarray, other: np.ndarray) -> float:
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(one, other))


def growth() -> Found:
    """By number of points: the exact search, the approximate ones, and hdbscan beside the first sizes."""
    sizes = SIZES if "quick" not in os.environ.get("ETHOGRAM_BENCH", "") else (3_000, 25_000, 30_000)
    found = Found(notes=[
        "40 blobs and 20% noise in 32 columns; ARI to the exact search where that took part",
        "recall: share of the true neighbours of 500 points that were found; below 1 the tree is nearly the smallest",
    ])  # fmt: skip
    seconds: dict[tuple[str, int], float] = {}
    for n in sizes:
        cloud, exact = blobs(n, 32), None
        for name in ("exact", "descent", "hnsw", "hdbscan"):
            if n > UP_TO.get(name, n):
                continue
            try:
                one = peer(name, cloud) if name == "hdbscan" else ours(cloud, name)
            except (PeerError, MissingExtra) as error:
                found.absent.append(f"{name} on {cloud.name}: {error}")
                continue
            exact = one["labels"] if name == "exact" else exact
            seconds[name, n] = one["cpu"]
            row = _row(name if name == "hdbscan" else f"ethogram, {one['backend']}", cloud, one, exact)
            found.rows.append({**row, "recall": one.get("recall")})
            if name == "descent" and exact is not None:
                found.values[f"ari {n}"] = row["ARI to exact"]
        if ("hdbscan", n) in seconds:
            found.values[f"x {n}"] = seconds["hdbscan", n] / seconds["exact", n]
    for name in dict.fromkeys(name for name, _ in seconds):
        taken = sorted((n, s) for (who, n), s in seconds.items() if who == name and n >= FITTED)
        if len(taken) < 2:
            continue
        power, at = np.polyfit(*np.log(taken).T, 1)
        found.values[f"exponent {name}"] = float(power)
        line = f"{name}: CPU grows as n^{power:.2f} from {taken[0][0]:,} to {taken[-1][0]:,} points"
        if taken[-1][0] < SIZES[-1]:
            line += f"; {np.exp(at + power * np.log(SIZES[-1])):,.0f} CPU s at a million, EXTRAPOLATED"
        found.notes.append(line)
    return found


def million() -> Found:
    """A million points at once."""
    cloud = blobs(1_000_000, 32)
    one = ours(cloud)
    found = Found([{**_row("ethogram", cloud, one, None), "recall": one["recall"], "back end": one["backend"]}])
    found.notes.append(f"peak above the start; the points themselves are {cloud.x.nbytes / 2**20:,.0f} MB")
    found.values = {"peak": float(one["peak_mb"]), "cpu": one["cpu"]}
    return found


def _value(key: str) -> Callable[[Mapping[str, Any]], float]:
    return lambda values: values[key]


def cases() -> Iterable[Race]:
    """The harness's form."""
    yield Race(
        "density_peers", "density clustering side by side, one thread", side_by_side,
        [
            Target("24,000 x 32: ARI to exact", _value(f"ari {OURS} 0"), least=0.99),
            Target("24,000 x 8: ARI to exact", _value(f"ari {OURS} 1"), least=0.99),
            Target("unequal blobs: ARI to exact", _value(f"ari {OURS} 2"), least=0.95),
            Target("sentence vectors: ARI to exact", _value(f"ari {OURS} 3"), least=0.95),
            Target("24,000 x 32: hdbscan / ours, CPU", _value(f"x {APPROXIMATE} 0"), least=10.0),
            Target("24,000 x 32: scikit-learn / ours, CPU", _value(f"x {SKLEARN} 0"), least=12.0),
            Target("24,000 x 8: hdbscan / ours, CPU", _value(f"x {APPROXIMATE} 1"), least=2.0),
            Target("24,000 x 8: fast-hdbscan / ours, CPU", _value(f"x {FAST} 1"), least=1.0),
        ],
    )  # fmt: skip
    yield Race(
        "density_growth", "density clustering by number of points, 32 columns, one thread", growth,
        [
            Target("10,000: hdbscan / ours, CPU", _value("x 10000"), least=8.0),
            Target("25,000: hdbscan / ours, CPU", _value("x 25000"), least=10.0),
            Target("50,000: ARI of descent to the exact search", _value("ari 50000"), least=0.99),
            Target("exponent of descent, 25,000 to a million", _value("exponent descent"), most=1.3),
        ],
    )  # fmt: skip
    yield Race(
        "density_million", "density clustering of a million points in 32 columns, one thread", million,
        [
            Target("CPU s", _value("cpu"), most=600.0),
            Target("peak memory, MB", _value("peak"), most=4_096.0),
        ],
    )  # fmt: skip
