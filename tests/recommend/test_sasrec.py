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


def test_scores_are_those_of_the_equations():
    """Two blocks by hand in NumPy, from the saved arrays, on a history with a group of two."""
    rows = {"user": [0, 0, 0, 0], "item": [103, 107, 101, 110], "time": [1, 2, 2, 3]}
    built = system("sasrec", **{**SMALL, "epochs": 2, "dim": 8, "hidden": 12, "length": 3}).fit(chain(), seed=4)
    asked = Log.open(pa.table(rows)).histories()
    got = built.score(asked, Candidates.of([100, 108, 119]))[0]

    a = {k.removeprefix("model."): v.astype(np.float64) for k, v in built.state().arrays.items()}
    ids = np.array([107, 101, 110]) - 100 + 1  # the last three events; row 0 of the table stands for nothing
    group = np.array([0, 0, 1])

    def norm(x, name):
        x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
        return x * a[f"{name}.weight"] + a[f"{name}.bias"]

    def linear(x, name):
        return x @ a[f"{name}.weight"].T + a[f"{name}.bias"]

    x = a["items.weight"][ids] * 8**0.5 + a["encoder.position.weight"][group[-1] - group]
    for b in ("encoder.blocks.0", "encoder.blocks.1"):
        q, k, v = np.split(linear(norm(x, f"{b}.first"), f"{b}.qkv"), 3, axis=1)
        heads = []
        for h in (slice(0, 4), slice(4, 8)):
            score = np.where(group[:, None] >= group, q[:, h] @ k[:, h].T / 4**0.5, -np.inf)
            share = np.exp(score - score.max(1, keepdims=True))
            heads.append(share / share.sum(1, keepdims=True) @ v[:, h])
        x = x + linear(np.concatenate(heads, 1), f"{b}.out")
        up = linear(norm(x, f"{b}.second"), f"{b}.up")
        gelu = 0.5 * up * (1 + np.tanh((2 / np.pi) ** 0.5 * (up + 0.044715 * up**3)))
        x = x + linear(gelu, f"{b}.down")
    state = norm(x, "encoder.norm")[-1]  # the last group has one row
    np.testing.assert_allclose(got, a["items.weight"][[1, 9, 20]] @ state, rtol=1e-4, atol=1e-6)


def test_a_group_is_read_as_one():
    built = system("sasrec", **{**SMALL, "epochs": 3}).fit(chain(), seed=2)
    every = Candidates.of(list(range(100, 120)))

    def scores(item, time):
        return built.score(Log.open(pa.table({"user": [0] * len(item), "item": item, "time": time})).histories(), every)

    one = scores([101, 105, 109, 112], [1, 2, 2, 3])
    np.testing.assert_allclose(scores([101, 109, 105, 112], [1, 2, 2, 3]), one, rtol=1e-5, atol=1e-6)
    assert not np.allclose(scores([101, 105, 109, 112], [1, 2, 3, 4]), one, rtol=1e-3), "time tells"
