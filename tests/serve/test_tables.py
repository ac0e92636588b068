"""Tables that follow the ring equal tables made at once of it, whatever happened in between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.serve.hashing import hashing

from ethogram.errors import OptionError, StateError
from ethogram.log import Candidates, Histories, Vocabulary
from ethogram.rank.sdim import SDIM
from ethogram.serve import tables as tabling
from ethogram.serve.derived import Derived
from ethogram.serve.state import Entry, Store
from ethogram.serve.tables import BucketTables, bucket_tables
from ethogram.testing.example import example

DAY = 86_400_000_000


def event(n: int, user: str, time: int, item: str | None = None, **content: Any) -> Entry:
    return Entry(f"e{n}", user, item or f"item {n % 23}", "view", time, content)


def wrong(model: BucketTables, kept: bytes, ring: Sequence[Entry]) -> float:
    """Largest relative difference between kept bytes and a table made at once; counts must be equal."""
    found, made = model.load(kept).table, model.load(model.build([ring])[0]).table
    assert np.array_equal(found.counts, made.counts)
    assert (found.sums[found.counts == 0] == 0).all()
    if not made.sums.any():
        return 0.0
    return float(np.abs(found.sums - made.sums).max() / np.abs(made.sums).max())


@pytest.mark.parametrize("memory", [None, 5.0 * DAY])
def test_tables_follow_the_ring_through_anything(open_new: Callable[..., Store], memory: float | None) -> None:
    store, model = open_new(keep=9), hashing(memory=memory)
    derived, rng = Derived(store, model), np.random.default_rng(3)
    derived.build(store.users())
    followed = 0
    for step in range(60):
        batch = [
            event(
                1_000 * step + n, f"u{rng.integers(5)}", int(rng.integers(0, 30)) * DAY // 10 + step * DAY // 20,
                **({"label": 1} if rng.random() < 0.1 else {}),
            )
            for n in range(rng.integers(1, 8))
        ]  # fmt: skip
        moved = store.append(batch).moved
        if rng.random() < 0.85:
            followed += derived.follow(moved)  # else as if the process had died in between
        if step % 17 == 9:
            store.forget("u1")
        for user in {f"u{rng.integers(5)}" for _ in range(2)} | ({"u1"} if step % 17 == 9 else set()):
            ring = [k.entry for k in store.user(user).ring]
            assert wrong(model, derived.read([user])[0], ring) <= 1e-5
    assert followed > 30


def test_sums_are_exact_so_that_nothing_is_left_behind(store: Store) -> None:
    model = hashing()
    derived = Derived(store, model)
    store.append([event(0, "ann", 0)])
    derived.read(["ann"])
    for n in range(1, 200):
        derived.follow(store.append([event(n, "ann", n)]).moved)
    [kept] = store.derived(model.version, ["ann"])
    assert kept is not None
    assert model.load(kept).updates == 199 + 199 - 15  # 16 events fit before the first falls out
    assert kept[tabling.HEAD.size :] == model.build([[k.entry for k in store.user("ann").ring]])[0][tabling.HEAD.size :]


def test_a_table_is_built_anew_after_a_thousand_events(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tabling, "UPDATES", 20)
    model = hashing()
    derived = Derived(store, model)
    store.append([event(0, "ann", 0)])
    derived.read(["ann"])
    built: list[int] = []
    build = model.build
    monkeypatch.setattr(model, "build", lambda rings: built.append(len(rings)) or build(rings))
    for n in range(1, 60):
        derived.follow(store.append([event(n, "ann", n)]).moved)
        assert store.derived(model.version, ["ann"]) != [None]
    # 15 come before the first falls out, so that 20 changes are reached after 18 events and then every 10
    assert len(built) == 5


def test_labels_change_what_is_history(store: Store) -> None:
    model = hashing()
    derived = Derived(store, model)
    shown = [event(n, "ann", n, label=n % 2) for n in range(3)]
    store.append(shown)
    assert model.load(derived.read(["ann"])[0]).table.events == 3  # labels on all events: that is the behaviour
    derived.follow(store.append([event(10, "ann", 10), event(11, "ann", 11)]).moved)
    held = model.load(derived.read(["ann"])[0])
    assert (held.table.events, held.plain, held.labelled) == (2, 2, 3)
    derived.follow(store.append([event(12, "ann", 12, label=1), Entry("x", "ann", None, "search", 13)]).moved)
    assert model.load(derived.read(["ann"])[0]).table.events == 2


def test_strangers_and_users_without_tables_cost_nothing(store: Store) -> None:
    model = hashing()
    derived = Derived(store, model)
    moved = store.append([event(0, "ann", 0)]).moved
    assert derived.follow(moved) == 0  # nobody asked for one yet
    assert model.load(derived.read(["nobody"])[0]).table.events == 0
    assert store.derived(model.version, ["nobody"]) == [None]
    assert derived.build(store.users()) == 1
    assert derived.build(store.users()) == 0
    assert derived.follow({}) == 0
    derived.drop()
    assert store.derived(model.version, ["ann"]) == [None]


def test_bytes_of_another_version_are_refused(store: Store) -> None:
    one, other = hashing(0), hashing(1)
    [kept] = one.build([[event(0, "ann", 0)]])
    assert len(kept) < 50_000
    for damaged in (kept[:-1], b"", b"x" * len(kept)):
        with pytest.raises(StateError, match="drop what was derived"):
            one.load(damaged)
    with pytest.raises(StateError, match="another version"):
        other.load(kept)


def test_a_table_that_cannot_be_right_is_built_anew(store: Store) -> None:
    model = hashing()
    derived = Derived(store, model)
    store.append([event(n, "ann", n) for n in range(16)])
    store.derive(model.version, [("ann", store.user("ann").revision, model.build([[event(99, "ann", 1)]])[0])])
    derived.follow(store.append([event(20, "ann", 20)]).moved)
    assert wrong(model, derived.read(["ann"])[0], [k.entry for k in store.user("ann").ring]) == 0


# -- with the network -------------------------------------------------------------------------------------------------


def histories(lists: Sequence[Sequence[Entry]]) -> Histories:
    """Entries as the service encodes them, in short."""
    flat = [e for events in lists for e in events]
    ends = np.cumsum([0, *map(len, lists)])
    columns: dict[str, np.ndarray] = {"time": np.array([e.time for e in flat], np.int64)}
    vocabularies = {"user": Vocabulary(pa.array([], pa.string()))}
    for name, values in (("item", [int(e.item or 0) for e in flat]), ("kind", [e.kind for e in flat])):
        vocabularies[name] = Vocabulary(pa.array(sorted(set(values)), pa.int64() if name == "item" else pa.string()))
        columns[name] = vocabularies[name].encode(values)
    columns["value"] = np.array([e.content.get("value", np.nan) for e in flat], np.float32)
    starts = np.r_[True, np.diff(columns["time"]) != 0][: len(flat)]
    starts[ends[:-1][np.diff(ends) > 0]] = True
    strangers, asked = np.full(len(lists), -1, np.int32), np.full(len(lists), 2**62)
    return Histories(columns, starts, ends[:-1], ends[1:], strangers, asked, vocabularies)


@pytest.fixture(scope="module")
def fitted() -> SDIM:
    train = example().split("temporal").train
    return SDIM(epochs=1, dim=12, side=4, hidden=(12,), attention=(8,), short=4).fit(train)


def test_scores_from_kept_tables_are_those_of_whole_histories(open_new: Callable[..., Store], fitted: SDIM) -> None:
    store = open_new(keep=30)
    model = bucket_tables(fitted, histories)
    derived, rng = Derived(store, model), np.random.default_rng(0)
    for n in range(80):
        entries = [
            Entry(f"{n}.{u}", u, str(1_000 + 7 * rng.integers(40)), "buy", n // 2 * DAY, {"value": float(n % 5)})
            for u in ("ann", "bob")
        ]
        derived.follow(store.append(entries).moved)
        if n == 20:
            derived.build(store.users())
    rings = [[k.entry for k in store.user(u).ring] for u in ("ann", "bob")]
    kept = [model.load(b) for b in derived.read(["ann", "bob"])]
    assert [k.table.events for k in kept] == [30, 30]
    assert all(k.updates > 50 for k in kept)
    candidates = Candidates(np.arange(80, dtype=np.int32).reshape(2, 40) % 40, Vocabulary(1_000 + 7 * np.arange(40)))
    whole = fitted.score(histories(rings), candidates)
    fast = fitted.score_tables([k.table for k in kept], histories([r[-6:] for r in rings]), candidates)
    assert np.abs(whole - fast).max() < 1e-5
    assert np.ptp(whole) > 1e-3


def test_a_system_that_reads_otherwise_is_refused(fitted: SDIM) -> None:
    train = example().split("temporal").train
    for options, said in (({"long": "mean"}, "hash buckets"), ({"last": 50}, "last events")):
        other = SDIM(epochs=1, dim=8, side=4, hidden=(8,), attention=(4,), short=4, **options).fit(train)
        with pytest.raises(OptionError, match=said):
            bucket_tables(other, histories)
