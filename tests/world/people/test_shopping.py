"""Fitted households in a world: the same as a run without it, advised by fitted systems, and the loop closed."""

import numpy as np
import pyarrow as pa
import pytest
from tests.world.people.conftest import LEVELS

from ethogram import system
from ethogram.errors import OptionError
from ethogram.evaluate import bootstrap as boot
from ethogram.log import Log
from ethogram.world.people import outcomes as out
from ethogram.world.people.advising import Advice
from ethogram.world.people.loop import NOTHING, close_loop, joined
from ethogram.world.people.purchases import DAY, Purchases
from ethogram.world.people.resampling import resampled, weekly
from ethogram.world.people.shoppers import BUY, SHOW, Shoppers, past_of, shopping, simulated
from ethogram.world.people.validating import crps, validate


class Fixed:
    """Shows everybody the same two items."""

    def slates(self, past, rows, day):
        return np.broadcast_to(np.array([3, 4]), (len(rows), 2))


def test_a_world_without_adviser_is_the_plain_run(people):
    world = shopping(people, seed=5).run(20)
    plain, _ = people.run(20, seed=5)
    table = world.log(kinds=[BUY]).table()
    assert sorted(zip(table["user"].to_pylist(), table["item"].to_pylist(), strict=True)) == sorted(
        zip(plain.user.tolist(), plain.item.tolist(), strict=True)
    )
    assert np.isclose(np.sum(table["value"].to_numpy()), plain.value.sum(), rtol=1e-6)
    other = shopping(people, seed=5, batch=7, workers=2).run(20)
    assert other.fingerprint == world.fingerprint
    log = simulated(world, people)
    assert set(log.table()["user"].to_pylist()) <= set(people.purchases.users.to_pylist())
    first = log.table()["time"].to_numpy().astype("datetime64[us]").astype(np.int64).min()
    assert first >= people.purchases.start + people.now * DAY


def test_a_fork_goes_on_as_the_run_did_and_an_adviser_changes_it(people):
    world = shopping(people, Fixed(), seed=1, response=4.0).run(10)
    fork = world.fork(6)
    assert fork.run(10).fingerprint == world.fingerprint
    shown = world.log(kinds=[SHOW]).table()
    assert set(shown["item"].to_pylist()) == {3, 4}
    assert set(shown["value"].to_pylist()) == {1.0, 2.0}
    none = shopping(people, seed=1).run(10)
    bought = [np.isin(w.log(kinds=[BUY]).table()["item"].to_numpy(), [3, 4]).sum() for w in (none, world)]
    assert bought[1] > 1.5 * bought[0]


def test_a_household_remembers_only_so_much(people):
    world = shopping(people, seed=1, memory=3).run(15)
    past = past_of(people, world.state)
    assert np.bincount(past.row).max() <= 3
    last = world.log(kinds=[BUY]).table().sort_by([("user", "ascending"), ("time", "ascending")])
    user, item = last["user"].to_numpy(), last["item"].to_numpy()
    who = user[0]
    assert set(past.item[past.row == who]) <= set(item[user == who].tolist())


@pytest.mark.parametrize("key", ["personal_frequency", "popularity"])
def test_a_system_advises_by_real_and_simulated_past(people, shop_log, key):
    fitted = system(key).fit(shop_log, seed=0)
    advice = Advice(fitted, people.purchases, k=4)
    past = people.tastes.past(np.arange(len(people)))
    rows, day = np.array([2, 0, 7]), people.now + 1
    new = int(np.setdiff1d(np.arange(people.purchases.catalogue), people.purchases.item[people.purchases.user == 0])[0])
    past.add(np.array([0]), np.array([new]), people.now)
    histories = advice.histories(past, rows, day)
    real = people.purchases
    of_two = histories.item[histories.start[0] : histories.stop[0]]
    assert of_two.tolist() == real.item[real.user == 2].tolist()
    assert histories.item[histories.stop[1] - 1] == new
    slates = advice.slates(past, rows, day)
    assert slates.shape == (3, 4)
    assert len(set(slates[0].tolist())) == 4
    if key == "popularity":
        count = np.bincount(real.item)
        assert count[slates[0]].min() >= np.sort(count)[-8]
    else:
        mine = np.bincount(real.item[real.user == 2], minlength=real.catalogue)
        assert mine[slates[0]].min() > 0


class Scorer:
    """Scores by the code of the item, and recommends nothing."""

    def score(self, histories, candidates, context=None):
        return candidates.items.astype(float)


def test_a_system_that_only_scores_ranks_popular_and_own_items(people):
    past = people.tastes.past(np.arange(len(people)))
    made = Advice(Scorer(), people.purchases, k=3).slates(past, np.array([0, 1]), people.now)
    n = people.purchases.catalogue
    assert made.tolist() == [[n - 1, n - 2, n - 3]] * 2
    fresh = Advice(Scorer(), people.purchases, k=3, exclude_seen=True).slates(past, np.array([0, 1]), people.now)
    assert not past.taken(np.repeat([0, 1], 3), fresh.ravel()).any()


def test_what_cannot_be_simulated(people):
    with pytest.raises(OptionError, match=r"response = 0\.5"):
        Shoppers(people, response=0.5)
    with pytest.raises(OptionError, match="displacement = 2"):
        Shoppers(people, displacement=2)
    with pytest.raises(OptionError, match="household 99"):
        shopping(people, who=[99])
    with pytest.raises(OptionError, match="memory = 0"):
        shopping(people, memory=0)
    with pytest.raises(OptionError, match="neither recommends nor scores"):
        Advice(object(), people.purchases)
    with pytest.raises(OptionError, match="k = 0"):
        Advice(Scorer(), people.purchases, k=0)


def test_resampled_weeks_are_own_weeks(people):
    p = people.purchases
    p = p.between(0, p.days // 7 * 7)
    made = resampled(p, 2, 4, 50, 0)
    history = weekly(p, p.households, p.days - 28, 4, np.zeros(len(p), bool))
    for u in (0, 7):
        assert set(np.unique(made.items[:, u])) <= set(history.items[u])
    assert made.fresh.sum() == 0
    assert abs(made.value.mean() / history.value.mean() - 1) < 0.1
    assert np.allclose(history.group.sum(-1), history.items)


def test_crps_against_its_integral():
    rng = np.random.default_rng(0)
    runs, truth = rng.normal(size=(6, 3)), rng.normal(size=3)
    grid = np.linspace(-6, 6, 60_001)
    step = grid[1] - grid[0]
    for j in range(3):
        below = (runs[:, j, None] <= grid).mean(0)
        whole = ((below - (truth[j] <= grid)) ** 2).sum() * step
        # without bias: the mean distance between runs counts M / (M - 1) times
        spread = np.abs(runs[:, j, None] - runs[None, :, j]).sum() / 36
        assert np.isclose(crps(runs, truth)[j], whole - spread / 2 * (6 / 5 - 1), atol=1e-3)


def test_validation_prefers_the_truth_and_refuses_short_logs(shop_log, people):
    found = validate(shop_log, days=28, copies=5, levels=LEVELS, neighbours=0)
    by = {r["what"]: r for r in found.rows}
    assert by["items taken"]["verdict"] == "better"  # tastes for kinds are in this shop
    assert by["new items"]["verdict"] == "better"
    assert by["items taken"]["fitted households"] < by["items taken"]["personal frequency"]
    assert by["items a week"]["verdict"] != "worse"
    truth, fitted = found.facts["totals"]["truth"], found.facts["totals"]["fitted households"]
    assert abs(fitted["items"] / truth["items"] - 1) < 0.15
    assert abs(fitted["repeat share"] - truth["repeat share"]) < 0.03
    with pytest.raises(OptionError, match="whole weeks"):
        validate(shop_log, days=30, levels=LEVELS)
    with pytest.raises(OptionError, match="fitted on 168 days, and 140"):
        validate(shop_log, days=28, levels=LEVELS, fitted=people)
    with pytest.raises(OptionError, match="copies = 1"):
        validate(shop_log, days=28, copies=1, levels=LEVELS)


def test_outcomes_are_counted(people):
    world = shopping(people, Fixed(), seed=3, response=3.0).run(12)
    sums, facts = out.outcomes(world, people)
    table = world.log(kinds=[BUY]).table()
    rows, item = table["user"].to_numpy(), table["item"].to_numpy()
    mine = item[rows == rows[0]]
    past = people.purchases.item[people.purchases.user == rows[0]]
    assert sums["purchases"][0][rows[0]] == len(mine)
    assert sums["new items"][0][rows[0]] == len(set(mine.tolist()) - set(past.tolist()))
    group = people.purchases.groups["kind_of"]
    share = np.unique(group[mine], return_counts=True)[1] / len(mine)
    assert np.isclose(sums["category entropy"][0][rows[0]], -(share * np.log(share)).sum())
    assert facts["items shown"] == 2
    trips = {(u, t) for u, t in zip(rows.tolist(), table["time"].to_pylist(), strict=True)}
    both = {(u, t, i) for u, t, i in zip(rows.tolist(), table["time"].to_pylist(), item.tolist(), strict=True)}
    hits = np.mean([(u, t, i) in both for u, t in trips for i in (3, 4)])
    assert np.isclose(facts["bought of shown"], hits)


def test_effects_are_paired():
    rng = np.random.default_rng(0)
    one = np.ones(200)
    base = rng.normal(10, 5, 200)
    runs = [dict.fromkeys(out.OUTCOMES, (base + s, one)) for s in (0.0, 0.1)]
    more = [dict.fromkeys(out.OUTCOMES, (base + s + 0.2, one)) for s in (0.0, 0.1)]
    rows = out.effects({"none": runs, "all": more}, "none")
    effect = next(r for r in rows if r["arm"] == "all")
    assert np.isclose(effect["difference"], 0.2)
    assert effect["difference_high"] - effect["difference_low"] < 1e-9  # the same gain for everybody, whatever is drawn
    alone = next(r for r in rows if r["arm"] == "none")
    assert alone["high"] - alone["low"] > 1  # one arm by itself is far less sure
    assert boot.RESAMPLES > 100


def test_the_loop(shop_log):
    fits = {"frequent": lambda log: system("personal_frequency").fit(log, seed=0)}
    found = close_loop(
        shop_log, fits, days=14, held=28, levels=LEVELS, seeds=2, copies=3, k=5, response=3.0, sensitivity=[(1.5, 1.0)]
    )
    gain = next(r for r in found.effects if r["arm"] == "frequent" and r["outcome"] == "purchases")
    assert gain["difference_low"] > 0  # half of what is bought for being shown comes on top
    assert [r["trained on"] for r in found.retrained] == ["real past", "and simulated days", "and real days"]
    assert all(0 < r["value"] < 1 for r in found.retrained)
    same = next(r for r in found.sensitivity if r["outcome"] == "purchases")
    assert abs(same["change"]) < 0.02  # all of it in place of something else
    assert found.check is not None
    none = next(r for r in found.effects if r["arm"] == NOTHING)
    assert "difference" not in none
    for wrong, said in (({"days": 28}, "days = 28"), ({"seeds": 0}, "seeds = 0"), ({"held": 63}, "fewer than 112")):
        with pytest.raises(OptionError, match=said):
            close_loop(shop_log, fits, **{"days": 14, "held": 28, **wrong})
    with pytest.raises(OptionError, match="one recommender"):
        close_loop(shop_log, {})


def test_two_logs_are_one(shop_log, people):
    world = shopping(people, seed=1).run(5)
    more = simulated(world, people)
    whole = joined(shop_log, more)
    assert len(whole.table()) == len(shop_log.table()) + len(more.table())
    assert Purchases.of(whole, LEVELS).groups["kind_of"].max() == 6
    table = shop_log.table().select(["user", "item", "time", "value"])
    label = pa.array([None, 1.0] + [None] * (len(table) - 2), pa.float32())
    shown = Log.open(table.append_column("label", label))
    assert len(joined(shown, more).table()) == len(whole.table()) - 1
