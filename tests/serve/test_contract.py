"""What every store promises, on every store."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.serve.plain import Plain

from ethogram.errors import StoreError
from ethogram.serve.state import Entry, Store

FIRST, LAST = -(2**63), 2**63 - 1


def event(id: str, user: str = "ann", time: int = 0, **content: Any) -> Entry:
    return Entry(id, user, "song", content.pop("kind", "view"), time, content)


def ids(kept: Any) -> list[str]:
    return [k.entry.id for k in kept]


# -- one thing at a time ----------------------------------------------------------------------------------------------


def test_nothing_is_known_of_a_stranger(store: Store) -> None:
    found = store.user("nobody")
    assert (found.revision, found.count, dict(found.counters), found.ring) == (0, 0, {}, ())
    assert store.watermark() == -1
    assert list(store.entries()) == list(store.users()) == []
    assert store.forget("nobody") == 0
    assert store.derived("v", ["nobody"]) == [None]


def test_an_entry_comes_back_as_it_went_in(store: Store) -> None:
    content = {"value": 1.5, "n": -3, "list": [1, {"a": None}], "on": True, "text": "naïve 🎈", "big": 2**63}
    sent = Entry("e\u0000🎈", "ü" * 10_000, None, "a kind", 1_700_000_000_000_000, content)
    assert store.append([sent]).outcomes == ("accepted",)
    assert store.user(sent.user).ring[0].entry == sent
    assert next(store.entries()).entry == sent
    assert list(store.users()) == [sent.user]


@pytest.mark.parametrize("user", ["", "a\0b", "a\0", "\0", "🎈", "x" * 10_000, "a:b{c}*?[", "\n"])
def test_any_text_is_a_user_of_its_own(store: Store, user: str) -> None:
    store.append([event("1", user), event("2", user + "!"), event("3", "a")])
    assert ids(store.user(user).ring) == ["1"]
    assert store.forget(user) == 1
    assert sorted(store.users()) == sorted([user + "!", "a"])


def test_times_of_all_kinds_keep_their_order(open_new: Callable[..., Store]) -> None:
    store = open_new(keep=20)
    times = [0, LAST, FIRST, -1, 1, 255, 256, -256, 2**53, 2**53 + 1, 2**62, -(2**62), 0]
    store.append([event(str(n), time=t) for n, t in enumerate(times)])
    assert [k.entry.time for k in store.user("ann").ring] == sorted(times)
    assert ids(store.user("ann", 2).ring) == ["10", "1"]
    assert ids(store.user("ann").ring)[4:6] == ["0", "12"]  # equal times: in the order of acceptance


def test_duplicate_and_conflict(store: Store) -> None:
    assert store.append([event("1"), event("1"), event("1", time=1)]).outcomes == ("accepted", "duplicate", "conflict")
    again = store.append([event("1"), event("1", value=2)])
    assert again.outcomes == ("duplicate", "conflict")
    assert not again.moved
    assert store.user("ann").count == 1
    assert store.watermark() == 0


def test_order_of_keys_in_a_content_is_no_other_content(store: Store) -> None:
    store.append([Entry("1", "ann", None, "view", 0, {"a": 1, "b": {"c": 1, "d": 2}})])
    assert store.append([Entry("1", "ann", None, "view", 0, {"b": {"d": 2, "c": 1}, "a": 1})]).outcomes == (
        "duplicate",
    )


def test_what_falls_out_is_told(open_new: Callable[..., Store]) -> None:
    store = open_new(keep=3)
    first = store.append([event(str(n), time=n) for n in range(1, 4)]).moved["ann"]
    assert (first.before, ids(first.added), first.expired) == (0, ["1", "2", "3"], ())
    second = store.append([event("4", time=4)]).moved["ann"]
    assert (second.before, ids(second.added), ids(second.expired)) == (first.after, ["4"], ["1"])
    late = store.append([event("5", time=2), event("6", time=9)]).moved["ann"]
    assert (ids(late.added), ids(late.expired)) == (["6"], ["2"])  # 5 came and fell out at once
    assert store.append([event("7", time=0)]).moved == {}
    assert ids(store.user("ann").ring) == ["3", "4", "6"]
    assert store.user("ann").revision == late.after
    assert store.user("ann").count == 7


def test_last_n_of_a_ring(store: Store) -> None:
    store.append([event(f"{u}{n}", u, n) for n in range(9) for u in ("ann", "bob", "cem")])
    for user in ("ann", "bob", "cem"):
        for last in (0, 1, 5, 9, 10, 1_000):
            assert ids(store.user(user, last).ring) == [f"{user}{n}" for n in range(max(0, 9 - last), 9)]


def test_decisions_stand_in_the_ledger_only(store: Store) -> None:
    done = store.append([event("d", kind="decision")], ring=False)
    assert done.outcomes == ("accepted",)
    assert done.moved == {}
    assert store.user("ann").count == 0
    assert ids(store.entries()) == ["d"]
    store.forget("ann")
    assert ids(store.entries()) == []
    assert store.append([event("d", kind="decision")], ring=False).outcomes == ("forgotten",)
    assert store.compact() == 1


def test_forgotten_at_once_and_for_good(store: Store) -> None:
    store.append([event("1"), event("2", "bob"), event("3")])
    before = store.user("ann").revision
    store.derive("v", [("ann", before, b"table"), ("bob", store.user("bob").revision, b"table")])
    assert store.forget("ann") == 2
    assert store.user("ann") == store.user("nobody")
    assert store.derived("v", ["ann", "bob"]) == [None, b"table"]
    assert ids(store.entries()) == ["2"]
    assert store.append([event("1"), event("3", time=5)]).outcomes == ("forgotten", "conflict")
    assert store.append([event("4")]).outcomes == ("accepted",)
    assert ids(store.user("ann").ring) == ["4"]
    assert store.user("ann").count == 1
    assert store.user("ann").revision > before
    assert store.derived("v", ["ann"]) == [None]
    assert store.derive("v", [("ann", before, b"old")]) == 0
    assert store.compact() == 2
    assert store.compact() == 0
    assert ids(store.entries()) == ["2", "4"]
    assert store.watermark() == 3
    assert store.append([event("1")]).outcomes == ("accepted",)


def test_derived_is_read_at_its_revision_only(store: Store) -> None:
    store.append([event("1"), event("2", "bob")])
    ann, bob = store.user("ann").revision, store.user("bob").revision
    assert store.derive("v", [("ann", ann, b"A" * 40_000), ("bob", bob + 9, b"B"), ("stranger", 0, b"C")]) == 1
    assert store.derived("v", ["ann", "bob", "stranger"]) == [b"A" * 40_000, None, None]
    assert store.derived("w", ["ann"]) == [None]
    moved = store.append([event("3")]).moved["ann"]
    assert store.derived("v", ["ann"]) == [None]
    assert store.derived("v", ["ann", "bob"], [moved.before, bob]) == [b"A" * 40_000, None]
    assert store.derive("v", [("ann", moved.before, b"stale")]) == 0
    assert store.derive("v", [("ann", moved.after, b"")]) == 1
    assert store.derived("v", ["ann"]) == [b""]
    store.drop("v")
    assert store.derived("v", ["ann"]) == [None]
    assert store.derived("v", []) == []


def test_facts_are_set_by_compare(store: Store) -> None:
    assert store.fact("active") is None
    assert not store.settle("active", b"1", expected=b"0")
    assert store.settle("active", b"1", expected=None)
    assert not store.settle("active", b"2", expected=None)
    assert store.settle("active", b"2", expected=b"1")
    assert store.settle("active", b"")
    assert store.fact("active") == b""
    assert store.settle("active", None, expected=b"")
    assert store.fact("active") is None
    assert store.settle("x" * 3_000, b"y" * 3_000_000)
    assert store.fact("x" * 3_000) == b"y" * 3_000_000


def test_entries_between_two_places(store: Store) -> None:
    store.append([event(str(n), f"u{n % 7}", n) for n in range(2_500)])
    assert [k.seq for k in store.entries(1_020, 1_030)] == list(range(1_021, 1_031))
    assert [k.seq for k in store.entries(2_490, 9_999)] == list(range(2_491, 2_500))
    assert ids(store.entries()) == [str(n) for n in range(2_500)]
    store.forget("u3")
    assert store.compact() == len(range(3, 2_500, 7))
    assert [k.seq for k in store.entries()] == [n for n in range(2_500) if n % 7 != 3]


def test_more_users_than_a_page(store: Store) -> None:
    store.append([event(str(n), f"user {n}") for n in range(2_100)])
    assert sorted(store.users()) == sorted(f"user {n}" for n in range(2_100))


@pytest.mark.parametrize(
    "wrong",
    [
        Entry("1", "ann", None, "view", 2**63),
        Entry("1", "ann", None, "view", 0, {"a": object()}),
        Entry("1", "ann", None, "view", 0, {"a": 2**64}),
        Entry("1", "\ud800", None, "view", 0),
        Entry("1", "ann", None, "view", "now"),  # type: ignore[arg-type]
        Entry(1, "ann", None, "view", 0),  # type: ignore[arg-type]
        Entry("1", "ann", 5, "view", 0),  # type: ignore[arg-type]
        Entry("1", "ann", None, "view", 1.5),  # type: ignore[arg-type]
        Entry("1", "ann", None, "view", True, {}),
        Entry("1", "ann", None, "view", 0, {1: 2}),  # type: ignore[dict-item]
    ],
)
def test_what_cannot_be_stored_stores_nothing_of_its_call(store: Store, wrong: Entry) -> None:
    with pytest.raises(StoreError, match="cannot be stored"):
        store.append([event("0"), wrong])
    assert store.watermark() == -1
    assert store.append([]).outcomes == ()


def test_all_is_there_after_it_was_opened_again(open_new: Callable[..., Store]) -> None:
    store = open_new()
    store.append([event(str(n), time=n) for n in range(5)])
    store.forget("bob")
    store.settle("fact", b"1")
    told = store.user("ann")
    store.close()
    again = open_new(again=store)
    assert again.user("ann") == told
    assert again.fact("fact") == b"1"
    assert len(list(again.entries())) == 5
    again.check()


def test_a_closed_store_says_so(open_new: Callable[..., Store], request: pytest.FixtureRequest) -> None:
    if "redis" in request.node.name:
        pytest.skip("a Redis client connects anew")
    store = open_new()
    store.close()
    for call in (lambda: store.append([event("1")]), lambda: store.user("ann"), lambda: store.derived("v", ["ann"])):
        with pytest.raises(StoreError, match="closed"):
            call()


# -- several at a time ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("clients", [1, 2])
def test_threads_and_replicas_lose_nothing(
    open_new: Callable[..., Store], clients: int, request: pytest.FixtureRequest
) -> None:
    """Eight threads on one or two clients of a store, and all events come through each of two."""
    if clients == 2 and "lmdb" in request.node.name:
        pytest.skip("LMDB opens a path once in a process; two processes: test_embedded")
    first = open_new()
    stores = [first] + [open_new(again=first) for _ in range(clients - 1)]
    outcomes: list[str] = []
    seen: list[int] = []

    def send(number: int) -> None:
        store = stores[number % len(stores)]
        for n in range(20):
            shared = event(f"shared {n}", "everybody", n)
            own = event(f"{number}.{n}", f"user {number}", n)
            done = store.append([shared, own])
            outcomes.extend(done.outcomes)
            seen.append(store.watermark())
            assert ids(store.user(own.user, 1).ring) == [own.id]

    threads = [threading.Thread(target=send, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("accepted") == 20 + 8 * 20
    assert outcomes.count("duplicate") == 7 * 20
    for store in stores:
        assert [k.seq for k in store.entries()] == list(range(180))
        assert store.user("everybody").count == 20
    assert max(seen) == 179


def test_others_go_on_while_the_forgotten_are_removed(store: Store) -> None:
    """Compaction replaces the file (LMDB) under readers and writers that do not stop."""
    stop, told, wrong = threading.Event(), [0, 0, 0], []

    def go_on(number: int) -> None:
        try:
            while not stop.is_set():
                n = told[number]
                store.append([event(f"{number}.{n}", f"user {number}", n), event(f"x{number}.{n}", "gone", n)])
                told[number] += 1
                assert ids(store.user(f"user {number}", 1).ring) == [f"{number}.{n}"]
                assert sum(k.entry.user == f"user {number}" for k in store.entries()) == told[number]
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=go_on, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    removed = forgotten = 0
    while removed < 30 and not wrong:
        forgotten += store.forget("gone")
        removed += store.compact()
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong
    removed += store.compact()
    assert removed == forgotten
    assert sum(1 for _ in store.entries()) == 2 * sum(told) - removed
    for n in range(3):
        assert store.user(f"user {n}").count == told[n]


# -- anything, in any order -------------------------------------------------------------------------------------------

users = st.sampled_from(["ann", "bob", "🎈", "a\0b"])
times = st.one_of(st.integers(0, 6), st.sampled_from([FIRST, -1, LAST]))
events = st.builds(
    lambda n, user, time, kind, value: Entry(f"id {n}", user, "i", kind, time, {"value": value} if value else {}),
    st.integers(0, 25), users, times, st.sampled_from(["view", "buy"]), st.sampled_from([0, 0, 1]),
)  # fmt: skip
steps = st.one_of(
    st.tuples(st.just("append"), st.lists(events, min_size=1, max_size=9), st.sampled_from([True, True, True, False])),
    st.tuples(st.just("append"), st.lists(events, min_size=1, max_size=9), st.just(True)),
    st.tuples(st.just("forget"), users),
    st.tuples(st.just("derive"), users, st.booleans()),
    st.tuples(st.just("compact")),
    st.tuples(st.just("reopen")),
)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(steps, min_size=1, max_size=20))
def test_any_sequence_tells_what_dicts_tell(open_new: Callable[..., Store], sequence: list[Any]) -> None:
    agree(open_new, sequence)


@pytest.mark.slow
@pytest.mark.skipif("ETHOGRAM_LONG" not in os.environ, reason="two minutes; ETHOGRAM_LONG=1 runs it")
@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(steps, min_size=1, max_size=40))
def test_many_sequences_tell_what_dicts_tell(open_new: Callable[..., Store], sequence: list[Any]) -> None:
    agree(open_new, sequence)


def agree(open_new: Callable[..., Store], sequence: list[Any]) -> None:
    """Do the steps on a store and on the model; all that can be read is equal after each."""
    store, plain = open_new(keep=4), Plain(keep=4)
    turns = [store, open_new(again=store, keep=4)] if hasattr(store, "_redis") else [store]  # two replicas
    revisions: dict[str, set[int]] = {}
    tables: dict[str, tuple[int, bytes]] = {}
    for number, (what, *asked) in enumerate(sequence):
        store = turns[number % len(turns)]
        if what == "append":
            entries, ring = asked
            done = store.append(entries, ring=ring)
            outcomes, moved = plain.append(entries, ring)
            assert list(done.outcomes) == outcomes
            assert set(done.moved) == set(moved)
            for user, move in done.moved.items():
                assert {k.seq for k in move.added} == moved[user][0]
                assert {k.seq for k in move.expired} == moved[user][1]
                assert store.user(user).revision == move.after
                assert move.after not in revisions.setdefault(user, {0})
                revisions[user].add(move.after)
        elif what == "forget":
            assert store.forget(asked[0]) == plain.forget(asked[0])
        elif what == "derive":
            user, late = asked
            now = store.user(user).revision
            kept = store.derive("v", [(user, now - late, b"%d" % number)])
            assert kept == (now > 0 and not late)
            if kept:
                tables[user] = (now, b"%d" % number)
        elif what == "compact":
            assert store.compact() == plain.compact()
        else:
            store.close()
            turns[number % len(turns)] = store = open_new(again=store, keep=4)
        assert list(store.entries()) == plain.entries()
        assert store.watermark() == plain.next - 1
        assert sorted(store.users()) == sorted(plain.rings)
        for user in ("ann", "bob", "🎈", "a\0b"):
            found = store.user(user)
            assert list(found.ring) == plain.rings.get(user, [])
            assert dict(found.counters) == dict(plain.counts.get(user, {}))
            assert found.count == sum(found.counters.values())
            assert (found.revision > 0) == bool(found.ring)
            made = tables.get(user, (-1, b""))
            assert store.derived("v", [user]) == [made[1] if made[0] == found.revision else None]
    for store in turns:
        store.close()
