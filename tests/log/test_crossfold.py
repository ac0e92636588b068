"""Cross-validation: nothing of what is asked is in training or in a history, and everything is asked once."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from ethogram.errors import OptionError, StepError
from ethogram.log import Log


def panel(users=7, items=6):
    user, item = (a.ravel() for a in np.indices((users, items)))
    value = (user + item) % 5 + 1.0
    order = np.random.default_rng(0).permutation(len(user))
    table = {"user": user, "item": item, "order": order, "value": value, "label": (value >= 4).astype(float)}
    return Log.open(pa.table(table))


def answers(log):
    rows = log.sequences()
    users = rows.vocabularies["user"].decode(rows.user).to_pylist()
    items = rows.vocabularies["item"].decode(rows.columns["item"]).to_pylist()
    return set(zip(users, items, strict=True))


def asked(questions):
    codes, offsets = questions.candidates.flat(len(questions))
    owner = np.repeat(questions.histories.users, np.diff(offsets))
    users = questions.histories.vocabularies["user"].decode(owner).to_pylist()
    return list(zip(users, questions.candidates.vocabulary.decode(codes).to_pylist(), strict=True))


@pytest.mark.parametrize("protocol", ["within-user", "new-user", "new-item"])
def test_every_answer_is_asked_once_and_never_known(protocol):
    log = panel()
    cut = log.split(protocol, folds=3, seed=1)
    everything = []
    for fold in cut.splits():
        known, held = answers(fold.train), asked(fold.test.questions("slates"))
        assert not known & set(held)
        assert known | set(held) == answers(log)
        if protocol == "new-user":
            assert not {u for u, _ in known} & {u for u, _ in held}
            assert fold.test.questions().histories.lengths.sum() == 0
        if protocol == "new-item":
            assert not {i for _, i in known} & {i for _, i in held}
        if protocol == "within-user":
            assert np.ptp([sum(u == v for u, _ in held) for v in range(7)]) == 0
        asking = fold.test.questions().histories
        past = {(u, i) for q in range(len(asking)) for i in asking.item_ids(q)
                for u in asking.vocabularies["user"].decode(asking.users[q : q + 1]).to_pylist()}  # fmt: skip
        assert past == {(u, i) for u, i in known if u in {v for v, _ in held}}, "all that is left is the history"
        value = [(u + i) % 5 + 1 for u, i in held]
        assert fold.test.ratings().tolist() == value
        assert fold.test.questions().label.tolist() == [float(v >= 4) for v in value]
        everything += held
    assert sorted(everything) == sorted(answers(log))


def test_both_ways_of_dropping_agree():
    fold = panel().split("within-user", folds=3).parts[0]
    table = fold.train.table()
    assert answers(fold.train) == set(zip(table["user"].to_pylist(), table["item"].to_pylist(), strict=True))


def test_deals_follow_the_seed():
    prints = [panel().split("new-user", folds=3, seed=s).parts[0].train.fingerprint() for s in (0, 0, 1)]
    assert prints[0] == prints[1] != prints[2]


def test_refusals():
    with pytest.raises(OptionError, match="9 folds of 7 to deal"):
        panel().split("new-user", folds=9)
    plain = Log.open(pa.table({"user": [1, 2], "item": ["a", "b"], "time": [1, 2]}))
    with pytest.raises(StepError, match="no event carries a label"):
        plain.split("new-item")
    some = Log.open(pa.table({"user": [1, 2], "item": ["a", "b"], "time": [1, 2], "label": [1.0, None]}))
    with pytest.raises(StepError, match="use temporal or by-user"):
        some.split("within-user")
    with pytest.raises(OptionError, match="not 'next'"):
        panel().split("new-user", folds=2).parts[0].test.questions("next")
    with pytest.raises(OptionError, match="Did you mean 'new-user'"):
        panel().split("new-users")
