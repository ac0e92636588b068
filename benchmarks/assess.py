"""How long a risk takes over HTTP: ``python -m benchmarks.assess [RATE] [SECONDS]``.

`payment_aggregates` on stored histories of a few hundred payments, each request with one payment that is not stored;
the service runs on one core, the open-loop generator on another. Wall means little on a busy machine; CPU is told, too.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from benchmarks import served
from benchmarks.load import Plan, ask
from ethogram import data
from ethogram.log import Log
from ethogram.system import save, system

PEOPLE = 200


def stored(log: Log, location: str, people: list[object]) -> dict[str, int]:
    """Write the payments of some people into a store; how many each has."""
    from ethogram.serve.opening import open_store
    from ethogram.serve.state import Entry

    table = log.table()
    table = table.filter(pc.is_in(table["user"], pc.cast(people, table["user"].type)))
    kept = [c for c in ("value", "category", "description", "direction", "channel") if c in table.column_names]
    rows = table.select(["user", "item", "time", *kept]).to_pylist()
    entries = [
        Entry(
            f"e{n}", str(r["user"]), str(r["item"]), "pay", round(r["time"].timestamp() * 1e6), {c: r[c] for c in kept}
        )
        for n, r in enumerate(rows)
    ]
    held = open_store(location)
    try:
        for at in range(0, len(entries), 4_096):
            held.append(entries[at : at + 4_096])
    finally:
        held.close()
    names, counts = np.unique([e.user for e in entries], return_counts=True)
    return dict(zip(names.tolist(), counts.tolist(), strict=True))


def main(rate: float = 20.0, seconds: float = 10.0) -> None:
    log = data.load("payments", users=600)
    first, second = served.cores()
    with tempfile.TemporaryDirectory() as folder:
        save(system("payment_aggregates").fit(log.split("by-decision").train, seed=0), Path(folder, "credit"))
        location = f"lmdb:{folder}/state"
        counts = stored(log, location, log.vocabulary("user").ids.to_pylist()[:PEOPLE])
        now = {"item_id": "lender", "kind": "pay", "value": 210.0, "category": "cash loan", "direction": "out"}
        bodies = [("/v1/assess", json.dumps({"user_id": u, "events": [now]})) for u in counts]
        spec = {"models": {"credit": f"{folder}/credit"}, "store": location, "cpu": first}
        with served.serving(**spec) as server:
            ask(Plan(server.port, 10.0, 2.0, bodies, cpu=second))  # the first ones load what is loaded late
            before = server.look()
            found = ask(Plan(server.port, rate, seconds, bodies, cpu=second), keep=1)
            after = server.look()
    good = int((found.status == 200).sum())
    print(f"{found.bodies[0][:300]}")
    mean, most = float(np.mean(list(counts.values()))), max(counts.values())
    cpu = (after.cpu - before.cpu) / max(good, 1) * 1e3
    print(
        f"{good:,} of {len(found.status):,} answered at {rate:g}/s; histories of {mean:.0f} payments, at most {most:,}"
    )
    print(f"p50 {found.quantile(0.5):.1f} ms, p99 {found.quantile(0.99):.1f} ms, CPU {cpu:.1f} ms a request")


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
