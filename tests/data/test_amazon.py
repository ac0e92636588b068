from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq

from ethogram import data


def test_beauty(here):
    here("amazon_beauty")
    log = data.load("amazon_beauty")
    told = log.describe()
    assert (told["users"], told["items"], told["events"]) == (22_363, 12_101, 198_502)
    assert log.sequences().clocks == ("order",)
    (file,) = data.find("amazon_beauty")().files()
    lines = [[int(i) for i in line.split()] for line in file.read_text().splitlines()]
    table = log.table()
    assert table["user"].to_pylist() == [line[0] for line in lines for _ in line[1:]]
    assert table["item"].to_pylist() == [i for line in lines for i in line[1:]]


def test_games(here):
    here("amazon_games")
    log = data.load("amazon_games")
    told = log.describe()
    assert (told["users"], told["items"], told["events"]) == (15_264, 7_676, 147_861)
    assert log.sequences().clocks == ("order",)
    assert log.items.column_names == ["item", "title"]
    assert log.items.num_rows == 7_676
    assert "Dirt 3" in log.items["title"].to_pylist()
    events = pq.read_table(data.find("amazon_games")().files()[0]).sort_by(
        [("user_id", "ascending"), ("position", "ascending")]
    )
    mine = log.table().sort_by([("user", "ascending"), ("order", "ascending")])
    assert mine["item"].to_pylist() == events["item_id"].to_pylist()
    np.testing.assert_array_equal(mine["order"].to_numpy(), events["position"].to_numpy())
