"""SASRec learns a planted order, answers strangers, and its scores are those of the equations."""

import numpy as np
import pyarrow as pa
import pytest

from ethogram.errors import OptionError
from ethogram.log import Candidates, Histories, Log
from ethogram.system import load, system

torch = pytest.importorskip("torch")
SMALL = {"dim": 16, "hidden": 16, "length": 10, "batch": 256, "epochs": 40, "lr": 1e-2, "dropout": 0.0}


def chain(users=60, steps=12, items=20, seed=0):
    """Item i is followed by i + 1, always."""
    rng = np.random.default_rng(seed)
    start = rng.integers(0, items, users)
    user = np.repeat(np.arange(users), steps)
    order = np.tile(np.arange(steps), users)
    return Log.open(pa.table({"user": user, "item": (start[user] + order) % items + 100, "time": order}))


@pytest.mark.parametrize("loss", ["softmax", "sampled"])
def test_learns_what_follows(loss):
    log = chain()
    split = log.split("leave-last-out")
    built = system("sasrec", loss=loss, negatives=64, **SMALL).fit(split.train, seed=1)
    asked = Histories.of([[101, 102], [110, 111, 112], [119]])
    best = built.recommend(asked, k=1)
    assert best.column("item").to_pylist() == [103, 113, 100]


def test_unknown_items_and_empty_histories():
    built = system("sasrec", **{**SMALL, "epochs": 2}).fit(chain())
    candidates = Candidates.of([100, 999, 105])
    scores = built.score(Histories.of([[101], [], [999]]), candidates)
    assert np.isfinite(scores).all()
    assert (scores.argmin(1) == 1).all(), "an item that training never met stands last"
    np.testing.assert_array_equal(scores[1], scores[2], err_msg="unknown items tell nothing")
    ragged = Candidates.of([[100, 999], [105], [100, 105, 999]])
    flat = built.score(Histories.of([[101], [], [999]]), ragged)
    assert flat[0] == pytest.approx(scores[0, 0])
    assert len(flat) == 6


def test_saved_and_loaded_scores_have_equal_bytes(tmp_path):
    built = system("sasrec", **{**SMALL, "epochs": 2}).fit(chain(), seed=5)
    built.save(tmp_path / "model")
    asked, every = chain(seed=9).histories(), Candidates.of(list(range(100, 120)))
    assert built.score(asked, every).tobytes() == load(tmp_path / "model").score(asked, every).tobytes()


def test_bad_options_are_told():
    with pytest.raises(OptionError, match="heads"):
        system("sasrec", dim=10, heads=4).fit(chain())
    with pytest.raises(OptionError, match="Did you mean 'length'"):
        system("sasrec", lenght=3)
