"""Folding against a plain loop."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from ethogram.errors import OptionError, RolesError
from ethogram.log import Log
from ethogram.log.groups import folded, keyed


def plainly(start, stop, key, pool, top, score):
    """Case -> its groups as (key, pooled, rows), by a loop."""
    made = []
    for a, b in zip(start, stop, strict=True):
        groups: dict[int, list[int]] = {}
        for row in range(a, b):
            groups.setdefault(int(key[row]), []).append(row)
        ranked = sorted(groups, key=lambda k: (-score(groups[k]), k))
        own = [(k, False, groups[k]) for k in ranked[:top]]
        rest: dict[int, list[int]] = {}
        for row in sorted(r for k in ranked[top:] for r in groups[k]):
            rest.setdefault(int(pool[row]), []).append(row)
        made.append(own + [(k, True, rest[k]) for k in sorted(rest)])
    return made


@pytest.mark.parametrize("by", ["count", "amount", "recency"])
def test_folding_is_that_of_a_plain_loop(by):
    rng = np.random.default_rng(1)
    lengths = np.array([0, 1, 37, 120, 5])
    offsets = np.append(0, np.cumsum(lengths))
    start, stop = offsets[:-1], offsets[1:] - (lengths > 50) * 20
    n = offsets[-1]
    key, pool, amount = rng.integers(-1, 9, n), rng.integers(-1, 3, n), rng.normal(0, 50, n)
    time = np.concatenate([np.arange(k) for k in lengths])
    score = {
        "count": len,
        "amount": lambda rows: np.abs(amount[rows]).sum(),
        "recency": lambda rows: time[rows].max(),
    }[by]
    found = folded(start, stop, key, top=4, pool=pool, by=by, amount=amount, time=time)
    expected = plainly(start, stop, key, pool, 4, score)
    assert len(found) == 5
    for i, groups in enumerate(expected):
        mine = range(found.cases[i], found.cases[i + 1])
        told = [
            (found.key[g], found.pooled[g], found.rows[found.groups[g] : found.groups[g + 1]].tolist()) for g in mine
        ]
        assert told == groups
    assert found.owner.tolist() == [i for i, groups in enumerate(expected) for _ in groups]


def test_the_last_events_are_cut_between_equal_times():
    found = folded(np.array([0]), np.array([6]), np.array([1, 1, 1, 1, 2, 2]), top=2)
    starts = np.array([True, True, False, True, True, False])
    short, places = found.last(2, starts)
    # of group 1 rows 1 and 2 share a time that straddles the cut; group 2 is one time only
    assert short.rows.tolist() == [3, 4, 5]
    assert places.tolist() == [3, 4, 5]


def test_keys_are_in_the_order_of_their_names_wherever_the_column_lies():
    table = pa.table({"user": [1, 1, 1], "item": ["b", "a", "c"], "time": [1, 2, 3], "store": ["z", "y", None]})
    log = Log.open(table, items=pa.table({"item": ["a", "b"], "department": ["soap", "bread"]}))
    for name, values in {
        "item": ["b", "a", "c"],
        "store": ["z", "y", None],
        "department": ["bread", "soap", None],
    }.items():
        codes, ids = keyed(log, name)
        assert ids.decode(codes).to_pylist() == values
        assert ids.ids.to_pylist() == sorted(v for v in values if v)
    with pytest.raises(RolesError, match="Did you mean 'department'"):
        keyed(log, "departments")
    with pytest.raises(OptionError, match="of their own"):
        folded(np.array([0]), np.array([1]), np.array([1]), top=0)
