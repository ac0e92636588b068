"""Features: what is inferred, what unknown and missing values become, and that saving changes nothing."""

import numpy as np
import pyarrow as pa
import pytest

from ethogram.errors import OptionError
from ethogram.log import Candidates, Features, Histories, Log, Vocabulary
from ethogram.log.columns import Column, hashes


def shop(n=400, seed=0):
    rng = np.random.default_rng(seed)
    done = pa.table(
        {
            "user": rng.integers(0, 20, n),
            "item": rng.integers(0, 30, n),
            "time": rng.integers(0, 10_000, n),
            "kind": rng.choice(["view", "buy"], n),
            "value": rng.lognormal(0, 2, n),
        }
    )
    items = pa.table(
        {
            "item": np.arange(40),
            "brand": [None if i % 7 == 0 else f"brand {i % 5}" for i in range(40)],
            "price": rng.lognormal(2, 2, 40),
            "tags": [[f"t{i % 3}", f"t{i % 4}"] for i in range(40)],
            "title": [f"Fresh thing number {i} of kind {i % 9}" for i in range(40)],
            "same": ["x"] * 40,
        }
    )
    users = pa.table({"user": np.arange(20), "age": rng.integers(18, 70, 20), "city": [f"c{i % 4}" for i in range(20)]})
    return Log.open(done, items=items, users=users)


def test_what_is_inferred():
    features = shop().features()
    found = {(c.of, c.name): c.type for c in features.columns}
    assert found[("item", "item")] == "categorical"
    assert found[("item", "brand")] == "categorical"
    assert found[("item", "price")] == "numeric"
    assert found[("item", "tags")] == "multi"
    assert found[("item", "title")] == "text"
    assert ("item", "same") not in found, "one value tells nothing"
    assert found[("user", "age")] == "categorical"
    assert found[("event", "kind")] == "categorical"
    assert found[("event", "value")] == "numeric"
    assert not any(c.name == "user" for c in features.columns), "strangers are served as well"
    assert features.tables["item"] == len(features.items) + 2


def test_rows_of_known_missing_and_unseen_values():
    log = shop()
    features = log.features()
    batch = features.encode(Histories.of([[3, 999], [5]]), Candidates.of([[0, 8], [31, 3]]))
    items = batch.items["item"].values
    assert items[0] == 0
    code = {k: i for i, k in enumerate(sorted({3, 999, 5}))}
    assert items[code[999] + 1] == 1, "an item that training never saw"
    assert features.items.decode([items[code[3] + 1] - 2]).to_pylist() == [3]
    brand = batch.items["brand"]
    assert brand.values[code[999] + 1] == 0, "nothing is known about it"
    known = features.vocabularies["item.brand"]
    assert known.decode([brand.values[code[3] + 1] - 2]).to_pylist() == ["brand 3"]
    # item 31 has no training event, yet its brand is known from the side table
    at = batch.candidates.item[batch.candidates.start[1]]
    assert items[at] == 1
    assert known.decode([brand.values[at] - 2]).to_pylist() == ["brand 1"]
    assert batch.sequences["history"].lengths.tolist() == [2, 1]
    assert batch.candidates.lengths.tolist() == [2, 2]


def test_multi_valued_and_text_columns():
    features = shop().features()
    batch = features.encode(Histories.of([[5]]))
    tags, title = batch.items["tags"], batch.items["title"]
    known = features.vocabularies["item.tags"]
    rows = tags.values[tags.offsets[1] : tags.offsets[2]]
    assert known.decode(rows - 2).to_pylist() == ["t2", "t1"]
    assert tags.offsets[0] == tags.offsets[1] == 0, "no item, no values"
    words = ["fresh", "thing", "number", "5", "of", "kind", "5"]
    assert title.values[: title.offsets[2]].tolist() == (hashes(pa.array(words)) % np.uint64(20_000) + 2).tolist()


def test_numbers_are_scaled_by_training():
    log = shop()
    features = log.features()
    column = next(c for c in features.columns if c.name == "price")
    assert column.scale == "log"
    price = log.items.column("price").to_numpy()
    seen = np.isin(np.arange(40), log.table().column("item").to_numpy())
    logs = np.log1p(price)
    expected = (logs - logs[seen].mean()) / logs[seen].std()
    got = features.encode(Histories.of([list(range(40))])).items["price"].values
    np.testing.assert_allclose(got[1:], expected, rtol=1e-5)
    assert got[0] == 0
    assert Column(name="x", of="event", type="numeric").numbers(np.array([np.nan, np.inf, 2.0])).tolist() == [0, 0, 2]


def test_hashing_above_a_size_needs_no_vocabulary():
    features = shop().features().with_("brand", buckets=16)
    assert features.tables["item.brand"] == 18
    values = features.encode(Histories.of([[1, 2, 3]])).items["brand"].values
    expected = hashes(pa.array(["brand 1", "brand 2", "brand 3"])) % np.uint64(16) + 2
    assert values[1:].tolist() == expected.tolist()
    many = hashes(pa.array([f"v{i}" for i in range(20_000)])) % np.uint64(16)
    assert np.bincount(many.astype(int)).min() > 1_000, "buckets are filled evenly"


def test_several_sequences_by_kind():
    from dataclasses import replace

    log = shop()
    features = replace(log.features(), sequences={"views": "view", "buys": "buy"})
    h = log.histories()
    batch = features.encode(h)
    together = batch.sequences["views"].lengths + batch.sequences["buys"].lengths
    np.testing.assert_array_equal(together, h.lengths)
    buys = log.where("kind == 'buy'").histories()
    np.testing.assert_array_equal(batch.sequences["buys"].lengths[batch.sequences["buys"].lengths > 0], buys.lengths)


def test_edited_features_and_unknown_names():
    features = shop().features().without("title", "age")
    assert not {"title", "age"} & {c.name for c in features.columns}
    with pytest.raises(OptionError, match="Did you mean 'brand'"):
        features.with_("brnad", type="numeric")


def test_saving_changes_nothing():
    log = shop()
    features = log.features().limit(9)
    again = Features.restored(*features.saved())
    assert again.columns == features.columns
    assert again.tables == features.tables
    h, c = Histories.of([[1, 2, 77], []]), Candidates.of([[4], [5]])
    one, two = features.encode(h, c), again.encode(h, c)
    for name, column in one.items.items():
        np.testing.assert_array_equal(column.values, two.items[name].values)
    np.testing.assert_array_equal(one.candidates.item, two.candidates.item)
    np.testing.assert_array_equal(features.counts["item"], again.counts["item"])


def test_context_and_users_of_questions():
    table = pa.table(
        {
            "user": [1, 1, 2, 2, 3],
            "item": [1, 2, 1, 3, 2],
            "time": [1, 2, 3, 4, 5],
            "label": [1.0, 0.0, 1.0, 0.0, 1.0],
            "shelf": ["a", "b", "a", None, "b"],
        }
    )
    log = Log.open(table, users=pa.table({"user": [1, 2], "age": [30, 40]}))
    features = log.features()
    batch = features.encode(log)
    assert batch.label.tolist() == [1, 0, 1, 0, 1]
    shelf = features.vocabularies["event.shelf"]
    rows = batch.candidates.columns["shelf"]
    assert [shelf.ids[r - 2].as_py() if r > 1 else None for r in rows.tolist()] == ["a", "b", "a", None, "b"]
    assert batch.users["age"][-1] == 0, "user 3 is in no side table"
    assert len(set(batch.users["age"][:4].tolist())) == 2
    part = batch[np.array([3, 4])]
    flat, _ = part.candidates.flat()
    assert batch.label[flat].tolist() == [0, 1]


def test_side_table_of_the_asking_log_wins_for_cold_items():
    train = shop()
    features = train.features()
    fresh = Log.open(
        pa.table({"user": [1], "item": [500], "time": [1]}), items=pa.table({"item": [500], "brand": ["brand 2"]})
    )
    batch = features.encode(fresh.histories())
    assert features.vocabularies["item.brand"].decode(batch.items["brand"].values[1:] - 2).to_pylist() == ["brand 2"]


def test_columns_that_only_say_when_are_left_out():
    n = 400
    rng = np.random.default_rng(1)
    time = np.sort(rng.integers(0, 40 * 86_400, n))
    label = rng.integers(0, 2, n).astype(float)
    table = {"user": rng.integers(0, 9, n), "item": rng.integers(0, 9, n), "time": time, "label": label}
    table |= {"week": time // (7 * 86_400), "shelf": rng.integers(0, 5, n)}
    found = {c.name for c in Log.open(pa.table(table)).features().columns}
    assert "shelf" in found
    assert "week" not in found


def test_a_catalogue_is_read_once_however_often_a_few_ids_stand_beside_it(monkeypatch):
    features = shop().features()
    known = Vocabulary(pa.array([*features.items.ids.to_pylist(), *range(10_000, 20_000)]))
    every = Candidates.every(known)
    calls = []
    monkeypatch.setattr(
        Column, "rows", lambda self, *given, plain=Column.rows: calls.append(self) or plain(self, *given)
    )
    batches = [features.encode(Histories.of([ids, []]), every) for ids in ([3, 5], [5], [8, 3, 8])]
    read = [c.name for c in calls if c.name == "item"]
    assert read == ["item"], "rows of the catalogue are made once"
    first, _, last = (b.items["item"].values[b.sequences["history"].item] for b in batches)
    assert features.items.decode(first - 2).to_pylist() == [3, 5]
    assert features.items.decode(last - 2).to_pylist() == [8, 3, 8]
    strange = features.encode(Histories.of([[3, 999]]), every)
    history = strange.items["item"].values[strange.sequences["history"].item]
    assert history.tolist() == [first[0], 1]
    asked, before = (b.items["item"].values[b.candidates.item] for b in (strange, batches[0]))
    np.testing.assert_array_equal(asked, before[: len(asked)])
