"""The real purchases and ledgers say what their files say."""

from __future__ import annotations

import numpy as np
import pytest

from ethogram import data
from ethogram.errors import SourceError


def test_cdnow_is_every_purchase_of_the_file(here):
    here("cdnow")
    log = data.load("cdnow")
    table = log.table()
    assert (len(table), len(log.vocabulary("user")), log.describe()["quarantined"]) == (69_659, 23_570, 0)
    second = [r for r in table.slice(0, 10).to_pylist() if r["user"] == 2]
    assert [(r["time"].date().isoformat(), r["value"], r["quantity"]) for r in second] == [
        ("1997-01-12", 12.0, 1),
        ("1997-01-12", 77.0, 5),
    ]
    assert set(table["item"].to_pylist()) == {"cd"}
    assert table["value"].to_numpy().sum() == pytest.approx(2_500_315.63)


def test_ledgers_lie_in_their_months(here):
    here("credit_cards")
    log = data.load("credit_cards")
    assert log.describe()["events"] == 30_000 * 18
    rows = log.table().filter(np.equal(log.table()["user"].to_numpy(), 1)).to_pylist()
    told = {(r["item"], r["time"].month): r["value"] for r in rows}
    assert [told["status", m] for m in range(9, 3, -1)] == [2, 2, -1, -1, -2, -2]
    assert [told["bill", m] for m in range(9, 3, -1)] == [3913, 3102, 689, 0, 0, 0]
    assert [told["payment", m] for m in range(9, 3, -1)] == [0, 689, 0, 0, 0, 0]
    users = log.users
    assert users["default"].to_numpy().mean() == pytest.approx(0.2212, abs=1e-4)
    first = users.slice(0, 1).to_pylist()[0]
    assert (first["limit"], first["age"], first["group"], first["default"]) == (20_000, 24, "women", 1)
    assert first["decided"].isoformat() == "2005-10-01T00:00:00+00:00"


@pytest.mark.parametrize(
    ("name", "file"), [("cdnow", "purchases/CDNOW_master.txt"), ("credit_cards", "risk/UCI_Credit_Card.csv")]
)
def test_another_file_under_that_name_is_refused(tmp_path, monkeypatch, name, file):
    (tmp_path / file).parent.mkdir()
    (tmp_path / file).write_text("a,b,c\n1,2,3\n")
    monkeypatch.setenv("ETHOGRAM_DATA", str(tmp_path))
    with pytest.raises(SourceError, match="column"):
        data.load(name)
