"""What ``ethogram serve --demo`` serves: models of the demo, fitted if they are not there, and a few households."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ethogram.cli.demo import NEXT, SLATES, _run
from ethogram.cli.output import Output
from ethogram.serve.state import Entry, Store

SERVED = ("sasrec", "transition_kernel", "sdim")
PEOPLE, EVENTS = 100, 500
SEEDED = "demo/seeded"


def served(out: Path, households: int | None, say: Output) -> dict[str, Path]:
    """Name -> folder of the models, made as `ethogram demo` makes them; what is there is not made again."""
    note = out / "served.json"
    known = json.loads(note.read_text()) if note.exists() else {}
    key = str(households or "all")
    found = {name: out / "models" / place for name, place in known.get(key, {}).items()}
    if set(found) == set(SERVED) and all(p.is_dir() for p in found.values()):
        return found
    from ethogram import data
    from ethogram.evaluate import RecordStore

    say.line("The demo's models are not here yet: they are fitted and judged now, a few minutes on two cores.")
    log = data.load("complete_journey", households=households)
    bought = _bought(log, households)
    store = RecordStore(out / "records")
    made = {}
    for name in SERVED:
        options, source = (NEXT[name], bought) if name in NEXT else (SLATES[name], log)
        record, _ = _run(name, options, source.split("temporal"), store, out, say)
        made[name] = record.key
    note.write_text(json.dumps({**known, key: made}, indent=1))
    return {name: out / "models" / place for name, place in made.items()}


def seed(held: Store, households: int | None, say: Output) -> str:
    """Put the last purchases of some households into an empty store; the id of one whom it knows then."""
    if fact := held.fact(SEEDED):
        return fact.decode()
    from ethogram import data

    say.line(f"The last purchases of {PEOPLE} households go into the store.")
    log = _bought(data.load("complete_journey", households=households) if households else None, households)
    histories = log.histories()[:PEOPLE].last(EVENTS)
    users = histories.vocabularies["user"].decode(histories.users).to_pylist()
    for i, user in enumerate(users):
        rows = slice(int(histories.start[i]), int(histories.stop[i]))
        times, events = (histories.columns[c][rows].tolist() for c in ("time", "event"))
        items = histories.item_ids(i)
        held.append(
            [
                Entry(f"demo-{e}", str(user), str(item), "purchase", int(t), {})
                for item, t, e in zip(items, times, events, strict=True)
            ]
        )
    held.settle(SEEDED, str(users[0]).encode())
    return str(users[0])


def _bought(log: Any, households: int | None) -> Any:
    from ethogram import data

    if households:
        return log.where("kind == 'purchase'").materialise()
    return data.load("complete_journey", exposures=False)
