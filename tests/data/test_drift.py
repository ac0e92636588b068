"""The generator of drift keeps its truth, and what forgets is better off."""

from __future__ import annotations

import numpy as np
import pytest

from ethogram import data, system
from ethogram.data.drift import Drift
from ethogram.errors import OptionError
from ethogram.evaluate import evaluate
from ethogram.log import Log

SMALL = {"users": 150, "items": 60, "categories": 6, "events": (60, 90), "changes": 1, "own_share": 0.9, "seed": 3}


def test_events_follow_the_interest_of_their_time():
    made = Drift(**SMALL)
    events = made.read().events
    user, item = events["user"].to_numpy(), events["item"].to_numpy()
    time = events["time"].cast("int64").to_numpy()
    truth = made.truth()["interests"].to_pandas()
    assert len(truth) == 300
    assert truth.groupby("user")["category"].nunique().eq(2).all()
    hits = np.zeros(len(user), bool)
    for row in truth.itertuples():
        since = -(2**62) if row.since is None or row.since != row.since else row.since.value // 1000
        until = 2**62 if row.until is None or row.until != row.until else row.until.value // 1000
        mine = (user == row.user) & (time >= since) & (time < until)
        hits |= mine & (item % 6 == row.category)
    assert abs(hits.mean() - (0.9 + 0.1 / 6)) < 0.02  # own, and by chance
    assert (np.diff(time)[np.diff(user) == 0] >= 0).all()


def test_together_and_never():
    shared = Drift(**{**SMALL, "together": True, "changes": 3}).truth()["interests"]["since"]
    assert len(set(shared.to_pylist())) == 4
    still = Drift(**{**SMALL, "changes": 0}).truth()["interests"]
    assert len(still) == 150
    assert still["since"].null_count == still["until"].null_count == 150
    with pytest.raises(OptionError, match="another to change to"):
        Drift(categories=1)


def test_who_forgets_wins_after_the_change_and_not_without():
    def gap(changes: int) -> float:
        reading = Drift(**{**SMALL, "together": True, "changes": changes}).read()
        log = Log.open(reading.events, items=reading.items)
        cut = log.split("temporal", valid=0.05, test=0.3)
        # without an item among its own neighbours: with it, what people come back to tells nearly everything
        one, other = (
            evaluate(system("item_knn_decay", decay=d, often=False).fit(cut.train), cut, which="first", bootstrap=50)
            for d in (0.9, 1.0)
        )
        return one.metrics["ndcg@10"] - other.metrics["ndcg@10"]

    assert gap(1) > 0.02 > gap(0)


def test_by_name():
    assert data.truth("drift", users=5, events=(3, 4))["interests"].num_rows == 15
