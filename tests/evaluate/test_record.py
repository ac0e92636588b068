import json
import math
import os

import numpy as np
import pyarrow as pa
import pytest

from ethogram.errors import StateError
from ethogram.evaluate.machine import Cost
from ethogram.evaluate.record import Record, RecordStore


def record(**given):
    told = {
        "system": "counting", "options": {"power": 1.0}, "code": "c", "seed": 3,
        "data": {"name": "toy", "fingerprint": "f"}, "protocol": {"name": "temporal", "ks": [5]},
        "metrics": {"auc": 0.7, "ece": math.nan}, "intervals": {"auc": (0.6, math.nan)},
        "facts": {"rate": math.inf, "users": np.int64(3), "bins": {"score": [0.1, math.nan]}},
        "vectors": pa.table({"user": ["a", None], "auc": [0.1, math.nan]}), "draws": pa.table({"auc": [0.6, 0.8]}),
        "plan": "p", "costs": {"fit": Cost(1.5, 2.5, None, 0.3)},
    }  # fmt: skip
    return Record(**{**told, **given})


def strict(text):
    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_what_is_saved_comes_back(tmp_path):
    before = record()
    after = Record.load(before.save(tmp_path / "one"))
    assert after.key == before.key
    assert after.metrics["auc"] == 0.7
    assert math.isnan(after.metrics["ece"])
    assert after.interval("auc")[:2] == (0.7, 0.6)
    assert math.isnan(after.interval("auc").high)
    assert math.isnan(after.interval("ece").low)
    assert after.vectors.equals(before.vectors) or after.vectors["user"].equals(before.vectors["user"])
    assert after.draw("auc").tolist() == [0.6, 0.8]
    assert after.draw("ece") is None
    assert after.costs["fit"] == Cost(1.5, 2.5, None, 0.3)
    assert (after.made, after.status, after.machine) == (before.made, "done", before.machine)


def test_numbers_in_the_file_are_finite(tmp_path):
    told = strict((record().save(tmp_path / "one") / "record.json").read_text())
    assert told["metrics"] == {"auc": 0.7, "ece": None}
    assert told["facts"] == {"rate": None, "users": 3, "bins": {"score": [0.1, None]}}
    assert told["versions"]["numpy"] == np.__version__


def test_the_key_is_what_determines_the_result():
    key = record().key
    assert key.startswith("counting-")
    same = {
        "metrics": {},
        "facts": {},
        "made": "later",
        "machine": {},
        "costs": {},
        "data": {"name": "x", "fingerprint": "f"},
    }
    assert record(**same).key == key
    other = [
        {"system": "random"}, {"options": {"power": 2.0}}, {"code": "d"}, {"seed": 4}, {"data": {"fingerprint": "g"}},
        {"protocol": {"name": "temporal", "ks": [10]}}, {"versions": {"ethogram": "99"}},
    ]  # fmt: skip
    assert len({record(**o).key for o in other} | {key}) == len(other) + 1


def test_options_in_another_order_are_the_same_run():
    assert record(options={"a": 1, "b": (2, 3)}).key == record(options={"b": [2, 3], "a": 1}).key


def test_a_store_keeps_lists_and_replaces(tmp_path):
    store = RecordStore(tmp_path / "runs")
    assert store.list() == []
    assert store.get("absent") is None
    one, two = record(), record(seed=4)
    store.put(one)
    store.put(two)
    store.put(record(metrics={"auc": 0.9}))
    assert store.list() == sorted([one.key, two.key])
    assert len(store) == 2
    assert one.key in store
    assert store.get(one.key).metrics == {"auc": 0.9}
    assert {r.seed for r in store} == {3, 4}
    assert sorted(p.name for p in store.path.iterdir()) == store.list()  # no left-overs


def test_a_kill_while_writing_leaves_the_old_record(tmp_path, monkeypatch):
    store = RecordStore(tmp_path)
    store.put(record())
    real = os.fsync
    calls = []

    def dies(number):
        calls.append(number)
        if len(calls) == 2:
            raise KeyboardInterrupt
        real(number)

    monkeypatch.setattr(os, "fsync", dies)
    with pytest.raises(KeyboardInterrupt):
        store.put(record(metrics={"auc": 0.9}))
    assert store.get(record().key).metrics["auc"] == 0.7
    assert store.list() == [record().key]


def test_damage_is_named(tmp_path):
    folder = record().save(tmp_path / "one")
    (folder / "draws.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(StateError, match="one is no readable record"):
        Record.load(folder)
    text = (folder / "record.json").read_text()
    (folder / "record.json").write_text(text[:40])
    with pytest.raises(StateError, match="no readable record"):
        Record.load(folder)
    (folder / "record.json").write_text(text.replace('"format": 1', '"format": 2'))
    with pytest.raises(StateError, match="format 2 is newer than 1"):
        Record.load(folder)
    with pytest.raises(StateError, match="no readable record"):
        Record.load(tmp_path / "absent")
