"""Rules are found where they were planted, and mean the same in every form."""

import json
from itertools import pairwise

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from ethogram.errors import OptionError
from ethogram.numeric.rule_formats import json_logic, read_json_logic, read_sql, sql
from ethogram.numeric.rule_learning import _dealt, learn
from ethogram.numeric.rules import Condition, Quality, Rule, quality


def planted(n=3_000, seed=0):
    rng = np.random.default_rng(seed)
    rows = {
        "amount": rng.lognormal(4, 1, n), "age": rng.exponential(300, n), "noise": rng.normal(size=n),
        "device": rng.choice(["ios", "android", "mac"], n),
    }  # fmt: skip
    target = np.zeros(n, bool)
    target[:90] = True
    rows["amount"][:90] = rng.uniform(195, 205, 90)
    rows["age"][:90] = rng.uniform(0, 9, 90)
    rows["device"][:90] = "ios"
    return rows, target


def logic(rule, row):
    """JsonLogic by its published meaning, where null compares as 0."""
    if not isinstance(rule, dict):
        return rule
    ((name, parts),) = rule.items()
    if name == "var":
        return row.get(parts)
    given = [logic(p, row) for p in parts]
    zero = [0 if g is None else g for g in given]
    return {
        "and": lambda: all(given), "or": lambda: any(given), "!=": lambda: given[0] != given[1],
        "<=": lambda: all(a <= b for a, b in pairwise(zero)), ">=": lambda: zero[0] >= zero[1],
        "in": lambda: given[0] in given[1],
    }[name]()  # fmt: skip


def test_a_planted_rule_is_found_and_holds_on_rows_kept_back():
    rows, target = planted()
    found = learn(rows, target)
    fresh, other = planted(seed=1)
    measured = found[0].measured(fresh, other)
    assert measured.precision > 0.9
    assert measured.recall > 0.9
    assert len(found[0].conditions) <= 4
    assert found[0].held.hits <= found[0].held.size == 30
    assert "noise" not in str(found[0])


def test_quality_by_hand():
    measured = quality(np.array([1, 1, 1, 0, 0], bool), np.array([1, 1, 0, 1, 0], bool))
    assert measured == Quality(3, 2, 3, 5)
    assert (measured.precision, measured.recall, measured.f1) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert measured.lift == pytest.approx((2 / 3) / (3 / 5))


def test_beta_says_what_a_miss_costs():
    measured = Quality(10, 6, 20, 100)
    assert measured.f(1.0) == measured.f1 == pytest.approx(2 * 0.6 * 0.3 / 0.9)
    assert measured.f(2.0) == pytest.approx(5 * 0.6 * 0.3 / (4 * 0.6 + 0.3))
    assert Quality(0, 0, 0, 5).f(2.0) == 0
    x = np.arange(1_000.0)
    target = (x % 3 == 0) & (x >= 400) & (x < 700) | (x >= 500) & (x < 560)  # a dense middle, thin sides
    wide, tight = (
        learn({"x": x}, target, rules=1, held=0, precision=0.0, beta=b)[0].measured({"x": x}, target) for b in (3, 0.3)
    )
    assert wide.recall > 0.9 > 0.6 > tight.recall
    assert tight.precision > 0.9 > wide.precision
    with pytest.raises(OptionError, match="beta above 0"):
        learn({"x": x}, target, beta=0.0)


def test_parts_keep_the_shares():
    target = np.arange(300) < 30
    part = _dealt(target, 1 / 3, 0)
    assert np.bincount(part[target]).tolist() == [14, 6, 10]
    assert np.bincount(part[~target]).tolist() == [120, 60, 90]


def test_noise_gives_no_precise_rule():
    rng = np.random.default_rng(0)
    assert learn({"a": rng.normal(size=500), "b": rng.normal(size=500)}, rng.random(500) < 0.05) == []


RULES = [
    Rule((Condition("amount", 195.1, 205), Condition("device", values=("ios", "it's")))),
    Rule((Condition('a "b"', low=1e-300), Condition("age", high=0.1 + 0.2), Condition("noise"))),
]


def test_both_forms_come_back_to_the_last_bit():
    assert read_sql(sql(RULES)) == RULES
    assert read_json_logic(json.loads(json.dumps(json_logic(RULES)))) == RULES
    assert read_sql(sql([])) == []
    assert read_sql(sql(Rule(()))) == [Rule(())]


def test_other_engines_read_the_same():
    rows, target = planted()
    rules = learn(rows, target)
    holes = {n: [None if i % 7 == 0 else v for i, v in enumerate(np.asarray(c).tolist())] for n, c in rows.items()}
    held = pa.table(holes)
    ours = np.logical_or.reduce([r.applies(held) for r in rules])
    assert 0 < ours.sum() < 200
    theirs = duckdb.sql(f"SELECT coalesce({sql(rules)}, false) AS hit FROM held").fetchnumpy()["hit"]
    np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(ours, [logic(json_logic(rules), row) for row in held.to_pylist()])


@pytest.mark.parametrize("text", ["(age < 3)", '("age" <= )', '("age" LIKE 3)', '("age" <= 3.0', "§"])
def test_strange_sql_is_refused(text):
    with pytest.raises(OptionError, match="SQL"):
        read_sql(text)


def test_bad_input():
    rows, target = planted(100)
    with pytest.raises(OptionError, match="nothing or everything"):
        learn(rows, np.zeros(100, bool))
    with pytest.raises(OptionError, match="Did you mean 'amount'"):
        learn(rows, target, columns=["amuont"])
    with pytest.raises(OptionError, match="holds text"):
        Condition("device", high=3).applies(rows)
    with pytest.raises(OptionError, match="holds numbers"):
        Condition("age", values=("x",)).applies(rows)
    with pytest.raises(OptionError, match="no interval"):
        Condition("age", 3, 1)
    with pytest.raises(OptionError, match="JsonLogic"):
        read_json_logic({"or": [{"and": [{"and": [{"<": 1}]}]}]})
    nothing = {"x": np.full(100, np.nan), "same": np.ones(100)}
    assert learn(nothing, target) == []
    assert not Condition("x").applies(nothing).any()
