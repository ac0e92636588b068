"""GRU4Rec learns a planted order that only memory can tell, and folds strangers in from their history."""

import numpy as np
import pyarrow as pa
import pytest

from ethogram.errors import OptionError
from ethogram.log import Candidates, Histories, Log
from ethogram.system import load, system

torch = pytest.importorskip("torch")
SMALL = {"dim": 16, "hidden": 32, "length": 10, "batch": 256, "lr": 1e-2, "dropout": 0.0}


def remembered(users=80, steps=12, items=8, seed=0):
    """Steps of one or of two, per user: what follows an item is told by the item before it."""
    rng = np.random.default_rng(seed)
    start, step = rng.integers(0, items, users), rng.integers(1, 3, users)
    order = np.tile(np.arange(steps), users)
    item = (np.repeat(start, steps) + order * np.repeat(step, steps)) % items + 100
    return Log.open(pa.table({"user": np.repeat(np.arange(users), steps), "item": item, "time": order}))


@pytest.mark.parametrize("loss", ["softmax", "sampled"])
def test_learns_what_follows_from_memory(loss):
    built = system("gru4rec", loss=loss, negatives=64, epochs=25, **SMALL).fit(remembered(), seed=1)
    asked = Histories.of([[101, 102], [100, 102], [106, 107], [105, 107]])  # strangers
    best = built.recommend(asked, k=1, exclude_seen=False)
    assert best.column("item").to_pylist() == [103, 104, 100, 101]


def test_one_at_a_time_equals_all_at_once():
    log = remembered(users=30)
    built = system("gru4rec", epochs=2, **SMALL).fit(log, seed=2)
    asked, every = log.histories(), Candidates.of(list(range(100, 108)))
    whole = built.score(asked, every)
    alone = np.concatenate([built.score(asked[np.array([i])], every) for i in range(len(asked))])
    np.testing.assert_allclose(alone, whole, rtol=1e-5, atol=1e-6)


def test_saved_and_loaded_scores_have_equal_bytes(tmp_path):
    built = system("gru4rec", epochs=2, layers=2, **SMALL).fit(remembered(users=20), seed=5)
    built.save(tmp_path / "model")
    asked, every = remembered(seed=9).histories(), Candidates.of(list(range(100, 108)))
    assert built.score(asked, every).tobytes() == load(tmp_path / "model").score(asked, every).tobytes()


@pytest.mark.parametrize(("given", "said"), [({"layers": 0}, "layers = 0"), ({"dropout": 1.0}, "dropout"),
                                             ({"lr": 0.0}, "lr"), ({"length": 0}, "length")])  # fmt: skip
def test_bad_options_are_told(given, said):
    with pytest.raises(OptionError, match=said):
        system("gru4rec", **given).fit(remembered(users=3))


def test_a_log_without_a_next_event_is_told():
    log = Log.open(pa.table({"user": [1, 2], "item": [1, 2], "time": [1, 2]}))
    with pytest.raises(OptionError, match="nothing to learn"):
        system("gru4rec", **SMALL).fit(log)
