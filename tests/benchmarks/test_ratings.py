import numpy as np
import pytest
from benchmarks.cases.ctr import PAIRS, flops
from benchmarks.peers import fuxictr
from benchmarks.ratings import KINDS, LENGTH, PARTS, ratings

from ethogram.errors import MissingData


@pytest.fixture(scope="module")
def table():
    try:
        return ratings()
    except MissingData as error:
        pytest.skip(str(error))


def test_a_row_holds_what_was_liked_before_and_each_person_ends_in_the_test(table):
    rows = table.rows.select(["user_id", "item_id", "label", "click_history"]).to_pylist()
    assert [int((table.part == i).sum()) for i in range(3)] == [96_177, 942, 942]
    liked, last = {}, {}
    for i, row in enumerate(rows):
        mine = liked.setdefault(row["user_id"], list(row["click_history"]))
        assert 0 < len(row["click_history"]) <= LENGTH
        assert row["click_history"] == mine[-LENGTH:]
        if row["label"]:
            mine.append(row["item_id"])
        last[row["user_id"]] = i
    assert sorted(last.values()) == np.flatnonzero(table.part == 2).tolist()


def test_three_histories_hold_what_was_rated_before_by_kind():
    made = ratings(kinds=True)
    assert made.rows.schema.names[6:9] == list(KINDS.values())
    rows, asked = made.of("test"), made.log.split("leave-last-out").test.questions("goals")
    place, features = np.argsort(asked.histories.time), made.log.features()
    assert len(rows) == len(place)
    for kind, column in KINDS.items():
        code = asked.histories.vocabularies["kind"].encode([kind])[0]
        past = asked.histories.only(np.asarray(asked.histories.columns["kind"]) == code).last(LENGTH)
        ids = past.vocabularies["item"].decode(past.item).to_numpy(zero_copy_only=False)
        mine = [ids[past.start[i] : past.stop[i]].tolist() for i in place]
        assert mine == rows[column].to_pylist()
    assert "kind" not in {c.name for c in features.of("item")}


def test_the_log_asks_the_same_questions_as_the_table(table):
    cut = table.log.split("leave-last-out")
    for part in PARTS:
        asked, rows = getattr(cut, part).questions("slates"), table.of(part)
        place = np.argsort(asked.histories.time)
        items = asked.candidates.vocabulary.decode(asked.candidates.flat(len(asked))[0]).to_numpy(zero_copy_only=False)
        assert items[place].tolist() == rows["item_id"].to_pylist()
        assert asked.label[place].tolist() == rows["label"].to_pylist()
        some, past = place[-50:], asked.histories.last(LENGTH)
        ids = past.vocabularies["item"].decode(past.item).to_numpy(zero_copy_only=False)
        mine = [ids[past.start[i] : past.stop[i]].tolist() for i in some]
        assert mine == rows["click_history"].to_pylist()[-50:]


def test_the_files_that_the_peer_reads_hold_the_rows(table, tmp_path):
    fuxictr.write(table, tmp_path)
    first = table.of("test").slice(0, 1).to_pylist()[0]
    header, line, *rest = (tmp_path / "test.csv").read_text().splitlines()
    told = dict(zip(header.replace('"', "").split(","), line.replace('"', "").split(","), strict=True))
    assert told["click_history"].split("^") == first["click_history"]
    assert (told["user_id"], told["item_id"], told["label"]) == (
        first["user_id"], first["item_id"], str(first["label"]),
    )  # fmt: skip
    assert len(rest) == 941


def test_the_work_of_an_example_is_that_of_the_layers():
    assert flops(PAIRS[1]) == 6 * (112 * 128 + 128 * 64 + 64)
    assert flops(PAIRS[0]) - flops(PAIRS[1]) == 6 * 50 * (64 * 64 + 64 + 16)
    sdim = next(p for p in PAIRS if p.key == "sdim")
    assert flops(sdim) == 6 * (128 * 128 + 128 * 64 + 64 + 8 * 16 * 201 + 2 * 64 * (16 + 17 * 50))
