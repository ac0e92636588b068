"""Held-ready networks and stored tables give the system's own scores: after events, and across versions."""

from __future__ import annotations

import numpy as np
import pytest

import ethogram
from ethogram import data
from ethogram.serve.opening import open_store
from ethogram.serve.prepared import Ready, scorer
from ethogram.serve.questions import TIMELESS, Question
from ethogram.serve.scoring import Plain
from ethogram.serve.service import Service
from ethogram.serve.shelf import Shelf
from ethogram.serve.state import Entry

SMALL = {"epochs": 1, "dim": 8, "side": 4, "hidden": (8,)}


@pytest.fixture(scope="module")
def log():
    return data.load("interests", users=30, slates=4, seed=0)


@pytest.fixture(scope="module")
def sdim(log):
    return ethogram.system("sdim", hashes=12, short=5, **SMALL).fit(log, seed=1)


def entries(user: str, n: int, seed: int = 0, start: int = 0, **content) -> list[Entry]:
    rng = np.random.default_rng(seed)
    items = rng.integers(0, 300, n)
    first = 1_700_000_000_000_000
    return [
        Entry(f"{user}-{start + i}", user, str(item), "click", first + (start + i) * 10**6, content)
        for i, item in enumerate(items)
    ]


def asked(store, user, candidates, last=None):
    held = store.user(user, last)
    return Question(user, [k.entry for k in held.ring], candidates, {}, 1_800_000_000_000_000, held.revision)


@pytest.mark.parametrize("key", ["din", "mean_pooled"])
def test_arrays_give_the_systems_scores(key, log, tmp_path):
    system = ethogram.system(key, last=10, **SMALL).fit(log, seed=1)
    store = open_store(f"lmdb:{tmp_path}/state")
    ready, plain = Ready(system, store), Plain(system)
    candidates = [*map(str, range(0, 60, 3)), "strange"]
    store.append(entries("u", 40))
    questions = [
        asked(store, "u", candidates),
        Question(None, [], candidates),
        Question(None, [Entry("0", "", "7", "", TIMELESS), Entry("1", "", "odd", "", TIMELESS)], candidates),
    ]
    for one, other in zip(ready.score(questions), plain.score(questions), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-6)
    store.close()


def test_a_table_answers_for_a_history_of_which_the_end_is_read(sdim, tmp_path):
    store = open_store(f"lmdb:{tmp_path}/state", keep=600)
    ready, plain = scorer(sdim, store), Plain(sdim)
    assert ready.last is not None
    assert ready.last < 600
    candidates = list(map(str, range(0, 90, 3)))
    came = entries("u", 500)
    for part in (came[:480], came[480:], entries("u", 300, seed=1, start=500), entries("u", 3, start=900, label=1)):
        moved = store.append(part).moved
        ready.derived.follow(moved)
        read = asked(store, "u", candidates, ready.last)
        assert len(read.events) <= ready.last
        whole = asked(store, "u", candidates)
        np.testing.assert_allclose(ready.score([read])[0], plain.score([whole])[0], atol=1e-5)
    store.close()


def test_a_version_is_made_ready_from_stored_events(sdim, log, tmp_path):
    from starlette.testclient import TestClient

    from ethogram.serve.app import build

    other = ethogram.system("sdim", hashes=12, short=5, **SMALL).fit(log, seed=2)
    sdim.save(tmp_path / "home" / "one")
    other.save(tmp_path / "home" / "two")
    store = open_store(f"lmdb:{tmp_path}/state")
    for n in range(5):
        store.append(entries(f"u{n}", 50, seed=n))
    service = Service(store, Shelf(store, {"home": tmp_path / "home"}))
    candidates = list(map(str, range(20)))
    with TestClient(build(service), "http://127.0.0.1") as http:
        assert http.post("/v1/models/home/activate", json={"version": "one"}).json()["version"] == "one"
        derived = service.shelf.place("home").active.derived
        assert None not in store.derived(derived.model.version, [f"u{n}" for n in range(5)])
        for version, system in (("one", sdim), ("two", other)):
            http.post("/v1/models/home/activate", json={"version": version})
            event = {
                "event_id": f"e {version}",
                "user_id": "u1",
                "item_id": "3",
                "kind": "click",
                "time": 1_710_000_000,
            }
            assert http.post("/v1/events", json={"events": [event]}).json()["accepted"] == 1
            answer = http.post("/v1/rank", json={"user_id": "u1", "candidates": candidates}).json()
            assert answer["version"] == version
            expected = Plain(system).score([asked(store, "u1", candidates)])[0]
            found = {i["item_id"]: i["score"] for i in answer["items"]}
            np.testing.assert_allclose([found[c] for c in candidates], expected, atol=1e-5)
    store.close()


def test_reasons_lie_anywhere_in_the_history_and_its_length_is_told(sdim, tmp_path):
    from starlette.testclient import TestClient

    from ethogram.serve.app import build

    sdim.save(tmp_path / "home")
    store = open_store(f"lmdb:{tmp_path}/state")
    store.append(entries("u", 400))
    old = {e.item for e in entries("u", 400)[:300]}
    with TestClient(build(Service(store, Shelf(store, {"home": tmp_path / "home"}))), "http://127.0.0.1") as http:
        asked = {"user_id": "u", "candidates": list(map(str, range(40)))}
        plain = http.post("/v1/rank", json=asked).json()
        told = http.post("/v1/rank", json={**asked, "explain": True}).json()
        assert plain["events"] == told["events"] == 400
        assert any(r["item_id"] in old for i in told["items"] for r in i["because"])
    store.close()
