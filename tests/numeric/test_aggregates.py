"""Aggregates of a small log, each by hand."""

import numpy as np
import pyarrow as pa
import pytest

from ethogram.log import Candidates, Histories, Log
from ethogram.numeric.aggregates import matrix
from ethogram.numeric.balance import balanced
from ethogram.numeric.crosses import places_of
from ethogram.numeric.folds import Folds
from ethogram.numeric.past import NEVER
from ethogram.numeric.popular import Popular
from ethogram.numeric.slates import Slates, answered

DAY = 86_400
EVENTS = [  # user, item, day, label
    ("p", "a", 1, 1.0),
    ("p", "b", 1, 0.0),
    ("p", "a", 3, 0.0),
    ("p", "d", 6, 1.0),
    ("q", "a", 2, 1.0),
    ("q", "c", 4, 1.0),
]
ITEMS = {"item": ["a", "b", "c", "d"], "kind of thing": ["x", "x", "y", None], "size": [1.0, 2.0, 3.0, 4.0]}


@pytest.fixture(scope="module")
def log():
    user, item, day, label = zip(*EVENTS, strict=True)
    rows = pa.table({"user": user, "item": item, "time": [d * DAY for d in day], "label": label})
    return Log.open(rows, items=pa.table(ITEMS))


@pytest.fixture(scope="module")
def statistics(log):
    features = log.features()
    asked = answered(log, features)
    done = log.histories()
    rows, _ = done.flat()
    folds = Folds.people(asked.histories, done, rows, 2, seed=1)
    weight, _ = balanced(asked.label, asked.weight)
    return asked, Popular.of(asked, weight, features, done.item[rows], folds, 1.0), folds


def named(log, slates, popular, fold=None, **how):
    found, names = matrix(slates, log.features(), popular, fold, **how)
    return dict(zip(names, found.T, strict=True))


def test_the_question_of_day_six(log, statistics):
    asked, popular, _ = statistics
    of = named(log, asked.slates, popular.after_training(), lift=2.0)
    at = [i for i in range(len(asked.slates)) if asked.slates.batch.time[asked.slates.owner[i]] == 6 * DAY * 10**6]
    assert len(at) == 1, "p is asked about d"
    row = {name: values[at[0]] for name, values in of.items()}
    assert row["events"] == 3
    assert row["groups"] == 2
    assert row["days"] == 3
    assert row["popularity"] == pytest.approx(np.log(2)), "d has one event"
    assert row["count.item"] == 0
    assert row["days.item"] == row["back.item"] == np.float32(NEVER)
    assert np.isnan(row["liked.item"])
    assert np.isnan(row["lift.kind of thing"]), "nothing is known of d's kind"
    assert row["answered"] == pytest.approx(np.log(1.5 / 2.5)), "one of three, and one half each"


def test_candidates_of_ones_own_choice(log, statistics):
    _, popular, _ = statistics
    histories = log.histories()[np.array([0])]  # all four events of p, asked without a time
    batch = log.features().encode(histories, Candidates.of([["a", "b", "c", "z"]]))
    of = named(log, Slates.of(batch), popular.after_training(), lift=2.0)
    assert of["count.item"].tolist() == [2, 1, 0, 0]
    assert of["count.kind of thing"].tolist() == [3, 3, 0, 0]
    assert of["back.item"].tolist() == [2, 3, NEVER, NEVER]
    assert np.isnan(of["days.item"][:2]).all(), "nobody knows when the question is asked"
    # six events, four of kind x; one added to each row of the table of kinds (missing, unseen, x, y)
    share = (4 + 1) / (6 - 1 + 1 + 4)
    assert of["lift.kind of thing"][0] == pytest.approx(np.log((3 + 2 * share) / (4 + 2) / share), abs=0.05)
    assert of["lift.kind of thing"][0] > 0
    assert of["lift.kind of thing"][2] < 0
    # p answered three times to kind x, once positively; own rate (2 + 1/2) / (4 + 1), worth two answers
    assert of["liked.kind of thing"][0] == pytest.approx(np.log((1 + 2 * 0.5) / (2 + 2 * 0.5)))
    assert of["popularity"].tolist() == pytest.approx(np.log1p([3, 1, 1, 0]))
    assert of["odds.item"][3] == pytest.approx(popular.base), "of an item that nobody knows"


def test_training_rows_do_not_read_their_own_person(log, statistics):
    asked, popular, folds = statistics
    of = named(log, asked.slates, popular, folds.asked)
    who = asked.histories.vocabularies["user"].decode(asked.histories.users[asked.slates.owner]).to_pylist()
    if folds.asked[0] == folds.asked[-1]:
        pytest.skip("both people were dealt into one fold")
    item = log.features().items.decode(asked.slates.batch.items["item"].values[asked.slates.item] - 2).to_pylist()
    others = {"p": {"a": 1, "c": 1}, "q": {"a": 2, "b": 1, "d": 1}}
    total = {"p": 2, "q": 4}
    expected = [6 / total[w] * others[w].get(i, 0) for w, i in zip(who, item, strict=True)]
    np.testing.assert_allclose(of["popularity"], np.log1p(expected), rtol=1e-6)


def test_an_empty_history_and_no_clock(log, statistics):
    _, popular, _ = statistics
    batch = log.features().encode(Histories.of([[], ["a", "a"]]), Candidates.of(["a", "b"]))
    of = named(log, Slates.of(batch), popular.after_training())
    assert of["events"].tolist() == [0, 0, 2, 2]
    assert of["days"].tolist()[:2] == [NEVER, NEVER]
    assert np.isnan(of["days"][2:]).all()
    assert of["count.item"].tolist() == [0, 0, 2, 0]
    assert of["count10.kind of thing"].tolist() == [0, 0, 2, 2]


def test_hashed_features_say_what_differs(log):
    features = log.features()
    batch = features.encode(Histories.of([["a"], ["c"], ["a", "b"]]), Candidates.of(["a", "c"]))
    found = places_of(Slates.of(batch), features, 2**16, recent=3)
    assert found.shape[0] == 6
    same = found[:, None] == found[None]
    assert same.all(2).sum() == 6, "every question and candidate has features of its own"
    shared = (found[0] == found[1]) & (found[0] > 0)
    assert shared.any(), "the bias at least"
    one = features.encode(Histories.of([["a", "b"]]), Candidates.of(["c"]))
    np.testing.assert_array_equal(places_of(Slates.of(one), features, 2**16, recent=3)[0], found[5])
    assert found.max() < 2**16
