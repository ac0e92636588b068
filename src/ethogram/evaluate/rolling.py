"""Evaluation in the order of time: each block is predicted by what was known before it, then the next.

Questions of all blocks are judged together (means over questions, intervals over users); beside each metric stands its
value in every block, ``ndcg@10/block 2``, so that a system that falls behind when interests change can be seen to.
Metrics of the whole catalogue (coverage, Gini) belong to one block and are not told.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from ethogram.evaluate import bootstrap as boot
from ethogram.evaluate.evaluation import Evaluation, Watch
from ethogram.evaluate.machine import Cost, measure

NO_METRIC = ("user", "unit", "time", "targets", "repeats", "score_tie", "block")
IN_BLOCKS = ("ndcg@", "hr@", "auc")
"""Metrics of these beginnings are told for each block, too."""


def rolled(
    system: Any, cut: Any, judge: Callable[[Any], Evaluation], *, fit: Callable[[Any], None], costs: dict[str, Cost],
    watch: Watch | None = None,
) -> Evaluation:  # fmt: skip
    """Go through the splits of a rolling protocol.

    Parameters
    ----------
    judge : evaluates the fitted system on a split. fit : fits it on one.
    costs : ``fit`` gets what all fits and updates cost.
    """
    found = []
    spent = Cost(peak_mb=None)
    for number, part in enumerate(cut.parts):
        with measure() as cost:
            if cut.protocol == "stream" and number and hasattr(system, "update") and _can(system):
                system.update(cut.reveals[number - 1])
            else:
                fit(part)
        spent = added(spent, cost)
        found.append(judge(part))
        if watch is not None:
            watch({"block": number + 1, "blocks": len(cut.parts)})
    costs["fit"] = spent
    return together(found)


def _can(system: Any) -> bool:
    """Whether a system that has the verb was also told to keep what the verb needs."""
    return bool(getattr(system, "remember", True))


def together(found: list[Evaluation]) -> Evaluation:
    """One evaluation of several blocks' questions."""
    first = found[0]
    tables = [f.vectors.append_column("block", pa.array(np.full(len(f.vectors), i + 1))) for i, f in enumerate(found)]
    names = [n for n in first.vectors.column_names if n not in NO_METRIC]
    names = [n for n in names if all(n in t.column_names for t in tables)]
    kept = [c for c in tables[0].column_names if c in names or c in NO_METRIC]
    vectors = pa.concat_tables([t.select(kept) for t in tables], promote_options="default")
    # a user is one unit in all blocks; a stranger is somebody else each time
    users = vectors["user"].combine_chunks().dictionary_encode()
    users = users.chunk(0) if isinstance(users, pa.ChunkedArray) else users
    code = users.indices.fill_null(-1).to_numpy().astype(np.int64)
    units = boot.places(np.where(code < 0, -1 - np.arange(len(code)), code))[0]
    at = vectors.column_names.index("unit")
    vectors = vectors.set_column(at, "unit", pa.array(units.astype(np.int32)))
    values = np.stack([vectors[n].to_numpy() for n in names], 1).astype(np.float64)
    over, under = boot.by_unit(values, units)
    with np.errstate(invalid="ignore"):
        means = over.sum(0) / under.sum(0)
    protocol = dict(first.protocol)
    draws = boot.ratio_draws(over, under, protocol["bootstrap"], protocol["bootstrap_seed"])
    metrics = {n: float(means[j]) for j, n in enumerate(names)}
    intervals = {n: boot.interval(means[j], draws[:, j])[1:] for j, n in enumerate(names)}
    for i, f in enumerate(found):
        told = {n: v for n, v in f.metrics.items() if n.startswith(IN_BLOCKS) and "/" not in n}
        metrics |= {f"{n}/block {i + 1}": v for n, v in told.items()}
        intervals |= {f"{n}/block {i + 1}": f.intervals[n] for n in told if n in f.intervals}
    facts: Mapping[str, Any] = {
        "blocks": len(found), "questions": len(vectors), "users": int(units.max()) + 1,
        "block_questions": [len(f.vectors) for f in found],
        "score_seconds": sum(f.facts.get("score_seconds", 0.0) for f in found),
    }  # fmt: skip
    plan = "+".join(f.plan for f in found)
    cost = Cost(peak_mb=None)
    for f in found:
        cost = added(cost, f.cost)
    table = pa.table({n: draws[:, j] for j, n in enumerate(names)})
    return Evaluation(protocol, metrics, intervals, dict(facts), vectors, table, _digest(plan), cost)


def _digest(text: str) -> str:
    """Hash of the plans of all blocks."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def added(one: Cost, other: Cost) -> Cost:
    """Cost of both; memory is that of the one that took more."""
    peaks = [p for p in (one.peak_mb, other.peak_mb) if p is not None]
    return Cost(
        one.cpu_seconds + other.cpu_seconds, one.wall_seconds + other.wall_seconds, max(peaks) if peaks else None,
        one.load if one.load is not None else other.load,
    )  # fmt: skip
