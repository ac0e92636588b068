"""What a run cost, by component: seconds of the engine's parts, and calls, tokens and money of language models."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from ethogram.world.declared import Declared
from ethogram.world.live import Live

_SCHEMA = pa.schema(
    [
        ("component", pa.string()), ("model", pa.string()), ("seconds", pa.float64()), ("calls", pa.int64()),
        ("live", pa.int64()), ("failed", pa.int64()), ("prompt", pa.int64()), ("completion", pa.int64()),
        ("money", pa.float64()), ("calls_per_hour", pa.float64()),
    ]
)  # fmt: skip


def table(live: Live, world: Declared) -> pa.Table:
    """A row per part of the engine (`seconds` of wall time; of minds, all waits together), and one per purpose and
    model of the calls that went through the world's language model. `calls_per_hour` is of simulated time."""
    rows: list[dict[str, Any]] = [{"component": n, "seconds": s} for n, s in sorted(live.seconds.items())]
    hours = live.tick * world.length / 3.6e9
    for model in _models(world):
        for account in model.broker.ledger.rows():
            told = {n: account[n] for n in ("calls", "live", "failed", "prompt", "completion", "money", "model")}
            rate = account["calls"] / hours if hours else None
            rows.append({"component": account["purpose"], "calls_per_hour": rate, **told})
    return pa.Table.from_pylist(rows, schema=_SCHEMA)


def shares(live: Live) -> dict[str, float]:
    """Share of the decisions by their source: those of `ethogram.world.acts.SOURCES`, the world's own events aside, and
    "cache": a mind's, to which no call was sent, because every answer was there. Of whoever does several things at a
    tick the first counts."""
    found = {s: n for s, n in live.decisions.items() if s != "world" and n}
    total = sum(found.values())
    return {s: n / total for s, n in sorted(found.items())}


def _models(world: Declared) -> list[Any]:
    return [world.lm] if world.lm is not None and hasattr(world.lm, "broker") else []
