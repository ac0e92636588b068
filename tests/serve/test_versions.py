"""A new version is made ready beside the old one; one write switches, one goes back, and all replicas see it."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from tests.serve.hashing import hashing

from ethogram.errors import StateError
from ethogram.serve.derived import Derived
from ethogram.serve.state import Entry, Store
from ethogram.serve.versions import Choice, Ready, Versions, ready, retire


def event(n: int, user: str) -> Entry:
    return Entry(f"e{n}", user, f"i{n % 7}", "view", n)


def test_switch_and_back(store: Store) -> None:
    home, again = Versions(store, "home"), Versions(store, "home")
    assert home.now() is None
    with pytest.raises(StateError, match="nothing to go back to"):
        home.back()
    assert home.switch("1") == Choice("1")
    with pytest.raises(StateError, match="nothing to go back to"):
        home.back()
    assert home.switch("2") == home.switch("2") == again.now() == Choice("2", "1")
    assert again.back() == home.now() == Choice("1", "2")
    assert Versions(store, "other").now() is None
    store.settle("version of home", b"{")
    with pytest.raises(StateError, match="cannot be read"):
        home.now()


def test_two_who_switch_at_once_leave_a_choice_of_one_of_them(store: Store) -> None:
    def switch(version: str) -> None:
        for _ in range(10):
            Versions(store, "home").switch(version)

    threads = [threading.Thread(target=switch, args=(v,)) for v in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    choice = Versions(store, "home").now()
    assert choice is not None
    assert choice.version != choice.previous
    assert {choice.version, choice.previous} <= set("abc")


def test_a_version_is_made_ready_while_the_old_one_serves(open_new: Callable[..., Store]) -> None:
    store, versions = open_new(keep=8), Versions(store=open_new(), name="home")
    old, new = Derived(store, hashing(0)), Derived(store, hashing(1))
    store.append([event(n, f"u{n % 90}") for n in range(400)])
    versions.switch(old.model.version)
    ready(store, old)
    served, wrong, stop = [0], [0], threading.Event()

    def serve() -> None:
        n = 1_000
        while not stop.is_set():
            moved = store.append([event(n, f"u{n % 90}")]).moved
            for derived in (old, new):
                derived.follow(moved)
            wrong[0] += store.derived(old.model.version, [f"u{n % 90}"]) == [None]
            served[0], n = served[0] + 1, n + 1

    thread = threading.Thread(target=serve)
    thread.start()
    found = ready(store, new)
    versions.switch(new.model.version)
    stop.set()
    thread.join()
    assert found.users >= 90
    assert served[0] > 0
    assert wrong == [0]
    assert not retire(new, versions)
    assert retire(old, versions)
    assert store.derived(old.model.version, ["u1"]) == [None]
    # who moved in the very last moment is built when read
    ready(store, new)
    assert None not in store.derived(new.model.version, [f"u{n}" for n in range(90)])


def test_it_can_be_stopped_and_goes_on(store: Store) -> None:
    derived, stop = Derived(store, hashing()), threading.Event()
    store.append([event(n, f"u{n}") for n in range(100)])
    stop.set()
    assert ready(store, derived, stop) == Ready(0, 0, stopped=True)
    assert ready(store, derived) == Ready(100, 0)
    assert ready(store, derived) == Ready(0, 0)
