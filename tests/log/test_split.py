"""Splits: what lies where, and that nothing later leaks into a history."""

import numpy as np
import pyarrow as pa
import pytest
from tests.log.random_events import events

from ethogram.errors import StepError
from ethogram.log import Histories, Log


@pytest.mark.parametrize("protocol", ["temporal", "leave-last-out", "by-user"])
def test_parts_are_disjoint_and_complete(protocol):
    log = Log.open(events())
    split = log.split(protocol)
    parts = [p.table().column("event").to_pylist() for p in (split.train, split.valid, split.test)]
    assert all(parts)
    assert sorted(e for part in parts for e in part) == sorted(log.table().column("event").to_pylist())
    assert all(p.before() == log for p in split[:3])


def test_temporal_parts_are_ordered_in_time():
    split = Log.open(events()).split("temporal", valid=0.2, test=0.2)
    train, valid, test = (p.rows().columns["time"] for p in split[:3])
    assert train.max() < valid.min()
    assert valid.max() < test.min()


def test_temporal_cuts_can_be_given():
    split = Log.open(events()).split(valid_from="2017-07-14T10:00", test_from="2017-07-14T14:00")
    assert split.test.rows().columns["time"].min() >= 1_500_040_800 * 1_000_000
    with pytest.raises(StepError, match="after the test"):
        Log.open(events()).split(valid_from="2018-01-01", test_from="2017-07-14T14:00")


def test_leave_last_out_takes_whole_groups():
    table = pa.table(
        {
            "user": [1, 1, 1, 1, 2, 2, 3],
            "item": ["a", "b", "c", "d", "a", "b", "a"],
            "time": [1, 2, 3, 3, 1, 2, 5],
        }
    )
    split = Log.open(table).split("leave-last-out")
    assert split.test.table().column("item").to_pylist() == ["c", "d", "b"]
    assert split.valid.table().column("item").to_pylist() == ["b"]
    assert split.train.table().column("item").to_pylist() == ["a", "a", "a"]
    ordered = Log.open(table).ties("order").split("leave-last-out")
    assert ordered.test.table().column("item").to_pylist() == ["d", "b"]
    assert ordered.valid.table().column("item").to_pylist() == ["c"]


def test_no_clock_no_temporal_split():
    log = Log.open(pa.table({"user": [1, 1], "item": [1, 2], "order": [0, 1]}))
    with pytest.raises(StepError, match="leave-last-out"):
        log.split("temporal")
    assert log.split().protocol == "leave-last-out"


def test_by_user_is_seeded_and_close_to_its_share():
    log = Log.open(pa.table({"user": np.arange(4000), "item": np.zeros(4000, int), "time": np.arange(4000)}))
    sizes = [len(log.split("by-user", test=0.25, seed=s).test.rows()) for s in range(4)]
    assert len(set(sizes)) > 1
    assert all(abs(s - 1000) < 100 for s in sizes)


@pytest.mark.parametrize("protocol", ["temporal", "leave-last-out", "by-user"])
@pytest.mark.parametrize("ties", ["groups", "order"])
def test_histories_are_strictly_earlier(protocol, ties):
    log = Log.open(events()).ties(ties)
    asked = log.split(protocol).test.questions("next")
    h = asked.histories
    for i in range(len(h)):
        past = np.asarray(h.columns["time"])[h.start[i] : h.stop[i]]
        assert (past < h.time[i]).all() if ties == "groups" else (past <= h.time[i]).all()
    whole = log.rows()
    if ties == "groups":  # nothing earlier is left out
        for i in range(len(h)):
            mine = (whole.user == h.users[i]) & (whole.columns["time"] < h.time[i])
            assert mine.sum() == h.lengths[i]


def test_questions_next_hold_the_items_of_the_group():
    table = pa.table({"user": [1] * 5, "item": ["a", "b", "d", "c", "c"], "time": [1, 2, 3, 3, 3]})
    log = Log.open(table)
    asked = log.split("leave-last-out").test.questions("next")
    assert asked.candidates.vocabulary.decode(asked.candidates.items).to_pylist() == ["c", "d"]
    assert asked.histories.item_ids(0) == ["a", "b"]
    every = log.questions("next", which="every")
    assert every.candidates.offsets.tolist() == [0, 1, 2, 4]
    assert every.histories.lengths.tolist() == [0, 1, 2]


def test_slates_separate_behaviour_from_exposures():
    table = pa.table(
        {
            "user": [1, 1, 1, 1, 1, 2],
            "item": ["a", "b", "x", "y", "z", "x"],
            "time": [1, 5, 5, 5, 9, 9],
            "label": [None, None, 1.0, 0.0, 0.0, 1.0],
            "weight": [None, None, 1.0, 7.0, 1.0, 1.0],
            "slate": [None, None, "s", "s", "t", "u"],
            "shelf": [None, None, "end", "aisle", "end", "end"],
        }
    )
    asked = Log.open(table).questions("slates")
    assert [asked.histories.item_ids(i) for i in range(3)] == [["a"], ["a", "b"], []]
    assert asked.candidates.offsets.tolist() == [0, 2, 3, 4]
    assert asked.label.tolist() == [1, 0, 0, 1]
    assert asked.weight.tolist() == [1, 7, 1, 1]
    assert set(asked.context) == {"shelf"}
    one = asked[1:2]
    assert one.label.tolist() == [0]
    assert len(one.histories) == 1


def test_all_labelled_means_every_event_is_both():
    table = pa.table({"user": [1, 1], "item": ["a", "b"], "time": [1, 2], "label": [1.0, 0.0], "value": [5.0, 1.0]})
    asked = Log.open(table).questions("slates")
    assert [asked.histories.item_ids(i) for i in range(2)] == [[], ["a"]]
    assert "value" not in asked.context, "the rating of the asking event is its outcome"


def test_last_cuts_between_groups():
    table = pa.table({"user": [1] * 6, "item": list("abcdef"), "time": [1, 2, 2, 2, 3, 4]})
    h = Log.open(table).histories()
    assert h.last(3).item_ids(0) == ["e", "f"]
    assert h.last(5).item_ids(0) == ["b", "c", "d", "e", "f"]
    basket = Log.open(pa.table({"user": [1] * 3, "item": list("abc"), "time": [1, 1, 1]})).histories()
    assert basket.last(2).lengths.tolist() == [2], "a single group larger than the limit is not lost"


def test_histories_of_lists():
    h = Histories.of([["b", "a", "b"], [], ["c"]], users=["u1", None, "u2"])
    assert [h.item_ids(i) for i in range(3)] == [["b", "a", "b"], [], ["c"]]
    assert h.users.tolist() == [0, -1, 1]
