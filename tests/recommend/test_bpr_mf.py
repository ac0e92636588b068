"""BPR-MF learns planted tastes with both optimisers, stops by validation, and folds in whom it does not know."""

import numpy as np
import pytest
from tests.recommend.test_als import tastes

from ethogram.errors import OptionError
from ethogram.log import Candidates, Histories
from ethogram.system import load, system

SMALL = {"factors": 8, "epochs": 30}
HOW = {"sgd": {"optimiser": "sgd", "lr": 0.1}, "adam": {"optimiser": "adam", "lr": 0.02, "batch": 128}}


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
@pytest.mark.parametrize("fold_in", ["strangers", "always"])
def test_finds_the_tastes(optimiser, fold_in):
    log = tastes()
    built = system("bpr_mf", **SMALL, **HOW[optimiser], fold_in=fold_in).fit(log, seed=1)
    losses = [row["loss"] for row in built.fitted.course.curve]
    assert losses[-1] < 0.6 * losses[0]
    histories = log.histories()
    scores = built.score(histories, Candidates.of(list(range(500, 540))))
    own = np.stack([row.reshape(-1, 2).mean(0) for row in scores])
    user = np.array(histories.vocabularies["user"].decode(histories.users).to_pylist())
    assert (own.argmax(1) == user % 2).mean() > 0.95
    lists = [[500, 504, 510], [501, 505, 511]]
    kind = np.array(built.recommend(Histories.of(lists), 10, exclude_seen=True).column("item").to_pylist()) % 2
    assert kind[:10].mean() < 0.2
    assert kind[10:].mean() > 0.8


def test_validation_decides_when_to_stop():
    split = tastes(events=30).split("leave-last-out")
    built = system("bpr_mf", factors=8, lr=0.2, epochs=200, patience=3).fit(split.train, split.valid)
    course = built.fitted.course
    assert course.stopped == "patience"
    assert course.epoch == course.best_epoch + 3
    values = [row["valid"] for row in course.curve]
    assert max(values) == course.best == values[course.best_epoch - 1]
    again = system("bpr_mf", factors=8, lr=0.2, epochs=course.best_epoch).fit(split.train)
    assert np.array_equal(again.fitted.model.users, built.fitted.model.users), "the best epoch's vectors are kept"


def test_saved_and_loaded(tmp_path):
    built = system("bpr_mf", **SMALL).fit(tastes(), seed=2)
    built.save(tmp_path / "model")
    asked, every = Histories.of([[500, 503], []]), Candidates.of(list(range(500, 540)))
    back = load(tmp_path / "model")
    assert built.score(asked, every).tobytes() == back.score(asked, every).tobytes()
    assert back.fitted.course == built.fitted.course


@pytest.mark.parametrize("options", [{"factors": 0}, {"lr": 0.0}, {"batch": 0}, {"regularisation": -1.0}])
def test_options_outside_their_range(options):
    with pytest.raises(OptionError, match=f"bpr_mf: {next(iter(options))}"):
        system("bpr_mf", **options).fit(tastes())
