"""Logs with planted accidents: who is dealt what, and that nothing asked is noise."""

import numpy as np
import pyarrow as pa
import pytest

from ethogram.data.planted_noise import planted
from ethogram.errors import OptionError
from ethogram.log import Log


def rated(users=40, items=60, seed=0):
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(users), 20)
    item = np.concatenate([rng.choice(items, 20, False) for _ in range(users)]) + 100
    value, order = rng.integers(1, 6, len(user)).astype(float), np.tile(np.arange(20), users)
    return Log.open(pa.table({"user": user, "item": item, "order": order, "value": value}))


def by_user(log):
    return {u: set(log.histories().item_ids(i)) for i, u in enumerate(log.vocabulary("user").ids.to_pylist())}


def test_parts_and_accidents():
    log = rated()
    made = planted(log, noise=0.5, seed=3)
    cut = made.log.split("leave-last-out")
    met, train = by_user(log), by_user(cut.train)
    strays = {u: set() for u in met}
    for row in made.accidents.to_pylist():
        strays[row["user"]].add(row["item"])
    for user in met:
        assert not strays[user] & met[user], "an accident is an item that was never met"
        assert strays[user] <= train[user]
        assert len(strays[user]) == 7
        assert len(train[user]) == 14 + 7
    assert cut.valid.histories().lengths.sum() == 40 * 2
    assert cut.test.histories().lengths.sum() == 40 * 4
    again = planted(log, noise=0.5, seed=3).accidents
    assert made.accidents.equals(again)
    assert not made.accidents.equals(planted(log, noise=0.5, seed=4).accidents)


def test_disliked_items_train_and_are_never_asked():
    log = rated()
    made = planted(log, liked=4.0, disliked=True, least=3)
    low = log.frame().collect().to_arrow().to_pylist()
    disliked = {(r["user"], r["item"]) for r in low if r["value"] < 4}
    told = {(r["user"], r["item"]) for r in made.accidents.to_pylist()}
    assert told <= disliked
    for part in ("valid", "test"):
        asked = getattr(made.log.split("leave-last-out"), part)
        rows = asked.frame().collect().to_arrow().to_pylist()
        assert not {(r["user"], r["item"]) for r in rows} & disliked


@pytest.mark.parametrize("how", [{"noise": -1.0}, {"parts": (0.5, 0.1, 0.1)}, {"least": 2}])
def test_refusals(how):
    with pytest.raises(OptionError, match="planted"):
        planted(rated(), **how)
    with pytest.raises(OptionError, match="value"):
        planted(Log.open({"user": [1], "item": [1], "order": [1]}), liked=4.0)


def test_nobody_can_take_more_than_there_is():
    log = rated(items=22)
    made = planted(log, noise=1.0)
    assert np.bincount([r["user"] for r in made.accidents.to_pylist()]).max() == 2
