"""Tables, row-wise Adam and item vectors, against torch's own dense computation and hand-made values."""

import numpy as np
import pyarrow as pa
import pytest
import torch

from ethogram.log import Histories, Log
from ethogram.nn.embedding import ColumnEncoder, ItemEncoder, Table, Tables
from ethogram.nn.optimise import RowAdam
from ethogram.nn.rows import fresh_rows


def test_row_adam_equals_dense_adam_when_all_rows_are_touched():
    table = Table(6, 3, seed=1)
    dense = torch.nn.Parameter(table.weight.detach().clone())
    ours, theirs = RowAdam([table.weight], lr=0.1), torch.optim.Adam([dense], lr=0.1)
    ids = torch.tensor([1, 2, 3, 4, 5, 2, 2])
    for step in range(5):
        ours.zero_grad()
        theirs.zero_grad()
        (table(ids) * (step + 1)).square().sum().backward()
        (dense[ids] * (step + 1)).square().sum().backward()
        ours.step()
        theirs.step()
    torch.testing.assert_close(table.weight[1:], dense[1:])
    assert (table.weight[0] == 0).all()


def test_untouched_rows_and_padding_stay():
    table = Table(8, 2, seed=0)
    before = table.weight.detach().clone()
    adam = RowAdam([table.weight], lr=0.5)
    table(torch.tensor([0, 3, 3])).sum().backward()
    adam.step()
    changed = (table.weight != before).any(1).nonzero().ravel().tolist()
    assert changed == [3]


def test_mini_batch_aware_decay_by_hand():
    table = Table(5, 2, seed=4)
    with torch.no_grad():
        table.weight[1:] = 2.0
    counts = torch.tensor([0.0, 0.0, 4.0, 8.0, 1.0])
    adam = RowAdam([table.weight], lr=1.0, betas=(0.0, 0.0), eps=1.0, decay=0.5, counts=[counts])
    (table(torch.tensor([2, 3])) * torch.tensor([[1.0], [0.0]])).sum().backward()
    adam.step()
    # betas 0: w - g / (|g| + 1) with g = grad + decay / n * w
    for row, grad in ((2, 1 + 0.5 / 4 * 2), (3, 0.5 / 8 * 2)):
        assert table.weight[row, 0].item() == pytest.approx(2 - grad / (grad + 1))
    assert (table.weight[4] == 2).all(), "not in the batch, not shrunk"


def test_state_round_trip():
    a, b = Table(5, 2, seed=1), Table(5, 2, seed=1)
    one, two = RowAdam([a.weight], lr=0.1), RowAdam([b.weight], lr=0.1)
    a(torch.tensor([1, 2])).square().sum().backward()
    one.step()
    b.load_state_dict(a.state_dict())
    two.load_state_dict(one.state_dict())
    for table, adam in ((a, one), (b, two)):
        adam.zero_grad()
        table(torch.tensor([2, 3])).square().sum().backward()
        adam.step()
    assert torch.equal(a.weight, b.weight)


def shop():
    events = pa.table({"user": [1, 1, 2], "item": [10, 11, 10], "time": [1, 2, 3], "kind": ["a", "b", "a"]})
    items = pa.table(
        {"item": [10, 11, 12], "brand": ["x", "y", "x"], "price": [1.5, 2.5, 4.5], "tags": [["p", "q"], ["q"], []]}
    )
    return Log.open(events, items=items)


def test_item_vectors_hold_every_column():
    features = shop().features()
    tables = Tables(features, dim=4, side=2, seed=0)
    encoder = ItemEncoder(features, tables)
    batch = features.encode(Histories.of([[10, 11, 12]]))
    codes = torch.tensor([1, 2, 1, 0, 3])
    got = encoder(batch.items, codes)
    assert got.shape == (5, encoder.width) == (5, 4 + 2 + 1 + 2)
    assert (got[3] == 0).all(), "no item"
    torch.testing.assert_close(got[0], got[2])
    item, brand, tags = (tables[n].weight for n in ("item", "item.brand", "item.tags"))
    price = torch.from_numpy(batch.items["price"].values)
    expected = torch.cat([item[2], brand[2], price[1:2], (tags[2] + tags[3]) / 2])
    order = [c.name for c in features.of("item")]
    assert order == ["item", "brand", "price", "tags"]
    torch.testing.assert_close(got[0], expected)
    torch.testing.assert_close(got[4, :4], item[1], msg="item 12 was never met in training")
    got.sum().backward()
    assert tables["item"].weight.grad.is_sparse


def test_columns_of_events():
    features = shop().features()
    tables = Tables(features, dim=4, side=3)
    batch = features.encode(shop().histories())
    history = batch.sequences["history"]
    encoder = ColumnEncoder(history.tables, tables)
    got = encoder(history.columns, np.array([0, 1]))
    assert got.shape == (2, 3)
    torch.testing.assert_close(got, tables["event.kind"].weight[[2, 3]])
    assert ColumnEncoder({}, tables)({}) is None


def test_rows_begin_at_cache_lines_and_the_drawn_values_are_torchs():
    for shape in ((7, 16), (1_000, 3), (5,)):
        made = fresh_rows(*shape)
        assert made.shape == shape
        assert made.eq(0).all()
        assert made.data_ptr() % 64 == 0
    drawn = torch.empty(200, 16).normal_(0.0, 0.05, generator=torch.Generator().manual_seed(4))
    drawn[0] = 0
    assert torch.equal(Table(200, 16, seed=4).weight, drawn)


@pytest.mark.parametrize("wide", [2**22, 0])
def test_events_alike_are_told_once(monkeypatch, wide):
    monkeypatch.setattr("ethogram.nn.embedding.WIDE", wide)
    features = shop().features()
    encoder = ColumnEncoder({"kind": "event.kind"}, Tables(features, 4, 4))
    kind, rows = np.array([0, 2, 2, 3, 2, 3], np.int32), np.array([1, 2, 3, 4, 5])
    place = torch.tensor([7, 7, 7, 0, 7])
    first, same = encoder.alike({"kind": kind}, rows, place)
    told = list(zip(place.tolist(), kind[rows].tolist(), strict=True))
    assert [told[first[i]] for i in same.tolist()] == told
    assert len(first) == len(set(told)) == 3
    first, same = ColumnEncoder({"price": None}, encoder.tables).alike({"price": kind}, rows, place)
    assert first.tolist() == same.tolist() == [0, 1, 2, 3, 4]
