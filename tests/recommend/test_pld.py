"""PLD notices planted accidents, on both backbones; its plain form is its backbone's step; bad input."""

import numpy as np
import pyarrow as pa
import pytest
from tests.recommend.test_als import tastes

from ethogram.data.planted_noise import planted
from ethogram.errors import OptionError
from ethogram.log import Candidates, Histories, Log
from ethogram.numeric.factors import matrix
from ethogram.numeric.known import Known
from ethogram.numeric.pairnet import Learner
from ethogram.numeric.resampling import Pools
from ethogram.system import load, system

SMALL = {"epochs": 30, "lr": 0.02, "batch": 256, "tau": 0.1, "warm": 5}


@pytest.fixture(scope="module")
def noisy():
    return planted(tastes(users=120, items=80, events=24), noise=0.4, least=6, seed=1)


def wrong(made, built):
    """Which of the trained pairs are accidents."""
    strays = {(r["user"], r["item"]) for r in made.accidents.to_pylist()}
    rows = built.cleanliness().to_pylist()
    return np.array([(r["user"], r["item"]) in strays for r in rows]), rows


@pytest.mark.parametrize("backbone", ["bpr_mf", "lightgcn"])
def test_accidents_are_chosen_less_often(noisy, backbone):
    cut = noisy.log.split("leave-last-out")
    built = system("pld", backbone=system(backbone, factors=8), **SMALL).fit(cut.train, seed=0)
    stray, rows = wrong(noisy, built)
    chance = np.array([r["chance"] for r in rows], float)
    assert 0.2 < stray.mean() < 0.4
    assert chance[stray].mean() < 0.75 * chance[~stray].mean()
    loss = np.array([r["loss"] for r in rows])
    assert loss[stray].mean() > loss[~stray].mean()
    offered = np.array([r["offered"] for r in rows])
    assert offered.sum() == 25 * 5 * len(rows), "every draw offers a pool of five"


def test_a_plain_epoch_is_the_backbones_step_on_uniform_users():
    log = tastes(users=20, items=15, events=6)
    known = Known.of(log)
    pairs = matrix(log.histories(), known)
    options = {"lr": 0.01, "regularisation": 0.1, "batch": 64}
    built = system("pld", backbone=system("bpr_mf", factors=4), how="plain", epochs=1, **options).fit(log, seed=5)
    rng = np.random.default_rng(5)
    network = system("bpr_mf", factors=4).network(pairs, rng)
    pools, learner = Pools(pairs, rng), Learner(network, lr=0.01, penalty=0.1)
    for at in range(0, len(pairs.items), 64):
        learner.step(pools.draw(min(64, len(pairs.items) - at), 1)[0][:, 0])
    np.testing.assert_allclose(built.fitted.model.vectors, network.tables[1], rtol=1e-5)


@pytest.mark.parametrize("how", ["global", "truncated", "reweighted", "plain"])
@pytest.mark.parametrize("loss", ["bpr", "bce"])
def test_every_way_learns_the_tastes(how, loss):
    log = tastes()
    built = system("pld", backbone=system("bpr_mf", factors=6), how=how, loss=loss, **SMALL).fit(log, seed=0)
    best = built.recommend(Histories.of([[500, 504, 510], [501, 505, 511]]), 10, exclude_seen=True)
    kind = np.array(best.column("item").to_pylist()) % 2
    assert kind[:10].mean() < 0.25
    assert kind[10:].mean() > 0.75


def test_reasons_speak_for_the_own_kind():
    built = system("pld", backbone=system("bpr_mf", factors=6), regularisation=0.05, **SMALL).fit(tastes(), seed=0)
    evens = Candidates.of(list(range(508, 540, 2)))
    found = built.explain(Histories.of([[500, 504, 501, 506]]), evens, k=4).to_pylist()
    total = {i: sum(r["share"] for r in found if r["item"] == i) for i in (500, 501, 504, 506)}
    assert min(total, key=total.get) == 501


def test_saved_with_an_unfitted_backbone(tmp_path):
    built = system("pld", backbone=system("lightgcn", factors=6, layers=1), epochs=3).fit(tastes(), seed=0)
    built.save(tmp_path / "model")
    back = load(tmp_path / "model")
    assert back.backbone.layers == 1
    assert back.cleanliness().equals(built.cleanliness())
    asked, every = Histories.of([[500, 503], []]), Candidates.of(list(range(500, 540)))
    assert built.score(asked, every).tobytes() == back.score(asked, every).tobytes()


@pytest.mark.parametrize("options", [{"pool": 0}, {"tau": 0.0}, {"lr": 0.0}, {"warm": -1}, {"drop": 1.0}])
def test_options_outside_their_range(options):
    with pytest.raises(OptionError, match=f"pld: {next(iter(options))}"):
        system("pld", **options).fit(tastes())


def test_a_backbone_that_does_not_learn_from_pairs():
    with pytest.raises(OptionError, match="popularity"):
        system("pld", backbone="popularity")


def test_what_cannot_be_learned_from_and_what_can():
    one = Log.open(pa.table({"user": [1, 2], "item": [5, 5], "time": [1, 1]}))
    with pytest.raises(OptionError, match="everybody took every item"):
        system("pld", epochs=1).fit(one)
    few = Log.open(pa.table({"user": [1, 2, 2], "item": [5, 5, 6], "time": [1, 1, 1]}))
    built = system("pld", epochs=6, warm=1).fit(few)
    found = built.recommend(Histories.of([[5], [99], []], users=[1, 77, None]), 3, exclude_seen=False)
    assert found.column("status").to_pylist() == ["hot", "hot", "warm", "warm", "cold", "cold"]
    assert built.recommend(Histories.of([[5]]), 3, among=Candidates.of([])).num_rows == 0
