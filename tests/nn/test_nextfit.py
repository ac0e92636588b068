"""Fitting next-item networks: what is sampled, sparse and dense steps, and a training that was killed."""

import numpy as np
import pyarrow as pa
import pytest
import torch

from ethogram.errors import OptionError
from ethogram.log import Log
from ethogram.nn.nextfit import proposal
from ethogram.nn.train import checkpoints
from ethogram.system import system


def world(users=30, steps=9, items=12, seed=0):
    rng = np.random.default_rng(seed)
    start, order = np.repeat(rng.integers(0, items, users), steps), np.tile(np.arange(steps), users)
    return Log.open(
        pa.table({"user": np.repeat(np.arange(users), steps), "item": (start + order) % items, "time": order})
    )


SMALL = {"dim": 8, "length": 6, "batch": 64, "epochs": 4, "dropout": 0.3, "lr": 1e-2}


def test_samples_are_drawn_by_count_to_three_quarters():
    counts = np.array([1, 16, 81])
    np.testing.assert_allclose(proposal(counts, "popularity"), np.array([1, 8, 27]) / 36)
    np.testing.assert_allclose(proposal(counts, "mixture"), np.array([1, 8, 27]) / 72 + 1 / 6)
    with pytest.raises(OptionError, match="no item"):
        proposal(np.zeros(0), "popularity")


class Killed(Exception):
    pass


@pytest.mark.parametrize(
    ("key", "loss", "where"),
    [("sasrec", "softmax", (3, 1)), ("sasrec", "sampled", (1, 2)), ("gru4rec", "softmax", (2, 2))],
)
def test_a_killed_training_resumes_to_the_same_bytes(tmp_path, key, loss, where):
    cut = world().split("leave-last-out")

    def fit(folder, watch=None):
        with checkpoints(tmp_path / folder, "this run"):
            return system(key, loss=loss, negatives=16, **SMALL).fit(cut.train, cut.valid, seed=3, watch=watch).fitted

    def watch(fact):
        if (fact["epoch"], fact["step"]) == where:
            raise Killed

    with pytest.raises(Killed):
        fit("killed", watch)
    resumed, whole = fit("killed"), fit("whole")
    assert resumed.trained == whole.trained
    for mine, theirs in zip(resumed.state().arrays.values(), whole.state().arrays.values(), strict=True):
        assert mine.tobytes() == theirs.tobytes()


def test_another_run_does_not_go_on_from_a_checkpoint(tmp_path):
    log = world(users=8)

    def fit(identity, seed):
        with checkpoints(tmp_path / "c", identity):
            found = system("gru4rec", **SMALL).fit(log, seed=seed).fitted
        return found.state().arrays["model.items.weight"].tobytes()

    assert fit("one", 1) == fit("one", 2) != fit("two", 2)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("key", ["sasrec", "gru4rec"])
def test_both_precisions_learn_the_same_rule(key, precision):
    built = system(key, **{**SMALL, "dim": 16, "epochs": 30, "dropout": 0.0}, precision=precision).fit(world(), seed=1)
    assert built.fitted.trained.curve[-1]["loss"] < 0.5, "what follows is certain: the loss goes to 0 from 2.5"
    assert all(p.dtype == torch.float32 for p in built.fitted.model.network.parameters())
