"""reloop2 while it serves: what it learns from the ledger is what it learns offline, whoever stops in between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import ethogram
from ethogram import data
from ethogram.errors import OptionError, StateError
from ethogram.log import Candidates, Histories, Questions, Vocabulary
from ethogram.serve.compensating import Asked, Compensating
from ethogram.serve.state import Entry, Store

SECOND = 1_000_000
WINDOW = 30 * SECOND


SMALL = {"impressions": 3_000, "users": 60, "items": 30, "categories": 3, "segments": 3, "shifts": (0.5,), "seed": 5}


@cache
def stream() -> Any:
    return data.load("drifting_clicks", **SMALL).split("stream", windows=5, test=0.1, valid=0.1)


@cache
def first(**options: Any) -> Any:
    part = stream().parts[0]
    base = ethogram.system("smoothed_rates").fit(part.train, part.valid, seed=0)
    return ethogram.system("reloop2", base=base, refit=False, **options).fit(part.train, part.valid, seed=0)


def model(**options: Any) -> Any:
    """Fitted before the shift; another one with the same memory each time."""
    options = {"memory": "item", "strength": 1.0, "half_life": "300", **options}
    found = first(**options)
    return ethogram.system("reloop2", base=found.base, refit=False, **options).restore(found.state())


@cache
def entries() -> list[Entry]:
    """All that happened after training: each impression a decision, each click an event within the window."""
    rows = [
        r for part in stream().parts for r in part.test.table().select(["user", "item", "time", "label"]).to_pylist()
    ]
    made: list[tuple[int, Entry]] = []
    for n, row in enumerate(r for r in rows if r["label"] is not None):
        time, user, item = int(row["time"].timestamp() * SECOND), str(row["user"]), str(row["item"])
        made.append((time, Entry(f"d{n}", user, None, "decision", time, {"candidates": [item]})))
        if row["label"]:
            made.append((time + SECOND, Entry(f"c{n}", user, item, "click", time + SECOND)))
    return [entry for _, entry in sorted(made, key=lambda pair: pair[0])]


def ask(asked: Sequence[Asked]) -> Questions:
    """As the service encodes requests, in short."""
    flat = [e for a in asked for e in a.events]
    ends = np.cumsum([0, *(len(a.events) for a in asked)])
    judged = [i for a in asked for i in a.decision.content["candidates"]]
    items = Vocabulary(pa.array(sorted({*judged, *(e.item or "" for e in flat)}), pa.string()))
    time = np.array([e.time for e in flat], np.int64)
    starts = np.r_[True, np.diff(time) != 0][: len(flat)]
    starts[ends[:-1][np.diff(ends) > 0]] = True
    columns = {"item": items.encode([e.item or "" for e in flat]), "time": time}
    when = np.array([a.decision.time for a in asked], np.int64)
    nobody = Vocabulary(pa.array([], pa.string()))
    histories = Histories(
        columns, starts, ends[:-1], ends[1:], np.full(len(asked), -1, np.int32), when, {"item": items, "user": nobody}
    )
    counts = np.cumsum([0, *(len(a.label) for a in asked)])
    label = np.concatenate([a.label for a in asked])
    return Questions(histories, Candidates(items.encode(judged), items, counts), label, np.ones(len(label), np.float32))


def put(store: Store, some: Sequence[Entry]) -> None:
    for entry in some:
        store.append([entry], ring=entry.kind != "decision")


def same(one: Compensating, other: Compensating) -> bool:
    a, b = one.state(), other.state()
    return a.keys() == b.keys() and all(a[n].tobytes() == b[n].tobytes() for n in a)


def test_what_is_learned_online_is_what_is_learned_offline(store: Store) -> None:
    online, offline = model(), model()
    loop = Compensating(store, "m", online, ask, window=WINDOW, block=1, every=10_000)
    store.append(entries()[:300], ring=False)
    assert loop.step() == 300
    decisions = [e for e in entries()[:300] if e.kind == "decision"]
    clicked = {e.id[1:] for e in entries()[:300] if e.kind == "click"}
    closed = [d for d in decisions if d.time < entries()[299].time - WINDOW]
    for decision in closed:
        offline.fitted.reveal(ask([Asked(decision, [], np.array([decision.id[1:] in clicked], np.float32))]))
    assert online.fitted.revealed == offline.fitted.revealed == len(closed) + model().fitted.revealed
    for name, array in loop.state().items():
        held = {**offline.fitted.memory.arrays(), "losses": offline.fitted.losses}
        assert array.tobytes() == held[name].tobytes(), name


@pytest.mark.parametrize("memory", ["item", "sketch"])
def test_a_replica_that_was_killed_goes_on_byte_for_byte(open_new: Callable[..., Store], memory: str) -> None:
    store, rng = open_new(keep=50), np.random.default_rng(1)
    options = {"memory": memory, "key": "columns", "bits": 6, "repeats": 4} if memory == "sketch" else {}
    whole = Compensating(store, "whole", model(**options), ask, window=WINDOW, every=10_000)
    parts = Compensating(store, "parts", model(**options), ask, window=WINDOW, every=7)
    replica = Compensating(store, "parts", model(**options), ask, window=WINDOW, every=31)
    some = entries()[:400]
    for at in range(0, len(some), 40):
        put(store, some[at : at + 40])
        whole.step()
        replica.step(int(rng.integers(1, 60)))
        parts.step(int(rng.integers(1, 60)))
        if rng.random() < 0.3:
            parts.keep()
        if rng.random() < 0.7:  # killed: what came after its last snapshot is learned again
            parts = Compensating(store, "parts", model(**options), ask, window=WINDOW, every=7)
    for loop in (parts, replica):
        loop.step()
    assert whole.loop.revealed > model(**options).fitted.revealed + 200
    assert same(whole, parts)
    assert same(whole, replica)
    written = parts.keep(), replica.keep()
    assert sum(written) == 1, "a snapshot of the last place is there once, of whoever came first"


def test_it_recovers_from_a_shift_while_serving(store: Store) -> None:
    """After the appeal of items turned, the compensated answers are better than the base's, and it takes a while."""
    system = model()
    loop = Compensating(store, "m", system, ask, window=WINDOW)
    decisions = [e for e in entries() if e.kind == "decision"]
    clicked = {e.id[1:] for e in entries() if e.kind == "click"}
    said, base = {}, {}
    for at in range(0, len(entries()), 25):
        some = entries()[at : at + 25]
        asked = [Asked(e, [], np.zeros(1, np.float32)) for e in some if e.kind == "decision"]
        if asked:
            found = ask(asked)
            judged = system.fitted.judge(found.histories, found.candidates, None)
            said |= dict(zip([a.decision.id for a in asked], judged.answer, strict=True))
            base |= dict(zip([a.decision.id for a in asked], judged.base, strict=True))
        store.append(some, ring=False)
        loop.step()
    last = decisions[len(decisions) * 3 // 4 :]

    def loss(p: dict[str, float]) -> float:
        return -float(np.mean([np.log(p[d.id] if d.id[1:] in clicked else 1 - p[d.id]) for d in last]))

    assert loss(said) < loss(base) - 0.01


def test_forgotten_users_teach_nothing_more(store: Store) -> None:
    system = model()
    loop = Compensating(store, "m", system, ask, window=WINDOW, block=1)
    before, some = system.fitted.revealed, entries()[:60]
    store.append(some, ring=False)
    for user in {e.user for e in some}:
        store.forget(user)
    loop.step()
    assert system.fitted.revealed == before


def test_a_decision_that_is_no_question_stops_nobody(store: Store) -> None:
    system, some = model(), entries()[:60]
    first = next(e.id for e in some if e.kind == "decision")

    def strict(asked: Sequence[Asked]) -> Questions:
        if any(a.decision.id == first for a in asked):
            raise OptionError("no question")
        return ask(asked)

    loop = Compensating(store, "m", system, strict, window=WINDOW, block=1)
    before = system.fitted.revealed
    store.append(some, ring=False)
    loop.step()
    assert loop.refused == 1
    assert system.fitted.revealed > before + 20


def test_what_cannot_be_served_so_is_refused(store: Store) -> None:
    with pytest.raises(OptionError, match="no error memory"):
        Compensating(store, "m", model().base, ask, window=WINDOW)
    with pytest.raises(OptionError, match="block = 0"):
        Compensating(store, "m", model(), ask, window=WINDOW, block=0)
    Compensating(store, "m", model(), ask, window=WINDOW)
    with pytest.raises(StateError, match="window is"):
        Compensating(store, "m", model(), ask, window=WINDOW + 1)
    store.settle("compensation of m", b"\0" * 20)
    with pytest.raises(StateError, match="damaged"):
        Compensating(store, "m", model(), ask, window=WINDOW)
