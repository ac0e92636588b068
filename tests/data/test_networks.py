"""Real networks, read from small files of their form."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ethogram import data
from ethogram.errors import MissingData


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("ETHOGRAM_DATA", str(tmp_path))
    monkeypatch.setenv("ETHOGRAM_CACHE", str(tmp_path / "cache"))
    for name in ("social", "oasis", "emtract"):
        (tmp_path / name).mkdir()
    return tmp_path


def rows(log, *columns):
    return [tuple(r[c] for c in columns) for r in log.table().sort_by("event").to_pylist()]


@pytest.mark.parametrize("header", ["", "src dst time\n"])
def test_messages(folder, header):
    (folder / "social" / "CollegeMsg.txt").write_text(header + "1 2 1082040961\n3 4 1082155839\n")
    log = data.load("college_messages")
    assert rows(log, "user", "item", "kind") == [(1, 2, "message"), (3, 4, "message")]
    assert log.table()["time"].to_pylist()[0].isoformat() == "2004-04-15T14:56:01+00:00"


def test_congress_acts_on_what_the_influential_wrote(folder):
    (folder / "social" / "congress.edgelist").write_text("0 4 0.25 \n7 0 0.5 \n")
    assert rows(data.load("congress_twitter"), "user", "item", "weight") == [(4, 0, 0.25), (0, 7, 0.5)]


def test_follows(folder):
    text = 'user,following_agentid_list,description\n0,"[1, 2]","a\nb"\n1,[],c\n2,"[0]",d\n'
    (folder / "oasis" / "197_progressive.csv").write_text(text)
    assert rows(data.load("twitter_follows"), "user", "item", "kind") == [
        (0, 1, "follow"), (0, 2, "follow"), (2, 0, "follow")
    ]  # fmt: skip


def test_posts_of_investors_go_by_the_share_that_they_name_first(folder):
    body = ["up! $AAPL and $TSLA", "nothing  \n here", "$TSLA"]
    pq.write_table(pa.table({"label": [1, 0, 6], "text": body, "body": body}), folder / "emtract/tagged_sample.parquet")
    log = data.load("investor_posts")
    assert sorted(rows(log, "user", "text", "emotion")) == [
        ("on AAPL", "up! $AAPL and $TSLA", "happy"), ("on TSLA", "$TSLA", "fear"),
        ("on nothing", "nothing here", "neutral"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["college_messages", "congress_twitter", "twitter_follows", "investor_posts"])
def test_absent_files_are_named(folder, name):
    with pytest.raises(MissingData, match="Set ETHOGRAM_DATA"):
        data.load(name)
