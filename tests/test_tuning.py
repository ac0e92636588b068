"""A search of options: on validation only, resumable, seeded, pruned; the same on several workers."""

import json
import os
import sqlite3
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from ethogram import options, tuning
from ethogram.catalogue import index
from ethogram.cli import main
from ethogram.errors import LogFormatError, OptionError
from ethogram.evaluate import Record, run
from ethogram.log import Log
from ethogram.log.journal import locked
from ethogram.system import find, system

pytest.importorskip("optuna", reason="needs pip install 'ethogram[optuna]'")


def table(users=60, seed=0):
    """People who go on to the next item, or to one of two favourites."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(users):
        item = int(rng.integers(0, 20))
        for step in range(12):
            rows.append((user, item, 1_600_000_000 + step * 86_400 + user))
            item = (item + 1) % 20 if rng.random() < 0.8 else int(rng.integers(0, 3))
    return pa.table(dict(zip(("user", "item", "time"), map(list, zip(*rows, strict=True)), strict=True)))


@pytest.fixture(scope="module")
def log():
    return Log.open(table())


def search(log, folder, trials, **more):
    return tuning.tune("transition_kernel", log, "leave-last-out", folder=folder, trials=trials, **more)


def test_never_worse_than_the_defaults_and_a_configuration_to_use(log, tmp_path):
    found = search(log, tmp_path / "s", 10)
    first = found.trials[0]
    plain = options.table(find("transition_kernel"))
    assert first.options == {o.name: o.default for o in plain if o.space}
    assert found.value == max(t.value for t in found.trials if t.value is not None) >= first.value
    again = run(system(found.system, **found.options), log, "leave-last-out", part="valid")
    assert again.metrics["ndcg@10"] == found.value
    record = Record.load(found.record)
    assert record.options["gap"] == found.options["gap"]
    assert record.protocol["part"] == "valid"
    values = [t.options["decay"] for t in found.trials]
    assert len(set(values)) == 10
    assert all(0.3 <= v <= 1 for v in values)


def test_the_test_part_stays_closed(log, tmp_path):
    cut = log.split("leave-last-out")
    burnt = cut._replace(test=tuning.Closed())
    assert search(burnt, tmp_path / "a", 3).value == search(log, tmp_path / "b", 3).value
    for name in ("questions", "table", "sequences", "fingerprint"):
        with pytest.raises(OptionError, match="closed"):
            getattr(burnt.test, name)
    # a log whose test part is another one gives the same search
    other = table().to_pandas()
    last = other.groupby("user")["time"].transform("max") == other["time"]
    other.loc[last, "item"] = 19 - other.loc[last, "item"]
    changed = search(Log.open(other), tmp_path / "c", 3)
    assert [t.value for t in changed.trials] == [t.value for t in search(log, tmp_path / "b", 3).trials]


def test_a_search_that_was_killed_goes_on_as_if_it_had_not_been(log, tmp_path):
    whole = search(log, tmp_path / "whole", 12, seed=3)
    code = (
        "import os, sys; from tests.test_tuning import *; seen = set()\n"
        "def watch(facts):\n"
        "    seen.add(facts['trial'])\n"
        "    if len(seen) == 6: os.kill(os.getpid(), 9)\n"
        f"search(Log.open(table()), {str(tmp_path / 'cut')!r}, 12, seed=3, watch=watch)"
    )
    root = Path(__file__).parents[1]
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.returncode == -9, done.stderr
    with sqlite3.connect(tmp_path / "cut" / "study.db") as db:
        states = [s for (s,) in db.execute("select state from trials order by number")]
    assert states.count("COMPLETE") == 5
    assert states[-1] == "RUNNING"
    resumed = search(log, tmp_path / "cut", 12, seed=3)
    kept = [(t.options, t.value) for t in resumed.trials if t.state != "failed"]
    assert kept == [(t.options, t.value) for t in whole.trials]
    assert resumed.options == whole.options


def test_what_does_badly_is_pruned(tmp_path):
    found = tuning.tune(
        "sasrec", Log.open(table(24)), "leave-last-out", folder=tmp_path / "s", trials=8, epochs=3, dim=8, length=20,
        layers=1, heads=1, batch=512, patience=4,
    )  # fmt: skip
    states = [t.state for t in found.trials]
    assert states[:4] == ["complete"] * 4, "the first four are never pruned"
    assert "pruned" in states
    for trial in found.trials:
        assert (trial.value is None) == (trial.state == "pruned")
        assert 1 <= trial.steps <= 3
    assert {t.options["lr"] for t in found.trials} != {found.options["lr"]}
    assert "dim" not in found.trials[0].options, "what is given is not searched"


def test_workers_search_the_same_space(log, tmp_path):
    found = search(log, tmp_path / "s", 4, workers=2)
    assert [t.state for t in found.trials] == ["complete"] * 4
    assert found.trials[0].value == search(log, tmp_path / "one", 1).value


@pytest.mark.skipif(find_spec("ray") is None, reason="needs pip install 'ethogram[ray]'")
def test_ray(log, tmp_path):
    home = set(Path.home().iterdir())
    found = search(log, tmp_path / "s", 4, workers=2, on="ray")
    assert [t.state for t in found.trials] == ["complete"] * 4
    assert found.trials[0].value == search(log, tmp_path / "one", 1).value
    assert set(Path.home().iterdir()) == home


def test_spaces_stand_beside_the_options():
    for key in ("sasrec", "din", "sdim", "mean_pooled", "transition_kernel", "item_knn_decay", "boosted_aggregates"):
        spaces = {o.name: o.space for o in index()[key].options if o.space}
        assert len(spaces) >= 2, key
        for o in index()[key].options:
            if o.space and "among" in o.space:
                assert o.default in o.space["among"], (key, o.name)
            elif o.space:
                assert o.space["low"] <= o.default <= o.space["high"], (key, o.name)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"key": "popularity"}, "no option with a space"),
        ({"trials": 0}, "trials=0"),
        ({"metric": "ndgc@10"}, "no metric 'ndgc@10'"),
        ({"gap": 3, "reverse": 0.1, "decay": 0.5, "neighbours": None}, "that is left"),
    ],
)
def test_bad_input_is_told(log, tmp_path, change, says):
    asked = {"key": "transition_kernel", "trials": 1, "folder": tmp_path / "s"} | change
    with pytest.raises(OptionError, match=says):
        tuning.tune(asked.pop("key"), log, "leave-last-out", **asked)


def test_another_search_is_refused(log, tmp_path):
    search(log, tmp_path / "s", 1)
    with pytest.raises(OptionError, match="seed differ"):
        search(log, tmp_path / "s", 2, seed=1)
    with locked(tmp_path / "s" / ".lock", wait=False), pytest.raises(LogFormatError, match="another process"):
        search(log, tmp_path / "s", 2)


def test_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["show", "item_knn_decay"]) == 0
    told = capsys.readouterr().out
    assert "[tuned from 0.3 to 1.0]" in told
    assert "[tuned among none, 50, 200, 800]" in told
    table().to_pandas().to_csv("events.csv", index=False)
    asked = ["tune", "item_knn_decay", "--log", "events.csv", "--protocol", "leave-last-out", "--trials", "4"]
    assert main([*asked, "--json", "found.json"]) == 0
    said = capsys.readouterr().out
    found = json.loads(Path("found.json").read_text())
    assert len(found["trials"]) == 4
    fit = next(line.split("fit it:", 1)[1].split() for line in said.splitlines() if "fit it:" in line)
    assert main([*fit[1:], "--out", "m"]) == 0
    assert main(["run", found["record"], "--part", "test", "--json", "judged.json"]) == 0
    judged = json.loads(Path("judged.json").read_text())
    assert judged["protocol"]["part"] == "test"
    assert judged["options"]["decay"] == found["options"]["decay"]
    assert main([*asked, "--json", "-"]) == 0, "nothing is left to do"
    assert main(["tune", "popularity", "--log", "events.csv"]) == 2
