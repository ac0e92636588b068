"""Households fitted on a log: each part against values worked out otherwise."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from ethogram.errors import OptionError, StepError
from ethogram.log import Log
from ethogram.world.draws import Draws
from ethogram.world.people.components import alike
from ethogram.world.people.households import Households
from ethogram.world.people.past import Past, Record
from ethogram.world.people.purchases import Purchases
from ethogram.world.people.sizes import EDGES, Sizes, _chances
from ethogram.world.people.tastes import weights
from ethogram.world.people.visits import Visits

DAY = 86_400_000_000
LEVELS = ("half", "kind_of")


def clock(micros):
    return pa.array(micros, pa.timestamp("us", "UTC"))


def bought(rows, users=3, items=5, days=60):
    """Purchases from (user, day, item) rows."""
    user, day, item = (np.array(c, np.int64) for c in zip(*sorted(rows), strict=True))
    log = Log.open(pa.table({"user": [0], "item": list(range(1)), "time": clock([0])}))
    whole = Purchases.of(log)
    ids = Log.open(pa.table({"user": list(range(items)), "item": list(range(items)), "time": clock([0] * items)}))
    return replace(
        whole, user=user, day=day, item=item, value=np.ones(len(user)), users=pa.array(range(users)),
        items=ids.vocabulary("item"), days=days,
    )  # fmt: skip


def test_a_day_is_a_trip_and_equal_items_are_one_row():
    time = [5, 6, 7, DAY + 1, 2 * DAY]
    log = Log.open(
        pa.table(
            {
                "user": ["b", "b", "a", "b", "a"],
                "item": [7, 7, 7, 8, 9],
                "time": clock(time),
                "value": [1.0, 2, 3, 4, 5],
            }
        ),
        items=pa.table({"item": [9, 7], "shelf": ["x", "y"]}),
    )
    p = Purchases.of(log, ["shelf"])
    assert (p.users.to_pylist(), p.days, p.households, p.catalogue) == (["a", "b"], 3, 2, 3)
    assert p.user.tolist() == [0, 0, 1, 1]
    assert p.day.tolist() == [0, 2, 0, 1]
    assert p.value.tolist() == [3, 5, 3, 4]
    assert p.items.decode(p.item).to_pylist() == [7, 9, 7, 8]
    groups = p.groups["shelf"][p.item]
    assert groups[0] == groups[2] != groups[1]
    assert groups[3] == 0  # item 8 has no shelf
    assert p.sizes.tolist() == [1, 1, 1, 1]
    assert len(p.between(1, 3)) == 2


def test_logs_that_cannot_be_read(shop_log):
    with pytest.raises(OptionError, match="unknown column of the items 'shelf'"):
        Purchases.of(shop_log, ["shelf"])
    with pytest.raises(OptionError, match="has no kinds"):
        Purchases.of(shop_log, kind="view")
    with pytest.raises(StepError, match="with times"):
        Purchases.of(Log.open(pa.table({"user": [1], "item": [1], "order": [1]})))
    with pytest.raises(OptionError, match="fitted on 28 days"):
        Households.fit(Log.open(pa.table({"user": [1, 2], "item": [1, 1], "time": clock([0, DAY])})))
    kinds = Log.open(pa.table({"user": [1, 2], "item": [1, 1], "time": clock([0, DAY]), "kind": ["buy", "see"]}))
    assert len(Purchases.of(kinds, kind="buy")) == 1
    with pytest.raises(OptionError, match="Did you mean 'buy'"):
        Purchases.of(kinds, kind="by")


def test_what_was_shown_is_not_what_was_taken():
    rows = {"user": [1, 2, 2], "item": [1, 1, 3], "time": clock([0, DAY, DAY]), "label": [None, None, 0.0]}
    p = Purchases.of(Log.open(pa.table(rows)))
    assert p.items.decode(p.item).to_pylist() == [1, 1]


def test_trips_have_their_rate_gap_and_weekday():
    rng = np.random.default_rng(1)
    days, rate = 400, np.repeat([0.05, 0.4], 150)
    weekday = np.array([0.2, 1, 1, 1, 1, 1, 1.8])
    rows = []
    for h in range(300):
        last = -3
        for day in range(days):
            after = 0.3 if day - last < 3 else 1.2
            if rng.random() < -np.expm1(-rate[h] * weekday[day % 7] * after):
                rows.append((h, day, 0))
                last = day
    v = Visits.fit(bought(rows, users=300, days=days), half_life=float("inf"))
    assert abs(v.weekday[0] / v.weekday[3] - 0.2) < 0.06
    assert abs(v.weekday[6] / v.weekday[3] - 1.8) < 0.25
    assert abs(v.gap[1] / v.gap[6] - 0.25) < 0.05
    low, high = v.rate[:150].mean(), v.rate[150:].mean()
    assert 6 < high / low < 10
    # margins are matched: as many trips are expected as there were
    last = np.full(300, -3)
    expected = met = 0.0
    seen = {(h, d) for h, d, _ in rows}
    for day in range(days):
        if day > 100:
            expected += v.chance(np.arange(300), last, day).sum()
            met += sum((h, day) in seen for h in range(300))
        for h in range(300):
            if (h, day) in seen:
                last[h] = day
    assert abs(expected / met - 1) < 0.03


def test_households_that_came_once_have_a_rate():
    with np.errstate(all="raise"):
        v = Visits.fit(bought([(0, 1, 0), (1, 5, 0), (2, 9, 1)]))
    assert np.isfinite(v.rate).all()
    assert (v.chance(np.arange(3), v.last, 60) < 0.05).all()


def test_sizes_are_shrunk_towards_those_of_all():
    user, size = np.array([0, 0, 1]), np.array([1, 1, 6])
    made = _chances(user, np.array([0.0, 10.0, 0.0]), size, 2, 7, 10.0, 2.0)
    # by hand: sizes known are 1: 2.5, 6: 1.5, the others 0.5; bins 1, 2, 3, 4, 5, 6-7
    known = np.array([2.5, 0.5, 0.5, 0.5, 0.5, 1.5, 0.5])
    pi = np.append(known[:5], known[5:].sum()) / known.sum()
    counts = np.array([1 + 0.5, 0, 0, 0, 0, 0])  # the older trip counts half
    share = (counts + 2 * pi) / (1.5 + 2)
    assert np.allclose(made[0], np.append(share[:5], share[5] * np.array([0.75, 0.25])))
    assert np.allclose(made.sum(1), 1)
    assert EDGES[5] == 6
    drawn = Sizes(made).draw(np.zeros(20_000, np.int64), np.random.default_rng(0).random(20_000))
    assert np.allclose(np.bincount(drawn, minlength=8)[1:] / 20_000, made[0], atol=0.015)


def test_the_past_weighs_by_age_and_grows():
    p = bought([(0, 10, 1), (0, 17, 2), (0, 17, 1), (2, 3, 4)], days=24)
    record = Record(p, (7.0, float("inf")))
    # item 1 is in both of two trips, 2 in one: drawn -log(1 - s) / s times each, s = c / 3
    one, two = -np.log(1 - 2 / 3) / (2 / 3), -np.log(1 - 1 / 3) / (1 / 3)
    w1, w2 = one * (2**-2 + 2**-1), two * 2**-1
    who = np.array([0, 0, 0, 1, 2])
    items = np.array([1, 2, 3, 1, 4])
    assert np.allclose(record.share(0, who, items), [w1 / (w1 + w2), w2 / (w1 + w2), 0, 0, 1])
    assert np.allclose(record.share(1, who, items)[:2], [2 * one / (2 * one + two), two / (2 * one + two)])
    # two rows stand for household 0; one of them takes item 3 on day 24, one half-life after which day 17 lies
    past = Past(record, np.array([0, 0, 1]))
    before = past.copy()
    past.add(np.array([1, 2]), np.array([3, 0]), 24)
    new = w1 + w2 + 1
    assert np.allclose(past.share(0, np.array([0, 1, 1]), np.array([3, 3, 1])), [0, 1 / new, w1 / new])
    assert past.taken(np.array([0, 1, 2, 2]), np.array([3, 3, 0, 1])).tolist() == [False, True, True, False]
    assert not before.taken(np.array([1]), np.array([3]))[0]
    uniform = np.random.default_rng(0).random(20_000)
    drawn = past.draw(0, np.ones(20_000, np.int64), uniform)
    assert np.allclose(np.bincount(drawn, minlength=4)[1:] / 20_000, np.array([w1, w2, 1]) / new, atol=0.015)
    assert (past.draw(0, np.array([2, 2]), np.array([0.1, 0.9])) == 0).all()


def test_households_alike_by_cosine():
    p = bought([(0, 1, 0), (0, 2, 1), (1, 1, 0), (1, 2, 1), (1, 3, 2), (2, 1, 3)])
    near, weight = alike(Record(p), 2)
    assert near[0, np.argmax(weight[0])] == 1
    assert np.allclose(weight[0].sum(), 1)
    assert weight[2].sum() == 0  # nobody shares anything with household 2


def test_weights_of_a_mixture_are_found_again():
    rng = np.random.default_rng(0)
    parts = np.stack([np.r_[np.full(50, 0.019), np.full(50, 0.001)], np.full(100, 0.01)])
    source = rng.random(20_000) < 0.3
    item = np.where(source, rng.choice(100, 20_000, p=parts[0]), rng.integers(0, 100, 20_000))
    found = weights(parts[:, item].T, np.arange(20_000))
    assert abs(found[0] - 0.3) < 0.03
    user = np.arange(20_000) % 2
    mine = weights(parts[:, item].T, np.arange(20_000), user, found, 1e9, 2)
    assert np.allclose(mine, found, atol=1e-3)  # under an endless prior everybody is alike


def test_tastes_are_a_distribution_and_draws_follow_it(people):
    tastes, n = people.tastes, people.purchases.catalogue
    past = tastes.past(np.arange(len(people)))
    every = np.broadcast_to(np.arange(n), (3, n))
    chance = tastes.chance(past, np.array([[0], [5], [9]]), every)
    assert np.allclose(chance.sum(1), 1)
    drawn = tastes.draw(past, np.full(60_000, 5), np.random.default_rng(0).random((60_000, 3)))
    assert np.abs(np.bincount(drawn, minlength=n) / 60_000 - chance[1]).max() < 0.006
    assert np.allclose(tastes.weight.sum(1), 1)


def test_baskets_hold_different_items_whatever_the_batch(people):
    rows, luck = np.arange(len(people)), Draws(4).at(np.arange(len(people)), 3)
    past = people.tastes.past(rows)
    sizes = np.resize([1, 5, 30], len(rows))
    place, item = people.tastes.baskets(past, rows, sizes, luck)
    held = np.bincount(place, minlength=len(rows))
    assert (held[sizes < 30] == sizes[sizes < 30]).all()
    assert held[sizes == 30].min() >= 25  # nobody thinks of 30 of 120 items at once without effort
    assert len(np.unique(place * 1000 + item)) == len(item)
    whole = people.buy(past, rows, luck)
    parts = [people.buy(past, rows[s], luck[s]) for s in (slice(0, 7), slice(7, None))]
    for i, column in enumerate(whole):
        assert np.array_equal(column, np.concatenate([p[i] for p in parts]))


def test_what_is_shown_is_bought_more_and_displaces_its_share(people):
    rows = np.tile(np.arange(len(people)), 50)
    past, luck = people.tastes.past(rows), Draws(1).at(np.arange(len(rows)), 0)
    at = np.arange(len(rows))
    popular = np.argsort(-np.bincount(people.purchases.item))[:6]
    slates = np.broadcast_to(popular, (len(rows), 6))
    none = people.buy(past, at, luck)
    same = people.buy(past, at, luck, slates, response=1.0)
    assert np.array_equal(none.item, same.item)
    assert same.shown.sum() == np.isin(none.item, popular).sum()
    on_top = people.buy(past, at, luck, slates, response=1.5, displacement=0.0)
    instead = people.buy(past, at, luck, slates, response=1.5, displacement=1.0)
    often = [np.isin(b.item, popular).sum() for b in (none, instead, on_top)]
    assert 1.2 < often[1] / often[0] < 1.5
    assert often[1] <= often[2] * 1.02
    # bought on top, the basket grows by what is bought for being shown; instead, it does not
    assert len(on_top.item) - len(none.item) > 0.6 * (often[2] - often[0])
    assert abs(len(instead.item) / len(none.item) - 1) < 0.01
    key = on_top.row * 1000 + on_top.item
    assert len(np.unique(key)) == len(key)
    assert (np.diff(on_top.row) >= 0).all()


def test_what_is_paid_is_what_was_paid(people):
    item = people.purchases.item[:50]
    paid = people.worth(people.purchases.user[:50], item, np.random.default_rng(0).random(50))
    # the price of item i is 1 + i % 7, whoever buys it
    ids = np.array(people.purchases.items.ids.to_pylist())
    assert np.allclose(paid, (1.0 + ids[item] % 7) * people.spends[people.purchases.user[:50]])
    assert np.allclose(people.spends, 1, atol=1e-6)


def test_a_run_goes_on_as_the_real_days_did(people, shop_log):
    made, again = people.run(28, seed=2, copies=4)
    real = people.purchases
    a_day = len(real) / real.days
    assert 0.8 < len(made) / 4 / 28 / a_day < 1.2
    assert made.day.min() >= people.now
    assert made.days == people.now + 28
    # it is simulated what is known: favourites come again
    assert 0.75 < again.mean() <= 1
    other, _ = people.run(28, seed=2, copies=4)
    assert np.array_equal(made.item, other.item)
    alone, _ = people.run(28, seed=2, who=np.arange(3))
    assert np.array_equal(alone.item, made.item[made.user < 3])
