"""An updated floor is the floor that a fit on everything gives; the command takes what was appended."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pytest

import ethogram
from ethogram.cli import main
from ethogram.errors import OptionError, StepError
from ethogram.log import Candidates, Histories, Log

KEYS = ("popularity", "personal_frequency", "item_knn", "item_knn_decay", "transition_kernel")


def rows(n=600, users=30, seed=0) -> pa.Table:
    """Many equal times; the later rows bring new users and new items."""
    rng = np.random.default_rng(seed)
    time = np.sort(rng.integers(0, 200, n)) * 3600 + 1_600_000_000
    grown = np.arange(n) * 2 // n
    return pa.table(
        {
            "user": [f"u{u}" for u in rng.integers(0, users * (1 + grown))],
            "item": rng.integers(0, 20 + 15 * grown),
            "time": time,
        }
    )


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return rows()


def same(one, other, items) -> None:
    asked = Histories.of([[3, 5, 30], [], [31, 31, 2]])
    every = Candidates.of(items)
    np.testing.assert_allclose(one.score(asked, every), other.score(asked, every), rtol=1e-6, atol=0)
    assert one.fitted.known.repeats == other.fitted.known.repeats
    assert set(one.fitted.known.users.ids.to_pylist()) == set(other.fitted.known.users.ids.to_pylist())


@pytest.mark.parametrize("key", KEYS)
def test_two_updates_equal_a_fit_on_everything(key, table, tmp_path):
    """Also when a group of equal times is torn apart, and after saving in between."""
    items = pa.compute.unique(table["item"]).to_pylist()
    options = {"half_life": "10h"} if key == "popularity" else {}
    built = ethogram.system(key, remember=True, **options).fit(Log.open(table[:301]))
    built.update(Log.open(table[301:420]))
    built.save(tmp_path / "model")
    again = ethogram.load(tmp_path / "model").update(Log.open(table[420:]))
    whole = ethogram.system(key, **options).fit(Log.open(table))
    same(again, whole, items)
    assert again.score(Histories.of([[3]]), Candidates.of(items)).any()


@pytest.mark.parametrize("key", KEYS[1:2])
def test_what_cannot_be_updated_says_why(key, table):
    built = ethogram.system(key).fit(Log.open(table[:300]))
    with pytest.raises(OptionError, match="fit it with remember=True"):
        built.update(Log.open(table[300:]))
    late = ethogram.system(key, remember=True).fit(Log.open(table[300:]))
    with pytest.raises(StepError, match="earlier than what was learned from them; fit anew"):
        late.update(Log.open(table[:300]))
    with pytest.raises(StepError, match="the log has item, order, what was read before item, time"):
        late.update(Log.open({"user": ["u1"], "item": [1], "order": [1]}))


def test_the_command_goes_on_from_what_was_appended(table, tmp_path, capsys):
    log, model = str(tmp_path / "log"), str(tmp_path / "m")
    Log.open(table[:400]).write(log)
    assert main(["fit", "popularity", log, "--set", "remember=true", "--out", model]) == 0
    Log.open(log).append(table[400:])
    assert main(["update", model, log, "--json", str(tmp_path / "u.json")]) == 0
    assert json.loads((tmp_path / "u.json").read_text())["events"] == 200
    assert main(["update", model, log]) == 0
    assert "nothing new" in capsys.readouterr().out
    same(ethogram.load(model), ethogram.system("popularity").fit(Log.open(table)), [1, 2, 30])
    assert main(["fit", "smoothed_rates", log, "--out", str(tmp_path / "r")]) in (0, 2)
