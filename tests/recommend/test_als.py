"""ALS: its fixed point, whose vector is whose, reasons that add up, and what stays exact after an update."""

import numpy as np
import pyarrow as pa
import pytest
from tests.recommend import brute

from ethogram.errors import OptionError
from ethogram.log import Candidates, Histories, Log
from ethogram.numeric import leastsquares
from ethogram.system import load, system

SMALL = {"factors": 6, "regularisation": 0.5, "alpha": 3.0}


def rows(users=60, items=40, events=20, seed=0):
    """Two kinds of people, two kinds of items; even users take even items nine times in ten."""
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(users), events)
    own = rng.random(len(user)) < 0.9
    item = 2 * rng.integers(0, items // 2, len(user)) + np.where(own, user % 2, 1 - user % 2)
    return pa.table({"user": user, "item": item + 500, "time": np.tile(np.arange(events), users)})


def tastes(**how):
    return Log.open(rows(**how))


@pytest.fixture(scope="module")
def fitted():
    log = tastes()
    return log, system("als", **SMALL, iterations=60).fit(log, seed=1)


def test_finds_the_tastes(fitted):
    _, built = fitted
    best = built.recommend(Histories.of([[500, 504, 510], [501, 505, 511]]), 10, exclude_seen=True)
    kind = np.array(best.column("item").to_pylist()) % 2
    assert (kind[:10] == 0).all()
    assert (kind[10:] == 1).all()


def test_half_steps_lower_the_loss(fitted):
    log, _ = fitted
    losses = []
    for n in (1, 2, 4, 8):
        for solver in ("cholesky", "cg"):
            built = system("als", **SMALL, iterations=n, solver=solver).fit(log, seed=1)
            model, pairs = built.fitted.model, built.fitted.pairs
            losses.append(leastsquares.loss(pairs, 3 * pairs.counts, model.users, model.vectors, 0.5))
    assert losses[::2] == sorted(losses[::2], reverse=True)
    assert losses[7] == pytest.approx(losses[6], rel=0.02), "conjugate gradients come to the same valley"


def test_a_trained_vector_is_the_folded_in_one(fitted):
    log, built = fitted
    histories = log.histories()
    trained, _ = built.fitted.model.states(histories)
    lists = [histories.item_ids(i) for i in range(len(histories))]
    folded, there = built.fitted.model.states(Histories.of(lists))
    assert there.all()
    np.testing.assert_allclose(folded, trained, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("exclude", [False, True])
def test_searching_and_scoring_recommend_the_same(fitted, exclude):
    log, built = fitted
    histories = log.histories()
    every = Candidates.every(log.vocabulary("item"))
    searched = built.recommend(histories, 4, exclude_seen=exclude)
    scored = built.recommend(histories, 4, exclude_seen=exclude, among=every)
    assert searched.drop_columns(["score"]).equals(scored.drop_columns(["score"]))
    np.testing.assert_allclose(searched["score"], scored["score"], rtol=1e-5)
    with_nobody = built.recommend(Histories.of([[500, 503], []]), 4, exclude_seen=exclude)
    assert with_nobody["status"].to_pylist() == ["warm"] * 4 + ["cold"] * 4


def test_fold_in_always_reads_the_newest_events(fitted):
    log, built = fitted
    longer = Histories.of([[500] * 30], users=[1])
    always = system("als", **SMALL, iterations=60, fold_in="always").fit(log, seed=1)
    every = Candidates.of(list(range(500, 540)))
    trained, folded = built.score(longer, every), always.score(longer, every)
    assert trained[0, 1::2].mean() > trained[0, ::2].mean(), "user 1 took odd items in training"
    assert folded[0, ::2].mean() > folded[0, 1::2].mean(), "and took an even one since"
    stranger = always.score(Histories.of([[500] * 30]), every)
    np.testing.assert_array_equal(stranger, folded)


@pytest.mark.parametrize("confidence", ["linear", "log"])
def test_reasons_add_up_to_the_score(confidence):
    log = tastes()
    built = system("als", **SMALL, confidence=confidence, epsilon=0.5, fold_in="always").fit(log)
    one, asked = Histories.of([[500, 501, 500, 999, 506]]), Candidates.of([500, 502, 503, 999])
    score = built.score(one, asked)[0]
    found = built.explain(one, asked, k=9).to_pylist()
    model = built.fitted.model
    for c, item in enumerate([500, 502, 503]):
        told = [r for r in found if r["candidate"] == item]
        assert sorted(r["item"] for r in told) == [500, 500, 501, 506], "an item that nobody knows says nothing"
        twice = [r["share"] for r in told if r["item"] == 500]
        assert twice[0] == pytest.approx(twice[1]), "events with one item share alike"
        shares = sum(r["share"] for r in told)
        # the whole weight is not in the table: found from one part, computed on its own
        y = model.vectors.astype(float)
        row = model.known.rows_in(asked.vocabulary)[asked.items[c]]
        counts = np.array([2.0, 1.0, 1.0])
        extra = built._extra(counts.astype(np.float32)).astype(float)
        taken = y[model.known.rows_in(asked.vocabulary)[asked.vocabulary.encode([500])].tolist()[:1]]
        left = built.fitted.fixed.copy()
        for i, e in zip((500, 501, 506), extra, strict=True):
            v = y[model.known.rows[model.known.items.encode([i])[0]]]
            left += e * np.outer(v, v)
        part = (1 + extra[0]) * y[row] @ np.linalg.solve(left, taken[0]) / 2
        assert shares * part / twice[0] == pytest.approx(score[c], rel=1e-4, abs=1e-6)
    assert not [r for r in found if r["candidate"] == 999]


def test_counts_are_confidence():
    people = {"ann": [["a"]] * 9 + [["b"]], "bob": [["a"], ["b"]], "cid": [["c"], ["b"]], "dan": [["c"], ["a"]]}
    built = system("als", factors=2, alpha=5.0, regularisation=0.5).fit(brute.log_of(people))
    often, once = (built.score(Histories.of([h]), Candidates.of(["a"]))[0, 0] for h in (["a"] * 9 + ["c"], ["a", "c"]))
    assert often > once, "nine events weigh more than one"


def test_saved_and_loaded(tmp_path, fitted):
    _, built = fitted
    built.save(tmp_path / "model")
    asked, every = Histories.of([[500, 503], []]), Candidates.of(list(range(500, 540)))
    assert built.score(asked, every).tobytes() == load(tmp_path / "model").score(asked, every).tobytes()


@pytest.mark.parametrize(
    "options", [{"factors": 0}, {"alpha": -1.0}, {"epsilon": 0.0}, {"iterations": 0}, {"regularisation": -1.0}]
)
def test_options_outside_their_range(options):
    with pytest.raises(OptionError, match=f"als: {next(iter(options))}"):
        system("als", **options).fit(brute.log_of({"x": [["a"], ["b"]]}))


def test_update_knows_what_a_fit_to_all_events_knows():
    table = rows(users=80, events=24, seed=3)
    user, item, time = (table.column(n).to_numpy() for n in ("user", "item", "time"))
    # the last users and items appear late only
    first, late = (time < 16) & (user < 70) & (item < 535), (time >= 16) | (user >= 70)
    parts = [Log.open(table.filter(pa.array(chosen))) for chosen in (first, late)]
    whole = Log.open(table.filter(pa.array(first | late)))
    options = {**SMALL, "iterations": 20, "refresh": 6}
    updated = system("als", **options).fit(parts[0], seed=1).update(parts[1])
    refitted = system("als", **options).fit(whole, seed=1)
    one, other = updated.fitted, refitted.fitted
    assert counted(one) == counted(other)
    assert one.model.known.repeats == pytest.approx(other.model.known.repeats, abs=1e-12)
    histories = whole.histories()
    trained, _ = one.model.states(histories)
    folded = one.model.fold(one.model.pairs(histories))
    np.testing.assert_allclose(trained, folded, rtol=1e-5, atol=1e-6)
    losses = [leastsquares.loss(f.pairs, 3 * f.pairs.counts, f.model.users, f.model.vectors, 0.5) for f in (one, other)]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)


def test_update_reaches_people_and_items_that_are_both_new():
    built = system("als", **SMALL).fit(tastes(), seed=1)
    rng = np.random.default_rng(0)
    item = np.concatenate([rng.permutation(8)[:6] for _ in range(20)])
    new = {"user": np.repeat(np.arange(900, 920), 6), "item": item, "time": np.tile(np.arange(1_000, 1_006), 20)}
    built.update(Log.open(pa.table(new)))
    met = item[:6].tolist()
    found = built.recommend(Histories.of([met], users=[900]), 2, exclude_seen=True)
    assert sorted(found.column("item").to_pylist()) == sorted(set(range(8)) - set(met))


def counted(fitted):
    """(user id, item id) -> count, and item id -> count."""
    known, pairs = fitted.model.known, fitted.pairs
    code = np.flatnonzero(known.counts > 0)
    items = known.items.decode(code[pairs.items]).to_pylist()
    users = known.users.decode(pairs.owner).to_pylist()
    each = dict(zip(zip(users, items, strict=True), pairs.counts.tolist(), strict=True))
    return each, dict(zip(known.items.decode(code).to_pylist(), known.counts[code].tolist(), strict=True))
