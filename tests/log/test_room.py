"""Long arrays in files give what arrays in memory give; counts agree with NumPy's."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ethogram.log import Log, facts, room

EVERYTHING = """
import sys, json, hashlib, numpy as np, pyarrow as pa
import ethogram
from ethogram.log import Log, room
room.BLOCK = 1000
log = Log.open(sys.argv[1])
told = {}
def note(name, *arrays):
    told[name] = hashlib.blake2b(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()
facts = log.describe()
told["facts"] = {n: facts[n] for n in ("events", "repeat_ratio", "tie_share", "density", "kinds", "events_per_user")}
rows = log.sequences()
note("rows", rows.user, rows.group, rows.groups, *(rows.columns[c] for c in sorted(rows.columns)))
for how in ("temporal", "leave-last-out", "by-user"):
    cut = log.split(how)
    for part in ("train", "valid", "test"):
        mine = getattr(cut, part).sequences()
        note(how + part, mine.users, mine.offsets, *(mine.columns[c] for c in sorted(mine.columns)))
    for which in ("first", "last", "every"):
        asked = cut.test.questions("next", which=which)
        note(how + which, asked.histories.start, asked.histories.stop, asked.candidates.items, asked.histories.users)
batch = log.features().encode(asked.histories, asked.candidates)
history = batch.sequences["history"]
note("batch", history.item, *(history.columns[c] for c in sorted(history.columns)))
told["features"] = repr(log.features())
for key in ("popularity", "personal_frequency", "transition_kernel"):
    built = ethogram.system(key).fit(cut.train)
    note(key, built.score(asked.histories[:20], asked.candidates[:20]))
told["files"] = isinstance(room.empty(10, np.int8).base, np.memmap)
print(json.dumps(told))
"""


def told(path, **env) -> dict:
    import os

    return json.loads(
        subprocess.check_output([sys.executable, "-c", EVERYTHING, str(path)], text=True, env={**os.environ, **env})
    )


def test_everything_is_the_same_when_each_array_lies_in_a_file(tmp_path):
    rng = np.random.default_rng(0)
    n = 5_000
    table = pa.table(
        {
            "user": rng.integers(0, 60, n),
            "item": rng.integers(0, 80, n),
            "time": rng.integers(0, 1500, n) * 60 + 1_600_000_000,
            "value": rng.normal(size=n),
            "kind": rng.choice(["view", "buy"], n),
            "aisle": rng.integers(0, 9, n),
        }
    )
    Log.open(table).write(tmp_path / "log")
    memory, files = told(tmp_path / "log"), told(tmp_path / "log", ETHOGRAM_FILES_FROM="0")
    assert (memory.pop("files"), files.pop("files")) == (False, True)
    assert memory == files
    assert memory["facts"]["tie_share"] > 0.05


def test_a_file_vanishes_with_its_array(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(room, "FROM", 0)
    made = room.zeros(100_000, np.int64)
    made[:] = 7
    assert not list(tmp_path.iterdir())  # it never had a name
    assert made.sum() == 700_000
    assert room.taken(made, np.arange(5)).tolist() == [7] * 5
    assert len(room.empty(0, np.int32)) == 0


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(-(2**40), 2**40), min_size=1, max_size=40), st.data())
def test_the_kth_of_many_is_that_of_the_sorted(values, data):
    k = data.draw(st.integers(0, len(values) - 1))
    array = np.array(values)
    few, facts.FEW = facts.FEW, 0
    try:
        assert facts.kth(array, k) == sorted(values)[k]
    finally:
        facts.FEW = few
    assert facts.below(array, values[0]) == sum(v < values[0] for v in values)


@pytest.mark.parametrize("seed", range(3))
def test_repeats_and_pairs_as_counted_one_by_one(seed):
    rng = np.random.default_rng(seed)
    offsets = np.array([0, 7, 7, 30, 50])
    item = rng.integers(-1, 6, 50).astype(np.int32)
    starts = rng.random(50) < 0.6
    starts[offsets[:-1][np.diff(offsets) > 0]] = True
    found, pairs = facts.met_before(offsets, starts, item)
    expected, seen = np.zeros(50, bool), set()
    group = np.cumsum(starts)
    for u in range(4):
        rows = range(offsets[u], offsets[u + 1])
        for i in rows:
            expected[i] = item[i] >= 0 and any(item[j] == item[i] and group[j] < group[i] for j in rows)
            seen |= {(u, int(item[i]))} if item[i] >= 0 else set()
    assert np.array_equal(found, expected)
    assert pairs == len(seen) == facts.pairs(offsets, starts, item)
    assert facts.tally(item, 6).tolist() == [int((item == i).sum()) for i in range(6)]
    rows, first = facts.tied_rows(np.flatnonzero(starts), 50)
    sizes = np.bincount(group)
    assert rows.tolist() == [i for i in range(50) if sizes[group[i]] > 1]
    assert facts.tied(np.flatnonzero(starts), 50) == len(rows)
    assert [rows[f] for f in first] == [i for i in range(50) if starts[i] and sizes[group[i]] > 1]
