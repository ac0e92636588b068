"""Slates in the order of time: what a block may know, and how its answers are judged."""

from __future__ import annotations

from functools import cache

import numpy as np
import pyarrow as pa
import pytest

from ethogram.errors import OptionError, StepError
from ethogram.evaluate import classification, run
from ethogram.log import Log

HOUR = 3_600_000_000
START = 1_700_000_000


@cache
def log() -> Log:
    """An impression each half hour to one of 12 people, every one both question and behaviour, with a weight."""
    rng = np.random.default_rng(0)
    rows = [
        (f"u{rng.integers(12)}", int(rng.integers(9)), START + 1_800 * i, float(rng.random() < 0.4), 1.0 + i % 3)
        for i in range(400)
    ]
    names = ("user", "item", "time", "label", "weight")
    return Log.open(pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))))


def times(part: Log) -> np.ndarray:
    return np.asarray(part.sequences().columns["time"])


class Spy:
    """Scores by item; notes what it was shown."""

    def __init__(self, *, updates: bool = True) -> None:
        self.fits: list[tuple[int, bool]] = []
        self.revealed: list[Log] = []
        self.known: list[tuple[int, int]] = []
        if updates:
            self.update = self.revealed.append

    def fit(self, train, valid=None, *, seed=0, watch=None):
        self.fits.append((len(train.sequences()), valid is not None))
        return self

    def score(self, histories, candidates, context=None):
        label = np.asarray(histories.columns["label"])
        time = np.asarray(histories.columns["time"])
        self.known.append((int(time[~np.isnan(label)].max(initial=0)), int(histories.time.min())))
        return candidates.shape(0.1 + 0.08 * candidates.items, len(histories))


def test_a_block_is_judged_by_what_is_older_than_the_window():
    cut = log().split("stream", windows=4, test=0.1, attribution="6h")
    spy = Spy()
    record = run(spy, cut, task="slates", bootstrap=20)
    assert spy.fits == [(len(times(cut.parts[0].train)), False)]
    starts = [times(p.test).min() for p in cut.parts]
    assert times(cut.parts[0].train).max() < starts[0] - 6 * HOUR <= times(spy.revealed[0]).min()
    assert len(spy.revealed) == 3
    for reveal, start in zip(spy.revealed, starts[1:], strict=True):
        assert start - 7 * HOUR < times(reveal).max() < start - 6 * HOUR
    told = [set(times(r)) for r in spy.revealed]
    assert not told[0] & told[1], "no answer twice"
    for last, first in spy.known:
        assert last < first - 6 * HOUR, "an answer younger than the window stood in a history"
    plain = Spy()
    assert run(plain, log().split("stream", windows=4, test=0.1), task="slates", bootstrap=20).key != record.key
    assert all(last >= first - HOUR for last, first in plain.known)


def test_all_blocks_are_judged_together_and_each_alone():
    cut = log().split("stream", windows=3, test=0.1, valid=0.1)
    spy = Spy(updates=False)
    record = run(spy, cut, task="slates", bootstrap=50)
    assert [held for _, held in spy.fits] == [True] * 3, "a system without update is fitted anew"
    asked = [p.test.questions("slates") for p in cut.parts]
    label, weight = (np.concatenate([getattr(q, n) for q in asked]) for n in ("label", "weight"))
    score = np.concatenate([0.1 + 0.08 * q.candidates.items for q in asked])
    assert record.metrics["auc"] == pytest.approx(classification.auc(label, score, weight))
    assert record.metrics["logloss"] == pytest.approx(classification.logloss(label, score, weight))
    for number, q in enumerate(asked):
        own = 0.1 + 0.08 * q.candidates.items
        found = {n: record.metrics[f"{n}/block {number + 1}"] for n in ("auc", "logloss", "ece")}
        assert found["auc"] == pytest.approx(classification.auc(q.label, own, q.weight))
        assert found["ece"] == pytest.approx(classification.ece(q.label, own, q.weight))
    low, high = record.intervals["auc"]
    assert low < record.metrics["auc"] < high
    assert record.facts["users"] == 12
    assert record.vectors["block"].to_pylist() == np.repeat([1, 2, 3], [len(q) for q in asked]).tolist()
    # users with one kind of answer have no AUC; the others weigh by their exposures
    users = np.concatenate([np.asarray(q.histories.users) for q in asked])
    value = classification.group_auc(label, score, weight, groups=users).value
    assert record.metrics["user_auc"] == pytest.approx(value)


def test_what_cannot_be_cut_is_refused():
    with pytest.raises(OptionError, match="attribution= is for a stream"):
        log().split("sliding", attribution="6h")
    with pytest.raises(StepError, match="nothing is older than the attribution window of 300h"):
        log().split("stream", windows=4, test=0.1, attribution="300h")
    few = log().where("time < '2023-11-20'")
    rows = few.table().to_pandas()
    rows.loc[rows.index[-40:], "label"] = np.nan
    late = rows["time"] >= rows["time"].quantile(0.9)
    rows.loc[late, "label"] = np.nan
    with pytest.raises(StepError, match="block 2 of 2 holds no label"):
        run(Spy(), Log.open(rows).split("stream", windows=2, test=0.1), task="slates", bootstrap=20)
