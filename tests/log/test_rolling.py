"""Sliding windows and streams: what each fit may see, and what is asked."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from tests.log.random_events import events

from ethogram.cli import main
from ethogram.errors import OptionError, StepError
from ethogram.evaluate import run
from ethogram.log import Log


@pytest.fixture(scope="module")
def log() -> Log:
    return Log.open(events(2, n=900, times=400))


def times(part: Log) -> np.ndarray:
    return np.asarray(part.sequences().columns["time"])


def test_windows_follow_each_other_and_hold_their_share(log):
    cut = log.split("sliding", windows=4, test=0.1, valid=0.1)
    assert [p.protocol for p in cut.parts] == ["sliding"] * 4
    ends = []
    for part in cut.parts:
        train, valid, test = times(part.train), times(part.valid), times(part.test)
        assert train.max() < valid.min() <= valid.max() < test.min()
        assert abs(len(test) - 90) < 12
        assert abs(len(valid) - 90) < 12
        ends.append((test.min(), test.max()))
    assert all(a[1] < b[0] for a, b in pairwise(ends))
    assert ends[-1][1] == times(log).max()
    assert len(times(cut.parts[0].train)) < len(times(cut.parts[3].train))  # grows
    moving = log.split("sliding", windows=4, test=0.1, valid=0.1, train=0.3)
    sizes = [len(times(p.train)) for p in moving.parts]
    assert max(sizes) - min(sizes) < 25  # moves along


def test_a_stream_reveals_block_after_block(log):
    cut = log.split("stream", windows=5, test=0.08)
    seen = times(cut.parts[0].train)
    for part in cut.parts:
        assert not len(times(part.valid))
        assert np.array_equal(np.sort(times(part.train)), np.sort(seen))
        seen = np.concatenate([seen, times(part.test)])
    assert len(seen) == 900


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"windows": 9, "test": 0.1, "valid": 0.1}, "leave nothing to train on"),
        ({"windows": 0}, "leave nothing"),
        ({"train": 1.5}, "train=1.5 is not a share"),
    ],
)
def test_wrong_shares(log, options, said):
    with pytest.raises(OptionError, match=said):
        log.split("sliding", **options)


def test_what_has_no_blocks():
    with pytest.raises(StepError, match="no time"):
        Log.open({"user": [1, 1], "item": [1, 2], "order": [1, 2]}).split("stream")
    with pytest.raises(StepError, match="too many events have equal times"):
        Log.open({"user": [1] * 40, "item": [1] * 40, "time": [5] * 39 + [6]}).split("stream")


class Spy:
    """Counts what it is given; says the popularity of what it has seen."""

    def __init__(self, updates: bool):
        self.seen, self.fits, self.updates = [], 0, 0
        if updates:
            self.update = self._update

    def fit(self, train, valid=None, *, seed=0, watch=None):
        self.fits += 1
        self.seen = [len(train.sequences())]
        return self

    def _update(self, log):
        self.updates += 1
        self.seen.append(len(log.sequences()))

    def score(self, histories, candidates, context=None):
        n = len(histories)
        return np.tile(-np.arange(len(candidates.items), dtype=np.float64), (n, 1))


def test_evaluation_in_the_order_of_time(log):
    cut = log.split("stream", windows=3, test=0.1)
    spy = Spy(updates=True)
    record = run(spy, cut)
    assert (spy.fits, spy.updates) == (1, 2)
    assert spy.seen == [len(times(p)) for p in (cut.parts[0].train, cut.parts[0].test, cut.parts[1].test)]
    asked = sum(len(p.test.questions("next", which="every")) for p in cut.parts)
    assert record.facts["questions"] == asked == record.vectors.num_rows
    assert record.facts["blocks"] == 3
    blocks = record.vectors["block"].to_numpy()
    ndcg = record.vectors["ndcg@10"].to_numpy()
    assert record.metrics["ndcg@10"] == pytest.approx(ndcg.mean())
    for b in (1, 2, 3):
        assert record.metrics[f"ndcg@10/block {b}"] == pytest.approx(ndcg[blocks == b].mean())
    low, high = record.intervals["ndcg@10"]
    assert low < record.metrics["ndcg@10"] < high
    users = record.vectors["user"].to_pylist()
    units = record.vectors["unit"].to_pylist()
    assert len(set(zip(users, units, strict=True))) == len(set(users)) == record.facts["users"]
    again = Spy(updates=False)
    assert run(again, log, "sliding", split={"windows": 3}).facts["blocks"] == again.fits == 3
    with pytest.raises(OptionError, match="part is fixed"):
        run(again, log, "stream", part="valid")


def test_the_command(tmp_path, capsys, log):
    log.write(tmp_path / "log")
    asked = ["evaluate", "popularity", "--data", str(tmp_path / "log"), "--windows", "2"]
    assert main([*asked, "--protocol", "stream", "--set", "remember=true"]) == 0
    assert "ndcg@10/block 2" in capsys.readouterr().out
    assert main([*asked, "--protocol", "temporal"]) == 2
