"""Groups, cards, reasons and notes, against independent values and with what logs get wrong."""

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import beta

from ethogram.errors import NotFitted, OptionError, RolesError, StepError
from ethogram.log import Log
from ethogram.risk.fin_deep_cluster import FinDeepCluster
from ethogram.risk.fin_deep_cluster.cards import Belief, growth, posterior
from ethogram.risk.fin_deep_cluster.cases import cases
from ethogram.risk.fin_deep_cluster.mining import mined, unsure
from ethogram.risk.fin_deep_cluster.steps import Step, followed, steps
from ethogram.risk.fin_deep_cluster.vectors import Scales, hybrid, spread
from ethogram.testing.assigning import visits

SMALL = {"epochs": 1, "hidden": 8, "out": 8, "dim": 8}


def log(**more):
    rows = {
        "user": ["a", "a", "a", "b", "b"], "session": ["s", "s", "s", "t", "t"],
        "kind": ["home", "item", "pay", "home", "pay"],
        "time": pa.array([0, 10_000_000, 15_000_000, 0, 2_000_000], pa.timestamp("us", "UTC")),
        "value": [None, None, 50.0, None, 70.0], "label": [None, None, 1.0, None, 0.0],
    }  # fmt: skip
    return Log.open(pa.table({**rows, **more}))


def test_cases_by_hand():
    held = cases(log(age=[None, None, 3.0, 1.0, None]))
    assert held.session.to_pylist() == ["s", "t"]
    assert held.seconds.tolist() == [10, 5, 0, 2, 0]
    assert held.total.tolist() == [15, 2]
    assert held.known["age"].tolist() == [3, 1]
    assert held.money.tolist() == [50, 70]
    assert held.tag.tolist() == [1, 0]


def test_rows_out_of_order_and_two_open_tabs():
    back = cases(
        Log.open(log().table().select(["user", "session", "kind", "time", "value", "label"]).take([4, 2, 0, 3, 1]))
    )
    assert back.seconds.tolist() == [10, 5, 0, 2, 0]
    tabs = pa.table({"user": ["a"] * 4, "session": ["x", "y", "x", "y"], "kind": ["h", "h", "p", "p"],
                     "time": pa.array([0, 1_000_000, 4_000_000, 9_000_000], pa.timestamp("us", "UTC"))})  # fmt: skip
    assert cases(Log.open(tabs)).seconds.tolist() == [4, 0, 8, 0]


def test_equal_times_are_one_step():
    held = cases(Log.open(pa.table({"user": ["a"] * 3, "session": ["s"] * 3, "kind": ["b", "a", "c"],
                                    "time": pa.array([0, 0, 3_000_000], pa.timestamp("us", "UTC"))})))  # fmt: skip
    assert held.places.tolist() == [0, 2, 3]
    assert held.seconds.tolist() == [3, 0]


def test_posterior_against_scipy():
    evidence, size, belief = np.array([5.0, 0.3, 2.0]), np.array([20.0, 40.0, 940.0]), Belief(3.0, 0.95, 0.3, 10.0)
    base = (7.3 + 0.5) / 1001
    odds = 3 * base / (1 - base)
    truth = [
        beta.sf(odds / (1 + odds), 10 * base + e, 10 * (1 - base) + n - e) for e, n in zip(evidence, size, strict=True)
    ]
    np.testing.assert_allclose(posterior(evidence, size, belief), truth)


def test_growth_by_hand():
    day = 10
    began = np.array([0, 1, 11, 12, 13, 14, 25, 3])
    assert growth(began, np.array([0, 0, 1, 1, 1, 1, 1, -1]), 2, day).tolist() == [1.0, 5.0]


def test_blocks_have_their_share_of_the_distance():
    rng = np.random.default_rng(0)
    z, f = rng.normal(size=(500, 3)), 50 * rng.normal(size=(500, 9))
    x = hybrid(z, f, 0.8, (spread(z), spread(f)))
    assert [float(part.var(0).sum()) for part in (x[:, :3], x[:, 3:])] == pytest.approx([0.8, 0.2], rel=1e-5)


def test_scales_bear_what_logs_hold():
    known = {"far": np.array([1.0, 2, 3, 1e12, np.nan, np.inf]), "same": np.ones(6), "none": np.full(6, np.nan),
             "text": np.array(["a", None, "b", "a", "a", "b"], object)}  # fmt: skip
    made = Scales.of(known)
    x = made.apply(known, 6)
    assert np.isfinite(x).all()
    assert np.abs(x).max() <= 2
    assert Scales.from_json(made.json()).apply(known, 6).tolist() == x.tolist()


def test_the_gang_is_found_and_described():
    built = FinDeepCluster(epochs=6, hidden=24).fit(visits(), seed=1)
    table = built.assess(visits())
    risky = table.filter(table["flagged"])
    assert risky.num_rows >= 15
    assert np.mean([u[2:] >= "150" for u in risky["user"].to_pylist()]) > 0.8
    row = risky.to_pylist()[0]
    assert row["reasons"][0]["what"]
    assert sum(r["share"] for r in row["reasons"]) == pytest.approx(1)
    card = built.cards().to_pylist()[0]
    assert card["flagged"]
    assert str(card["size"]) in card["narrative"]
    assert card["told_by"] == "template"
    fresh = built.table(visits(1))
    rule = built.mined()[card["cluster"]][0]
    assert rule.applies(fresh).sum() <= 40


def test_duplicates_share_a_group_and_huge_amounts_pass():
    rows = visits().table().select(["user", "session", "kind", "item", "time", "value", "label", "age"]).to_pylist()
    twice = [{**r, "user": "z" + r["user"], "session": "z" + r["session"]} for r in rows if r["user"] >= "u0150"]
    for r in twice:
        r["value"] = None if r["value"] is None else r["value"] + 1e12
    both = Log.open(
        pa.Table.from_pylist([*rows, *rows[:0], *twice, *[{**r, "session": "q" + r["session"]} for r in twice]])
    )
    built = FinDeepCluster(**SMALL).fit(both)
    table = {r["session"]: r for r in built.assign(both).to_pylist()}
    assert all(table["q" + s]["cluster"] == r["cluster"] for s, r in table.items() if s.startswith("z"))
    assert np.isfinite(built.cards()["money"].to_numpy()).all()


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_all_equal_and_single_events(weight):
    single = Log.open(pa.table({"user": [f"u{i}" for i in range(40)], "session": list(range(40)), "kind": ["pay"] * 40,
                                "order": [0] * 40, "value": [5.0] * 40}))  # fmt: skip
    built = FinDeepCluster(**SMALL, weight=weight).fit(single)
    assert built.assess(single).num_rows == 40
    assert not np.asarray(built.assess(single)["flagged"]).any()


def test_too_few_for_a_group_and_nothing_to_look_at():
    with pytest.raises(StepError, match=r"2 transactions are too few to tell a group of 10 .*fit on 20 or more"):
        FinDeepCluster(**SMALL).fit(log())
    with pytest.raises(OptionError, match="weight = 0 leaves out the clicks"):
        FinDeepCluster(**SMALL, weight=0.0, features=()).fit(visits())
    with pytest.raises(NotFitted, match="narrate before fit"):
        FinDeepCluster().narrate("local")


def rows(change=lambda row: row):
    """The rows of `visits`, changed one by one, as a log."""
    names = ["user", "session", "kind", "item", "time", "value", "label", "age"]
    return Log.open(pa.Table.from_pylist([change(dict(r)) for r in visits().table().select(names).to_pylist()]))


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 1e12, -5.0])
def test_numbers_that_are_none_or_huge_leave_points_finite(wrong):
    def change(row):
        if row["value"] is not None and row["session"].endswith("7"):
            row["age"] = wrong
        return row

    made = rows(change)
    built = FinDeepCluster(**SMALL).fit(made)
    assert np.isfinite(built.vectors(made)).all()
    assert not np.isnan(built.assign(made)["risk"].to_numpy()).any()


def test_a_clock_that_runs_backwards_is_a_clock_out_of_order():
    """Rows of a session in the order of a clock that jumps: the steps are those of the sorted clock, none below 0."""
    back = visits().table().select(["user", "session", "kind", "time"])
    turned = Log.open(back.take(np.arange(back.num_rows)[::-1]))
    one, other = cases(Log.open(back)), cases(turned)
    assert (other.seconds >= 0).all()
    np.testing.assert_array_equal(one.seconds, other.seconds)


def test_a_transaction_that_is_told_twice_is_one_case():
    """Its pages count twice, as told; its tag, its amount and its seconds do not."""
    once = visits()
    names = ["user", "session", "kind", "item", "time", "value", "label", "age"]
    twice = Log.open(pa.concat_tables([once.table().select(names)] * 2))
    one, two = cases(once), cases(twice)
    assert len(one) == len(two)
    np.testing.assert_array_equal(one.money, two.money)
    np.testing.assert_array_equal(one.tag, two.tag)
    np.testing.assert_array_equal(one.total, two.total)


def test_steps_by_hand():
    held = cases(log())
    path = steps(held, np.array([True, True]))
    assert [s.page for s in path] == ["home", "item"]  # on the last page of a session no time is known
    low, high = path[1].low, path[1].high  # one member: the least deviation of ln 5.1 on each side
    assert (low, high) == pytest.approx((5.1 * np.exp(-0.25) - 0.1, 5.1 * np.exp(0.25) - 0.1), rel=5e-3)
    assert followed(held, path).tolist() == [2, 1]
    assert [str(s) for s in steps(cases(log(time=[0] * 5)), np.array([True, True]))][-1] == "pay for 0 to 0.0284 s"
    assert followed(held, (Step("item", 6, 9), Step("nowhere", 0, 9))).tolist() == [0, 0]
    assert steps(held, np.array([False, True]))[0] == Step("home", 1.54, 2.6)


def test_the_rim_of_a_cluster_teaches_no_border():
    """A ring of 60, of which a cluster holds the 30 in the middle: the rule is of the ring."""
    rng = np.random.default_rng(0)
    ring = np.arange(4_000) < 60
    x = rng.normal(size=(4_000, 1)) * 40
    x[ring, 0] = np.linspace(-1, 1, 60) + 200
    amount = np.where(ring, x[:, 0], rng.uniform(0, 190, 4_000))
    cluster = ring & (np.abs(x[:, 0] - 200) < 0.5)
    other = rng.normal(size=4_000)
    found = mined(
        lambda c: {"amount": amount, "other": other},
        np.where(cluster, 0, -1),
        np.array([True]),
        x,
        most=4,
        count=2,
        seed=0,
    )[0][0]
    assert found.measured({"amount": amount, "other": other}, ring).recall == 1
    assert found.held.n == 4_000
    assert 0.3 < found.held.precision < 0.7  # of the cluster, which is half of the ring
    assert unsure(x, cluster).sum() == 60


def test_bad_logs_and_options():
    with pytest.raises(RolesError, match="neither items nor kinds"):
        cases(Log.open(pa.table({"user": ["a"], "time": [1]})))
    with pytest.raises(RolesError, match="less than 0 seconds"):
        cases(log(dwell=[1.0, -2.0, 3.0, 1.0, 1.0]))
    with pytest.raises(RolesError, match="have no session"):
        cases(log(session=["s", None, "s", "t", "t"]))
    with pytest.raises(RolesError, match="Did you mean 'value'"):
        cases(log(), features=("valeu",))
    with pytest.raises(OptionError, match="min_samples = 20"):
        FinDeepCluster(min_samples=20).fit(log())
