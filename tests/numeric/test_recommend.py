"""From scores to a table: who is asked, what is left out, in whose ids."""

import numpy as np
import pyarrow as pa
import pytest

from ethogram.errors import OptionError
from ethogram.log import Candidates, Histories, Log
from ethogram.numeric import recommend as module
from ethogram.numeric.known import Known
from ethogram.numeric.recommend import recommend

ROWS = {"user": ["ann", "ann", "bob", "cy"], "item": [30, 10, 20, 10], "time": [1, 2, 3, 4]}


@pytest.fixture
def log():
    return Log.open(pa.table({**ROWS, "time": pa.array(ROWS["time"]).cast(pa.timestamp("s"))}))


def by_id(histories, candidates):
    """Scores equal to the item's id, in the shape of the candidates."""
    codes, _ = candidates.flat(len(histories))
    ids = np.array([np.nan if i is None else i for i in candidates.vocabulary.decode(codes).to_pylist()], np.float32)
    return candidates.shape(ids, len(histories))


def rows(table, *columns):
    return list(zip(*(table[c].to_pylist() for c in columns), strict=True))


def test_whole_catalogue(log):
    known = Known.of(log)
    table = recommend(by_id, known, log.histories(), 2, exclude_seen=True)
    assert table.column_names == ["question", "user", "item", "score", "rank", "status", "met"]
    assert rows(table, "question", "user", "item", "rank") == [
        (0, "ann", 20, 1),
        (1, "bob", 30, 1), (1, "bob", 10, 2),
        (2, "cy", 30, 1), (2, "cy", 20, 2),
    ]  # fmt: skip
    assert table["score"].to_pylist() == [20, 30, 10, 30, 20]
    assert table.schema.field("question").type == pa.int64()
    assert table.schema.field("score").type == pa.float64()


def test_seen_items_stay_where_people_repeat(log):
    known = Known.of(log)
    assert known.repeats == 0
    assert recommend(by_id, known, log.histories(), 3).num_rows == 2 + 2 + 1
    repeated = {k: [*v, v[0]] for k, v in ROWS.items()} | {"time": [1, 2, 3, 4, 5]}
    again = Known.of(Log.open(pa.table({**repeated, "time": pa.array(repeated["time"]).cast(pa.timestamp("s"))})))
    assert again.repeats == pytest.approx(0.2)
    assert recommend(by_id, again, log.histories(), 3).num_rows == 9
    assert recommend(by_id, again, log.histories(), 3, exclude_seen=True).num_rows == 5


@pytest.mark.parametrize(
    ("among", "expected"),
    [
        ([10, 20, 99], [(0, 20), (1, 10)]),
        ([[10, 20], [30, 10]], [(0, 20), (1, 30), (1, 10)]),
        ([[10], [30, 10, 20, 30]], [(1, 30), (1, 10)]),
    ],
)
def test_among(log, among, expected):
    known = Known.of(log)
    asked = log.histories()[:2]
    table = recommend(by_id, known, asked, 3, exclude_seen=True, among=Candidates.of(among, log.vocabulary("item")))
    assert rows(table, "question", "item") == expected


def test_among_may_come_with_ids_of_its_own(log):
    table = recommend(
        by_id, Known.of(log), log.histories()[:1], 3, exclude_seen=True, among=Candidates.of([99, 30, 20])
    )
    assert rows(table, "item") == [(99,), (20,)]


def test_hot_warm_cold(log):
    asked = Histories.of([[10], [10], [], []], users=["cy", "dora", "bob", "eve"])
    table = recommend(by_id, Known.of(log), asked, 1)
    assert rows(table, "user", "status") == [("cy", "hot"), ("dora", "warm"), ("bob", "hot"), ("eve", "cold")]
    nameless = recommend(by_id, Known.of(log), Histories.of([[10], []]), 1)
    assert rows(nameless, "user", "status") == [(None, "warm"), (None, "cold")]


def test_what_training_never_met_is_told(log):
    table = recommend(lambda h, c: np.zeros((len(h), len(c.items))), Known.of(log), Histories.of([[10]]), 3,
                      exclude_seen=False, among=Candidates.of([10, 77, 20]))  # fmt: skip
    assert dict(zip(table["item"].to_pylist(), table["met"].to_pylist(), strict=True)) == {
        10: True,
        77: False,
        20: True,
    }


def test_a_user_of_another_part_is_a_stranger():
    log = Log.open(pa.table({"user": ["a"] * 3 + ["b"] * 3, "item": list("xyzxyz"), "order": [1, 2, 3, 4, 5, 6]}))
    train = log.where("user == 'a'")
    assert Known.of(train).status(log.histories()).to_pylist() == ["hot", "warm"]


def test_blocks_change_nothing(log, monkeypatch):
    known = Known.of(log)
    whole = recommend(by_id, known, log.histories(), 2)
    ragged = Candidates.of([[10], [30, 10, 20, 30], [20, 30]], log.vocabulary("item"))
    part = recommend(by_id, known, log.histories(), 2, among=ragged)
    monkeypatch.setattr(module, "SCORES", 4)
    assert recommend(by_id, known, log.histories(), 2).equals(whole)
    assert recommend(by_id, known, log.histories(), 2, among=ragged).equals(part)


def test_nobody_asks(log):
    table = recommend(by_id, Known.of(log), log.histories()[:0], 2)
    assert table.num_rows == 0
    assert table.schema.field("item").type == pa.int64()


@pytest.mark.parametrize("k", [0, -1])
def test_no_items_wanted(log, k):
    with pytest.raises(OptionError, match="k ="):
        recommend(by_id, Known.of(log), log.histories(), k)


def test_known_as_data(log):
    known = Known.of(log)
    again = Known.restore(known.state())
    assert again.items == known.items
    assert again.users == known.users
    assert again.counts.tolist() == known.counts.tolist() == [known.counts[c] for c in range(3)]
    assert dict(zip(known.items.ids.to_pylist(), known.counts.tolist(), strict=True)) == {10: 2, 20: 1, 30: 1}
    assert again.repeats == known.repeats
