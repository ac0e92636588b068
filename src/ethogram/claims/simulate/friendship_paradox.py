"""What is claimed of `friendship_paradox`, and how it is measured.

Parameters of the population were chosen on seeds 100 to 104 (a first choice was also seen on 0 to 9); the claims use
200 to 209. Shares are of agents with ties, by mean, x the in-degree, where nothing else is said. The populations of ten
seeds are the units of the intervals.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from ethogram.claims import Estimate, Law, Laws, claim

KEY = "friendship_paradox"
FIRST = 200
"""The first seed."""
NETWORKS = {"congress_twitter": {}, "college_messages": {}, "twitter_follows": {"ties": "follows"}}
"""Real networks, and how each is assessed."""


@claim(KEY, "Its measures reproduce known values, and what chance alone gives")
def reference(bench: Any) -> Laws:
    return Laws(
        Law("Zachary's karate club: miss of .853", lambda b: _miss("karate", "mean", 0.853), "<=", 5e-4),
        Law("Les Misérables: miss of .870", lambda b: _miss("les_miserables", "mean", 0.870), "<=", 5e-4),
        Law("Les Misérables by median: miss of .610", lambda b: _miss("les_miserables", "median", 0.610), "<=", 5e-4),
        Law("196 people of Twitter, follows, in-degree: miss of .965", lambda b: follows(b, "in_degree", 0.965), "<=",
            5e-4),
        Law("the same, out-degree: miss of .746", lambda b: follows(b, "out_degree", 0.746), "<=", 5e-4),
        Law("1,000 generated friendships: miss of .582", generated, "<=", 5e-4),
        Law("random directed networks (200 agents, p = .03): share of 300 draws whose in-degree share is below 0.61",
            lambda b: drawn(b)[0], ">=", 0.025),
        Law("the same, out-degree, below 0.47", lambda b: drawn(b)[1], ">=", 0.025),
    )  # fmt: skip


@claim(KEY, "The paradox emerges in a population of tastes and visible popularity, beyond chance and its controls")
def emerges(bench: Any) -> Laws:
    return Laws(
        Law("share for whom it holds", lambda b: share(b, "mixed"), ">=", 0.75),
        Law("that − where partners are uniform strangers (same seeds)", lambda b: gap(b, "strangers"), ">=", 0.10),
        Law("that − where popular posts are shown no more (same seeds)", lambda b: gap(b, "without popular"), ">", 0.0),
        Law("share by median", lambda b: share(b, "mixed", statistic="median"), ">", 0.5),
        Law("share − in uniform random networks", lambda b: beside(b, "uniform"), ">", 0.0),
        Law("share − where attributes are permuted", lambda b: beside(b, "permuted"), ">", 0.0),
        Law("share − in networks rewired with all degrees kept", lambda b: beside(b, "rewired"), ">", 0.0),
        *(
            Law(f"generalised, {x}: share", lambda b, x=x: share(b, "mixed", x), ">", 0.5)
            for x in ("activity", "popularity", "influence")
        ),
    )  # fmt: skip


@claim(KEY, "The network is hierarchical: ties lead to the more active and the more influential")
def hierarchy(bench: Any) -> Laws:
    return Laws(
        Law("share of tie weight that leads to higher activity", lambda b: upward(b, "activity"), ">", 0.5),
        Law("to higher influence", lambda b: upward(b, "influence"), ">", 0.5),
        Law("to higher activity, with uniform strangers", lambda b: upward(b, "activity", "strangers"), "<", 0.5),
    )


@claim(KEY, "Weak ties carry the paradox more than strong ones")
def weak(bench: Any) -> Laws:
    return Laws(
        Law("seeds of ten in which weak ties have more of it", lambda b: stronger(b, ""), ">=", 8),
        Law("the same, degrees counted among these ties only", lambda b: stronger(b, " alone"), ">=", 8),
        Law("weak − strong, simulated", lambda b: _mean(strengths(b, "mixed", "")), ">", 0.0),
        Law("weak − strong, Congress on Twitter", lambda b: real_strengths(b, "congress_twitter"), ">", 0.0),
        Law("weak − strong, messages of students", lambda b: real_strengths(b, "college_messages"), ">", 0.0),
    )


@claim(KEY, "Simulated and real networks show the same")
def alike(bench: Any) -> Laws:
    laws = []
    for name in NETWORKS:
        laws += [
            Law(f"{name}: share for whom it holds, real", lambda b, n=name: real(b, n), ">", 0.5),
            Law(f"{name}: simulated − real", lambda b, n=name: against(b, n, "share"), "within", 0.10),
            Law(f"{name}: simulated − real, out-degree", lambda b, n=name: against(b, n, "out"), "within", 0.10),
            Law(f"{name}: simulated − real, gap to uniform networks", lambda b, n=name: against(b, n, "gap"),
                "within", 0.10),
        ]  # fmt: skip
    return Laws(*laws)


@claim(KEY, "Twenty-five people played by a language model, taken from real posts, can be replayed exactly")
def members(bench: Any) -> Laws:
    return Laws(
        Law("people", lambda b: played(b)["people"], ">=", 6 if bench.quick else 25),
        Law("share of the decisions that the model made", lambda b: played(b)["model"], ">=", 0.85),
        Law("calls of the model when replayed", lambda b: played(b)["again"], "<=", 0),
        Law("runs whose fingerprint differs when replayed", lambda b: played(b)["differ"], "<=", 0),
        Law("share for whom the paradox holds", lambda b: played(b)["share"], ">", 0.5),
        Law("that − in uniform random networks", lambda b: played(b)["gap"], ">", 0.0),
    )


@claim(KEY, "A network of a million is measured in a minute")
def size(bench: Any) -> Laws:
    return Laws(
        Law("processor seconds, report with one draw of each null, and structure", lambda b: million(b)[0], "<=", 60),
        Law("peak memory above the start (GiB)", lambda b: million(b)[1], "<=", 8),
    )


def _miss(name: str, statistic: Any, value: float) -> float:
    from ethogram.data.small_graphs import pairs
    from ethogram.numeric.graphs import Graph
    from ethogram.numeric.paradox import paradox

    n, a, b = pairs(name)
    graph = Graph.of(a, b, n).symmetric()
    return abs(paradox(graph, graph.out_degree, statistic).share - value)


def follows(bench: Any, measure: str, value: float) -> float:
    return abs(_row(real_report(bench, "twitter_follows"), measure)["share"] - value)


def generated(bench: Any) -> float:
    import pyarrow.csv as pv

    from ethogram.data.files import found
    from ethogram.numeric.graphs import Graph
    from ethogram.numeric.paradox import paradox

    table = pv.read_csv(found("recagent", "recagent/relationship_1000.csv")[0])
    graph = Graph.of(table[0].to_numpy(), table[1].to_numpy(), 1_000)
    return abs(paradox(graph, graph.in_degree).share - 0.582)


def drawn(bench: Any) -> tuple[float, float]:
    """The published value is of one draw whose seed is not known: it must not be an unlikely one."""
    from ethogram.numeric.graphs import Graph
    from ethogram.numeric.paradox import paradox

    found = []
    for seed in range(20 if bench.quick else 300):
        graph = Graph.of(*np.nonzero(np.random.default_rng(seed).random((200, 200)) < 0.03), 200)
        found.append([paradox(graph, x).share for x in (graph.in_degree, graph.out_degree)])
    below = np.mean(np.array(found) <= (0.61, 0.47), 0)
    return float(below[0]), float(below[1])


def _kept(bench: Any, name: str, make: Any) -> Any:
    """What a law already measured on this bench."""
    held = bench.__dict__.setdefault("_friendship", {})
    if name not in held:
        held[name] = make()
    return held[name]


def reports(bench: Any, shown: str) -> list[Any]:
    """Reports of the populations, one for each seed."""

    def make() -> list[Any]:
        people, ticks, seeds, draws = (80, 30, 2, 1) if bench.quick else (500, 200, 10, 20)
        made = []
        for seed in range(FIRST, FIRST + seeds):
            built = bench.build((KEY, {"people": people, "shown": shown, "draws": draws, "seed": seed}))
            made.append(built.report(built.run(built.world(seed=seed), ticks, seed=seed)).to_pylist())
        return made

    return _kept(bench, shown, make)


def _row(report: list[Any], measure: str, statistic: str = "mean", ties: str = "all", null: str | None = None) -> Any:
    wanted = (measure, statistic, ties, null)
    return next(r for r in report if (r["measure"], r["statistic"], r["ties"], r["null"]) == wanted)


def _mean(values: Any) -> Estimate:
    from ethogram.evaluate.bootstrap import mean

    found = mean(np.asarray(values, float))
    return Estimate(found.value, found.low, found.high, units=len(values), unit="seeds", seeds=tuple(values))


def _values(bench: Any, shown: str, field: str, *row: Any) -> list[float]:
    return [float(_row(r, *row)[field]) for r in reports(bench, shown)]


def share(bench: Any, shown: str, measure: str = "in_degree", statistic: str = "mean") -> Estimate:
    return _mean(_values(bench, shown, "share", measure, statistic))


def gap(bench: Any, control: str) -> Estimate:
    pairs = (np.array(_values(bench, shown, "share", "in_degree")) for shown in ("mixed", control))
    return _mean((next(pairs) - next(pairs)).tolist())


def beside(bench: Any, null: str) -> Estimate:
    return _mean(_values(bench, "mixed", "gap", "in_degree", "mean", "all", null))


def upward(bench: Any, measure: str, shown: str = "mixed") -> Estimate:
    return _mean(_values(bench, shown, "upward", measure))


def strengths(bench: Any, shown: str, how: str) -> list[float]:
    parts = (np.array(_values(bench, shown, "share", "in_degree", "mean", t + how)) for t in ("weak", "strong"))
    return list((next(parts) - next(parts)).tolist())


def stronger(bench: Any, how: str) -> float:
    """Seeds in ten with weak above strong."""
    found = np.array(strengths(bench, "mixed", how))
    return float(10 * np.mean(found > 0))


def real_report(bench: Any, name: str) -> list[Any]:
    """The report of a real network; a quick run reads a simulated one in its place."""

    def make() -> list[Any]:
        if bench.quick:
            return list(reports(bench, "strangers")[0])
        built = bench.build((KEY, {"author": "@item", **NETWORKS[name]}))
        return list(built.report(bench.load(name)).to_pylist())

    return list(_kept(bench, name, make))


def _estimate(row: Any) -> Estimate:
    return Estimate(row["share"], row["low"], row["high"], units=row["agents"], unit="people")


def real(bench: Any, name: str) -> Estimate:
    return _estimate(_row(real_report(bench, name), "in_degree"))


def real_strengths(bench: Any, name: str) -> Estimate:
    """Of two shares of the same people; their interval takes them as independent."""
    rows = [_row(real_report(bench, name), "in_degree", "mean", ties) for ties in ("weak", "strong")]
    value = rows[0]["share"] - rows[1]["share"]
    spread = 1.96 * np.sqrt(sum(r["share"] * (1 - r["share"]) / r["agents"] for r in rows))
    return Estimate(value, value - spread, value + spread, units=rows[0]["agents"], unit="people")


def against(bench: Any, name: str, what: str) -> Estimate:
    """Simulated (mean over seeds) − real; the interval is that of the real share and of the seeds."""
    measure = "out_degree" if what == "out" else "in_degree"
    null = "uniform" if what == "gap" else None
    field = "gap" if what == "gap" else "share"
    row = _row(real_report(bench, name), measure, "mean", "all", null)
    ours = _mean(_values(bench, "mixed", field, measure, "mean", "all", null))
    low, high = (row[f"{'gap_' if what == 'gap' else ''}{end}"] for end in ("low", "high"))
    theirs = (high - low) / 2
    value = ours.value - row[field]
    # an equivalence is decided at 90%
    spread = 1.645 / 1.96 * np.hypot(theirs, (ours.high - ours.low) / 2)
    return Estimate(value, value - spread, value + spread, 0.90, row["agents"], "people")


def played(bench: Any) -> dict[str, Any]:
    return dict(_kept(bench, "members", lambda: _played(bench)))


def _played(bench: Any) -> dict[str, Any]:
    from ethogram.lm import LM, Broker, ScriptedLM
    from ethogram.world.social.platform import with_authors

    people, ticks = (6, 3) if bench.quick else (25, 10)
    built = bench.build((KEY, {"draws": 2 if bench.quick else 50}))
    posts = _posts() if bench.quick else bench.load("investor_posts")
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "members.lmrun"

        def made(mode: Any) -> Any:
            broker = Broker(run=run, mode=mode, cache=False)
            if bench.quick:
                said = ["react to post 1", "write a post of your own", "like it", "answer it"]
                lm = ScriptedLM(lambda messages, luck: luck.choice(said), broker=broker)
            else:
                lm = LM.connect("local", broker=broker)
            return built.members(posts, people=people, lm=lm, seed=0).run(ticks), broker

        first, broker = made("record")
        broker.close()
        again, replayed = made("replay-strict")
        live = sum(r["live"] + r["failed"] for r in replayed.ledger.rows())
        replayed.close()
    row = _row(built.report(with_authors(first.log(), first)).to_pylist(), "in_degree", null="uniform")
    decided = {k: v for k, v in first.live.decisions.items() if k in ("model", "fallback")}
    return {
        "people": float(first.people), "model": decided.get("model", 0) / max(1, sum(decided.values())),
        "again": float(live), "differ": float(first.fingerprint != again.fingerprint), "share": _estimate(row),
        "gap": Estimate(row["gap"], row["gap_low"], row["gap_high"], units=row["agents"], unit="people"),
    }  # fmt: skip


def _posts() -> Any:
    import pyarrow as pa

    from ethogram.log import Log

    topics = ("bread", "bicycles", "rain", "chess", "roses", "boats", "soup", "stars")
    rows = [
        {"user": f"u{i}", "text": f"More {topic} today, {topic} number {k}!", "order": k}
        for i, topic in enumerate(topics) for k in range(5)
    ]  # fmt: skip
    return Log.open(pa.Table.from_pylist(rows))


def million(bench: Any) -> tuple[float, float]:
    return tuple(_kept(bench, "million", lambda: _million(bench)))


def _million(bench: Any) -> tuple[float, float]:
    """Ten ties each, to agents of skewed popularity; weights 1 to 3."""
    from ethogram.evaluate import machine
    from ethogram.numeric.graphs import Graph
    from ethogram.numeric.structure import structure
    from ethogram.simulate.friendship_paradox.report import report

    n = 2_000 if bench.quick else 1_000_000
    rng = np.random.default_rng(0)
    source, target = rng.integers(0, n, 10 * n), (n * rng.random(10 * n) ** 3).astype(np.int64)
    weight = rng.integers(1, 4, 10 * n)
    with machine.measure() as cost:
        graph = Graph.of(source, target, n, weight)
        posts = rng.integers(0, 20, n).astype(float)
        degrees = {"in_degree": graph.in_degree.astype(float), "out_degree": graph.out_degree.astype(float)}
        report(graph, {**degrees, "activity": posts, "popularity": graph.in_strength}, draws=1)
        structure(graph)
    return cost.cpu_seconds, (cost.peak_mb or float("nan")) / 1024
