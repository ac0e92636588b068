"""What a table and the last events answer is what the system's own score of the whole ring answers."""

import numpy as np
import pytest

from ethogram.serve.embedded import Embedded
from ethogram.serve.prepared import Ready, scorer
from ethogram.serve.questions import Question
from ethogram.serve.scoring import Plain
from ethogram.serve.state import Entry
from ethogram.system import system
from ethogram.testing.example import example

QUICK = {"epochs": 1, "dim": 12, "side": 4, "hidden": (16,)}
ITEMS = [str(1_000 + 7 * i) for i in range(40)]


@pytest.fixture(scope="module")
def cut():
    return example().split("temporal")


@pytest.fixture(scope="module")
def sdim(cut):
    model = system("sdim", **QUICK, short=5, attention=(8,)).fit(cut.train, cut.valid)
    for matrix, _ in model.fitted.network.sparse:
        matrix.detach().mul_(12)
    return model


@pytest.fixture
def store(tmp_path):
    held = Embedded(tmp_path / "state", keep=60)
    yield held
    held.close()


def entry(rng, n, user="u1", label=None):
    content = {"value": float(rng.integers(1, 6)), "store": f"s{rng.integers(3)}"}
    if label is not None:
        content["label"] = label
    # several at a time, some late
    time = 1_700_000_000_000_000 + (n // 3 - int(rng.random() < 0.1) * 4) * 60_000_000
    return Entry(
        f"{user}-{n}", user, str(rng.choice([*ITEMS, "5"])), str(rng.choice(["view", "buy", "odd"])), time, content
    )


def asked(store, ready, user="u1"):
    held = store.user(user, ready.last)
    return Question(user, [k.entry for k in held.ring], [*ITEMS, "77"], revision=held.revision)


def whole(store, user="u1"):
    return Question(user, [k.entry for k in store.user(user).ring], [*ITEMS, "77"])


def test_tables_move_on_with_the_ring_and_answer_like_the_whole_of_it(store, sdim):
    ready, plain, rng = Ready(sdim, store), Plain(sdim), np.random.default_rng(0)
    assert ready.last < 30
    assert plain.last is None
    seen, at = [], 0
    for step in range(40):
        size = int(rng.integers(1, 6))
        moved = store.append([entry(rng, at + n) for n in range(size)]).moved
        at += size
        if step % 3:  # some appends are followed, after others the table is made anew
            ready.derived.follow(moved)
        (got,), (expected,) = ready.score([asked(store, ready)]), plain.score([whole(store)])
        np.testing.assert_allclose(got, expected, atol=1e-5)
        seen.append(got)
    assert at > 60, "events fell out of the ring"
    assert np.ptp(seen) > 0.1


def test_a_followed_table_is_not_made_anew(store, sdim, monkeypatch):
    ready, rng = Ready(sdim, store), np.random.default_rng(1)
    store.append([entry(rng, n) for n in range(20)])
    ready.derived.build(store.users())
    monkeypatch.setattr(ready.derived, "_built", lambda users: pytest.fail(f"built for {users}") if users else {})
    ready.derived.follow(store.append([entry(rng, 20)]).moved)
    ready.score([asked(store, ready)])


def test_what_was_shown_is_not_behaviour(store, sdim):
    ready, plain, rng = Ready(sdim, store), Plain(sdim), np.random.default_rng(2)
    for labels in ([1.0] * 4, [None] * 12, [0.0] * 25, [None, 1.0] * 3):
        at = store.user("u1").count
        ready.derived.follow(store.append([entry(rng, at + n, label=label) for n, label in enumerate(labels)]).moved)
        (got,), (expected,) = ready.score([asked(store, ready)]), plain.score([whole(store)])
        np.testing.assert_allclose(got, expected, atol=1e-5)


def test_strangers_bring_their_history(store, sdim):
    ready, plain, rng = Ready(sdim, store), Plain(sdim), np.random.default_rng(3)
    timed = sorted((entry(rng, n) for n in range(12)), key=lambda e: e.time)
    without = [Entry(e.id, e.user, e.item, e.kind, -1) for e in timed]
    some = [Question(None, timed, ITEMS), Question(None, without, ITEMS[:3]), Question("new", (), ITEMS)]
    for got, expected in zip(ready.score(some), plain.score(some), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-5)


def test_moments_and_models_without_tables(store, cut):
    rng = np.random.default_rng(4)
    store.append([entry(rng, n) for n in range(30)])
    for key in ("din", "mean_pooled"):
        model = system(key, **QUICK).fit(cut.train, cut.valid)
        ready, plain = scorer(model, store), Plain(model)
        assert isinstance(ready, Ready)
        assert ready.derived is None
        question = whole(store)
        np.testing.assert_allclose(ready.score([question])[0], plain.score([question])[0], atol=1e-5)
    assert isinstance(scorer(system("smoothed_rates").fit(cut.train), store), Plain)
    assert isinstance(scorer(system("deepfm", **QUICK).fit(cut.train), store), Plain)
