"""What the network as a whole shows, beside what chance would show.

    gap = FP - mean_k FP(null_k)         null_k: k-th random network of a kind (`numeric.random_graphs`)

Interval of the gap: agents are drawn with replacement (the share of a drawn population is binomial) and so are the
random networks; agents are dependent through their ties, which this does not know. p = (1 + #{k : FP(null_k) >= FP}) /
(1 + K). Attributes that the network itself makes (degrees) are counted anew in a `uniform` network; what agents did
stays theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from ethogram.numeric.graphs import Graph
from ethogram.numeric.paradox import STATISTICS, by_strength, paradox, upward
from ethogram.numeric.random_graphs import ROUNDS, rewired, uniform

NULLS = ("uniform", "rewired", "permuted")
STRUCTURAL = ("in_degree", "out_degree")
_SCHEMA = pa.schema(
    [(n, pa.string()) for n in ("measure", "statistic", "ties")]
    + [(n, pa.float64()) for n in ("share", "low", "high", "equal", "ratio", "upward", "level")]
    + [(n, pa.int64()) for n in ("agents", "excluded", "links")]
    + [(n, pa.string()) for n in ("null",)]
    + [(n, pa.float64()) for n in ("null_share", "gap", "gap_low", "gap_high", "p")]
)


def report(
    graph: Graph,
    attributes: Mapping[str, np.ndarray],
    *,
    draws: int = 20,
    resamples: int = 1_000,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> pa.Table:
    """The paradox of every attribute, by mean and median, on all, weak and strong ties, and beside the nulls.

    Parameters
    ----------
    attributes : name -> float64[n]. draws : random networks of each kind; 0 leaves the nulls out.

    Returns
    -------
    Table
        `measure`, `statistic`, `ties` (all; weak and strong, with the attributes of the whole network; weak alone and
        strong alone, with degrees counted among these ties only), `share` for whom the paradox holds with its interval
        `low`, `high`, `equal` (share with just as much), `ratio` (what neighbours have over what one has), `upward`
        (share of tie weight that leads to a larger attribute) and `level` (to an equal one), `agents` with ties,
        `excluded` ones without, `links`; then `null`, `null_share`, `gap` with its interval, and `p` (null rows only
        for all ties). Shares are null where nobody has ties.
    """
    rng = np.random.default_rng([seed, 1])
    rows: list[dict[str, Any]] = []
    weak, strong, _ = by_strength(graph)
    parts = {"all": graph, "weak": weak, "strong": strong, "weak alone": weak, "strong alone": strong}
    nulls = _nulls(graph, attributes, draws, rounds, seed) if graph.ties else {}
    for measure, x in attributes.items():
        for ties, part in parts.items():
            alone = ties.endswith("alone")
            if alone and measure not in STRUCTURAL:
                continue
            mine = np.asarray(getattr(part, measure), np.float64) if alone else x
            up, level = upward(part, mine)
            for statistic in STATISTICS:
                found = paradox(part, mine, statistic)
                shares = rng.binomial(found.agents, found.share, resamples) / found.agents if found.agents else None
                row = {
                    "measure": measure, "statistic": statistic, "ties": ties, "share": found.share,
                    "equal": found.equal, "ratio": found.ratio, "upward": up, "level": level, "agents": found.agents,
                    "excluded": found.excluded, "links": part.ties, **_ends(shares, ("low", "high")),
                }  # fmt: skip
                rows.append(row)
                for null in NULLS if ties == "all" and nulls and shares is not None else ():
                    values = nulls[null, measure, statistic]
                    drawn = values[rng.integers(0, len(values), (resamples, len(values)))].mean(1)
                    middle = float(values.mean())
                    beside = {
                        "null": null, "null_share": middle, "gap": found.share - middle,
                        "p": float((1 + (values >= found.share).sum()) / (1 + len(values))),
                        **_ends(shares - drawn, ("gap_low", "gap_high")),
                    }  # fmt: skip
                    rows.append(row | beside)
    told = [{k: None if isinstance(v, float) and np.isnan(v) else v for k, v in r.items()} for r in rows]
    return pa.Table.from_pylist(told, _SCHEMA)


def _nulls(
    graph: Graph, attributes: Mapping[str, np.ndarray], draws: int, rounds: int, seed: int
) -> dict[tuple[str, str, str], np.ndarray]:
    """(null, measure, statistic) -> share in each draw; every draw's network serves all measures."""
    found: dict[tuple[str, str, str], list[float]] = {}
    chain = graph
    for draw in range(draws):
        rng = np.random.default_rng([seed, 2, draw])
        # the first walks away from the network that is given, each further one from the last
        chain = rewired(chain, rng, rounds if draw == 0 else max(1, rounds // 3))
        order = rng.permutation(len(graph))
        random = uniform(graph, rng)
        for measure, x in attributes.items():
            anew = np.asarray(getattr(random, measure), np.float64) if measure in STRUCTURAL else x
            for statistic in STATISTICS:
                for null, on, values in (
                    ("uniform", random, anew), ("rewired", chain, x), ("permuted", graph, x[order])
                ):  # fmt: skip
                    share = paradox(on, values, statistic).share
                    found.setdefault((null, measure, statistic), []).append(share)
    return {key: np.asarray(values) for key, values in found.items()}


def _ends(drawn: np.ndarray | None, names: tuple[str, str]) -> dict[str, float]:
    """The middle 95% of what was drawn."""
    if drawn is None:
        return dict.fromkeys(names, np.nan)
    return dict(zip(names, np.quantile(drawn, (0.025, 0.975)).tolist(), strict=True))


def compared(real: pa.Table, simulated: pa.Table) -> pa.Table:
    """Two reports side by side, where both have the row.

    Returns
    -------
    Table
        `measure`, `statistic`, `ties`, `null`, then `real`, `simulated` (shares), `difference` (simulated - real) with
        the interval `low`, `high` of two independent samples, `real_gap`, `simulated_gap` (beside the null),
        `upward_real`, `upward_simulated`, and `alike`: the paradox holds for most in both, or in neither; where a null
        stands there, the intervals of both gaps lie above zero, or below it, or hold it.
    """
    key = ("measure", "statistic", "ties", "null")
    theirs = {tuple(r[k] for k in key): r for r in simulated.to_pylist()}
    rows: list[dict[str, Any]] = []
    for mine in real.to_pylist():
        other = theirs.get(tuple(mine[k] for k in key))
        if other is None or mine["share"] is None or other["share"] is None:
            continue
        gap = other["share"] - mine["share"]
        spread = 1.96 * np.sqrt(sum(r["share"] * (1 - r["share"]) / r["agents"] for r in (mine, other)))
        gaps = (mine["gap"], other["gap"])
        alike = (mine["share"] > 0.5) == (other["share"] > 0.5) and _side(mine) == _side(other)
        rows.append(
            {
                **{k: mine[k] for k in key}, "real": mine["share"], "simulated": other["share"], "difference": gap,
                "low": gap - spread, "high": gap + spread, "real_gap": gaps[0], "simulated_gap": gaps[1],
                "upward_real": mine["upward"], "upward_simulated": other["upward"], "alike": alike,
            }
        )  # fmt: skip
    return pa.Table.from_pylist(rows)


def _side(row: Mapping[str, Any]) -> int:
    """1 where the whole interval of the gap lies above 0, -1 below, 0 otherwise."""
    if row["gap"] is None:
        return 0
    return int(row["gap_low"] > 0) - int(row["gap_high"] < 0)
