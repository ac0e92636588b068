"""Values of policies that did not write the log, against values that are known."""

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from ethogram.errors import NoSupport, OptionError
from ethogram.evaluate import policy_value
from ethogram.evaluate.logged import Decisions
from ethogram.log import Log

ITEMS = 5


class World:
    """Three kinds of people, five items, known probabilities of everything."""

    def __init__(self, n, seed=0):
        rng = np.random.default_rng(seed)
        self.chance = np.array([[0.1, 0.2, 0.3, 0.4, 0.5], [0.5, 0.1, 0.4, 0.2, 0.3], [0.2, 0.6, 0.1, 0.1, 0.4]])
        self.logging = np.array([[0.5, 0.2, 0.1, 0.1, 0.1], [0.1, 0.5, 0.1, 0.2, 0.1], [0.1, 0.1, 0.6, 0.1, 0.1]])
        self.wanted = np.array([[0.05, 0.05, 0.1, 0.3, 0.5], [0.6, 0.1, 0.1, 0.1, 0.1], [0.1, 0.7, 0.1, 0.05, 0.05]])
        self.kind = rng.integers(0, 3, n)
        cumulated = self.logging[self.kind].cumsum(1)
        self.item = (rng.random(n)[:, None] > cumulated).sum(1).clip(max=ITEMS - 1)
        self.reward = (rng.random(n) < self.chance[self.kind, self.item]).astype(float)
        self.propensity = self.logging[self.kind, self.item]
        self.target = self.wanted[self.kind, self.item]

    @property
    def truth(self):
        return (self.wanted * self.chance).sum(1)[self.kind].mean()

    def model(self, chance):
        """(q of what was chosen, V)."""
        return {"chosen": chance[self.kind, self.item], "expected": (self.wanted * chance).sum(1)[self.kind]}


def covers(found, truth):
    return found.low <= truth <= found.high


def test_by_hand():
    found = policy_value([1, 0, 3], [0.5, 0.25, 0.25], [0.25, 1.0, 0.5], chosen=[1, 1, 2], expected=[2, 2, 1], clip=1.0)
    w, r, q, v = np.array([0.5, 4, 2]), np.array([1, 0, 3.0]), np.array([1, 1, 2]), np.array([2, 2, 1])
    short = np.minimum(w, 1)
    expected = {
        "ips": (w * r).mean(), "snips": (w * r).sum() / w.sum(), "ips clipped": (short * r).mean(),
        "snips clipped": (short * r).sum() / short.sum(), "dm": v.mean(), "dr": (v + w * (r - q)).mean(),
        "dr clipped": (v + short * (r - q)).mean(),
    }  # fmt: skip
    assert {name: value.value for name, value in found.values.items()} == pytest.approx(expected)
    assert found.logged.value == pytest.approx(4 / 3)
    assert found.gains["dr"].value == pytest.approx(expected["dr"] - 4 / 3)
    assert found.overlap.effective == pytest.approx(w.sum() ** 2 / (w**2).sum())
    assert (found.overlap.largest, found.overlap.above) == (4.0, pytest.approx(2 / 3))


def test_estimates_cover_a_known_value():
    world = World(20_000)
    found = policy_value(world.reward, world.propensity, world.target, **world.model(world.chance), clip=20)
    for name in ("ips", "snips", "dr"):
        assert covers(found.values[name], world.truth), (name, found.values[name], world.truth)
        assert found.values[name].value == pytest.approx(world.truth, abs=0.02)
        assert found.gains[name].low > 0
        assert found.gains[name].p < 0.01
    width = {n: v.high - v.low for n, v in found.values.items()}
    assert max(width["dr"], width["snips"]) < 0.9 * width["ips"], "a model and the norm both take variance away"
    assert not found.overlap.warnings()
    assert not covers(found.logged, world.truth)


def test_intervals_cover_as_often_as_they_say():
    hits = {"ips": 0, "snips": 0, "dr": 0}
    for seed in range(150):
        world = World(600, seed)
        found = policy_value(
            world.reward, world.propensity, world.target, **world.model(0.7 * world.chance), resamples=200, seed=seed
        )
        for name in hits:
            hits[name] += covers(found.values[name], world.truth)
    assert all(0.88 <= hit / 150 <= 1 for hit in hits.values()), hits


def test_doubly_robust_is_right_if_either_half_is():
    world = World(20_000, 1)
    wrong = np.random.default_rng(5).random((3, ITEMS))
    untrue = np.full(len(world.reward), 1 / ITEMS)
    true_p, true_q = world.propensity, world.chance
    by_propensity = policy_value(world.reward, true_p, world.target, **world.model(wrong)).values
    assert covers(by_propensity["dr"], world.truth)
    assert abs(by_propensity["dm"].value - world.truth) > 0.05
    by_model = policy_value(world.reward, untrue, world.target, **world.model(true_q)).values
    assert covers(by_model["dr"], world.truth)
    assert abs(by_model["ips"].value - world.truth) > 0.05
    neither = policy_value(world.reward, untrue, world.target, **world.model(wrong))
    assert abs(neither.values["dr"].value - world.truth) > 0.05
    assert any("propensities are wrong" in w for w in neither.overlap.warnings())


def test_decisions_are_resampled_whole():
    world = World(3_000, 2)
    alone = policy_value(world.reward, world.propensity, world.target).values["ips"]
    five = [np.repeat(x, 5) for x in (world.reward, world.propensity, world.target)]
    together = policy_value(*five, units=np.repeat(np.arange(3_000), 5)).values["ips"]
    assert together == pytest.approx(alone)
    asunder = policy_value(*five).values["ips"]
    assert (asunder.high - asunder.low) < 0.6 * (alone.high - alone.low), "copies are no evidence"


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        (([1, 0], [0.5, 0.0], [1, 1]), "propensity of row 1 is not above 0"),
        (([1, 0], [np.nan, 0.5], [1, 1]), "propensity of row 0 is missing"),
        (([1, 0], [0.5, 1.5], [1, 1]), r"propensity of row 1 is above 1 \(1.5"),
        (([np.nan, 0], [0.5, 0.5], [1, 1]), "reward of row 0 is missing"),
        (([1, 0], [0.5, 0.5], [1, -0.1]), "target probability of row 1"),
        (([1, 0], [0.5], [1, 1]), r"got \[2, 1, 2\]"),
        (([], [], []), "1 row or more"),
    ],
)
def test_wrong_numbers_are_named(arrays, said):
    with pytest.raises(OptionError, match=said):
        policy_value(*arrays)
    with pytest.raises(OptionError, match="clip = 0"):
        policy_value([1], [0.5], [0.5], clip=0)
    with pytest.raises(NoSupport, match="none of the logged choices"):
        policy_value([1, 0], [0.5, 0.5], [0, 0])


def logged(world, **more):
    n = len(world.reward)
    table = {
        "user": world.kind, "item": [f"i{i}" for i in world.item], "time": np.arange(n), "label": world.reward,
        "propensity": world.propensity, **more,
    }  # fmt: skip
    return Log.open(pa.table({name: values for name, values in table.items() if values is not None}))


def test_from_a_log_with_a_model_of_its_own():
    world = World(6_000, 3)
    rows = Decisions.of(logged(world))
    assert rows.items.ids.to_pylist() == [f"i{i}" for i in range(ITEMS)]
    order = np.asarray([int(i[1:]) for i in rows.items.decode(rows.item).to_pylist()])
    kind = np.asarray(logged(world).sequences().user)
    policy = world.wanted[kind]
    assert (rows.propensity == np.float32(world.logging)[kind, order]).all()
    found = rows.evaluate(policy)
    for name in ("ips", "snips", "dr"):
        assert covers(found.values[name], world.truth), name
    only = rows.evaluate(policy[np.arange(6_000), order])
    assert set(only.values) == {"ips", "snips", "ips clipped", "snips clipped"}
    assert only.values["ips"] == found.values["ips"]


def test_no_row_is_predicted_by_itself():
    rng = np.random.default_rng(0)
    n = 400
    table = {"user": np.zeros(n), "item": np.arange(n) % 200, "time": np.arange(n), "propensity": np.full(n, 0.005),
             "value": rng.random(n), "slate": np.arange(n) // 2, "position": np.arange(n) % 2}  # fmt: skip
    rows = Decisions.of(Log.open(pa.table(table)))
    assert rows.shape == (2, 200)
    assert np.bincount(rows.decision).tolist() == [2] * 200
    before = rows.rewards(folds=4)
    rows.reward[rows.decision == 7] += 100
    after = rows.rewards(folds=4)
    np.testing.assert_array_equal(before[rows.decision == 7], after[rows.decision == 7])
    assert np.abs(before - after).max() > 1


def test_what_a_log_cannot_tell(tmp_path):
    world = World(500, 4)
    bare = {"propensity": None}
    with pytest.raises(OptionError, match="no propensity"):
        Decisions.of(logged(world, **bare))
    with pytest.raises(OptionError, match="no column 'sales'"):
        Decisions.of(logged(world), "sales")
    rows = Decisions.of(logged(world))
    keep = world.item != 4
    never = Decisions.of(Log.open(pa.table({
        "user": world.kind[keep], "item": [f"i{i}" for i in world.item[keep]], "time": np.arange(keep.sum()),
        "label": world.reward[keep], "propensity": world.propensity[keep],
    }), items=pa.table({"item": [f"i{i}" for i in range(ITEMS)]})))  # fmt: skip
    with pytest.raises(NoSupport, match="not in this log"):
        never.frequencies(rows)
    some = np.zeros((1, rows.shape[1]))
    some[0, 0] = 0.5
    with pytest.raises(OptionError, match="sum to 1"):
        rows.evaluate(some)
    with pytest.raises(OptionError, match="shape"):
        rows.evaluate(np.full((2, 2), 0.5))
    shown = rows.item != 0
    part = Decisions(
        *(x[shown] for x in (rows.item, rows.position, rows.reward, rows.propensity, rows.decision)), rows.items,
        rows.positions,
    )  # fmt: skip
    placed = Decisions.of(logged(world, position=np.arange(500) % 2))
    with pytest.raises(OptionError, match=r"positions \[0.0, 1.0\] in the target's log, \[0.0\] here"):
        rows.frequencies(placed)
    with pytest.raises(NoSupport, match="never shown"):
        part.evaluate(part.uniform())
    assert part.evaluate(part.uniform(), unseen=0.5).overlap.unseen == pytest.approx(1 / ITEMS)


@pytest.fixture
def bandit():
    folder = Path(os.environ.get("ETHOGRAM_DATA", "../shared/data")) / "open-bandit"
    if not folder.exists():
        pytest.skip(f"{folder} is not on this machine; set ETHOGRAM_DATA")
    return [Decisions.of(Log.open(folder / f"{name}-men.csv", user="user_feature_1")) for name in ("random", "bts")]


def test_open_bandit_both_ways(bandit):
    random, thompson = bandit
    assert (random.shape, len(random.reward)) == ((3, 34), 10_000)
    there = random.evaluate(random.frequencies(thompson))
    back = thompson.evaluate(thompson.uniform())
    for found, other in ((there, thompson), (back, random)):
        for name in ("ips", "snips", "dr"):
            assert covers(found.values[name], other.reward.mean()), (name, found.values[name], other.reward.mean())
    assert back.gains["dr"].high < 0, "showing at random earns less than Thompson sampling"
    assert 2_000 < there.overlap.effective < 4_000
    assert back.overlap.effective < 1_000
