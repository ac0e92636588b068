"""Posts of a network as a log of who acted on whose content."""

import pyarrow as pa
import pytest

from ethogram import data
from ethogram.data.tweets import reading
from ethogram.errors import MissingData, RolesError, SourceError
from ethogram.log import Log

HEADER = (
    "id_str,user_id,created_at,full_text,retweeted_status.id,retweeted_status.user.id,in_reply_to_status_id,"
    "in_reply_to_user_id"
)
CSV = f"""{HEADER}
1311111111111111111,a,Wed Oct 07 20:19:24 +0200 2020,"first, of all
and a second line",,,,
1311111111111111112,b,Wed Oct 07 20:20:00 +0000 2020,RT,1311111111111111111,a,,
1311111111111111113,c,Wed Oct 07 20:21:00 +0000 2020,why?,,,1311111111111111112,b
1311111111111111114,c,Wed Oct 07 20:22:00 +0000 2020,gone,,,99,z
1311111111111111115,d,Wed Oct 07 20:23:00 +0000 2020,you!,,,,b
1311111111111111116,d,Wed Oct 07 20:24:00 +0000 2020,hm,77,,,
"""


def rows(log):
    return [(r["user"], r["kind"], r["item"]) for r in log.table().sort_by("time").to_pylist()]


def test_a_file_of_twitter(tmp_path, monkeypatch):
    monkeypatch.setenv("ETHOGRAM_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "tweets.csv"
    path.write_text(CSV)
    log = data.load("tweets", path=str(path))
    big = "13111111111111111"
    assert rows(log) == [
        ("a", "post", f"{big}11"), ("b", "repost", f"{big}11"), ("c", "reply", f"{big}12"), ("c", "reply", "99"),
        ("d", "reply", "of b"), ("d", "repost", "77"),
    ]  # fmt: skip
    first = log.table().sort_by("time").to_pylist()[0]
    assert first["time"].isoformat() == "2020-10-07T18:19:24+00:00"
    assert first["text"].endswith("a second line")
    authors = dict(zip(log.items["item"].to_pylist(), log.items["author"].to_pylist(), strict=True))
    assert authors[f"{big}11"] == "a"
    assert (authors["99"], authors["of b"], authors["77"]) == ("z", "b", None)


def test_jsonl_with_nested_fields(tmp_path):
    path = tmp_path / "tweets.jsonl"
    path.write_text(
        '{"id": 1, "user": {"id": 7}, "time": "2020-10-07T00:00:00Z", "quoted_status": {"id": 5, "user": {"id": 8}}}\n'
        '{"id": 2, "user": {"id": 9}, "time": "2020-10-08T00:00:00Z", "quoted_status": null}\n'
    )
    made = data.find("tweets")(path=str(path)).read()
    log = Log.open(made.events, items=made.items, **made.roles)
    assert rows(log) == [("7", "quote", "5"), ("9", "post", "2")]
    assert dict(zip(*(made.items[c].to_pylist() for c in ("item", "author")), strict=True))["5"] == "8"


def test_names_of_ones_own():
    table = pa.table({"nr": [1, 2], "who": ["x", "y"], "of": [None, 1.0]})
    made = reading(table, {"id": "nr", "author": "who", "reposted": "of"})
    assert made.events["item"].to_pylist() == ["1", "1"]
    assert made.events["kind"].to_pylist() == ["post", "repost"]
    assert "order" in made.events.column_names


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda p: data.load("tweets"), MissingData, "name it: tweets:path=FILE"),
        (lambda p: data.load("tweets", path=str(p / "none.csv")), MissingData, "no file"),
        (lambda p: reading(pa.table({"idd": [1], "user_id": [2]})), RolesError, "no column is the id of a post"),
        (lambda p: reading(pa.table({"id": [1], "user_id": [2]}), {"author": "nobody"}), RolesError, "is the author"),
        (lambda p: data.find("tweets")(path=str(p / "bad.csv"), columns=("autor:x",)).read(), RolesError, "author"),
        (lambda p: data.find("tweets")(path=str(p / "bad.csv")).read(), SourceError, "cannot be read as a table"),
        (lambda p: data.find("tweets")(path=str(p / "bad.parquet")).read(), SourceError, "cannot be read as a table"),
    ],
)
def test_bad_input(call, error, said, tmp_path):
    (tmp_path / "bad.csv").write_text("id,user_id\n1,2,3\n")
    (tmp_path / "bad.parquet").write_bytes(b"no parquet")
    with pytest.raises(error, match=said):
        call(tmp_path)
