"""Records of messages: what is read, what is refused, and that nothing is lost on the way through a log."""

import json

import numpy as np
import pyarrow as pa
import pytest

from ethogram.errors import OptionError, RolesError, SourceError
from ethogram.log import Log
from ethogram.log.messages import Messages, holds_records, of_records, read

RECORD = {
    "communicator": "acme", "message": "m1", "channel": "letter", "time": "2024-05-01T10:00:00Z", "audience": 12000,
    "position": 2, "title": "Bread in an hour", "body": "Mix and wait.",
    "scenes": [{"text": "flour", "replay": 40}, {"text": "water"}], "behaviour": {"ctr": 3.5, "views": 900},
    "comment": {"sentiment": "positive", "reason": "topic"}, "about": {"topic": "food"},
}  # fmt: skip
BARE = {"communicator": "zeta", "message": "m2", "title": "Only a title"}


def test_a_record_comes_through_whole(tmp_path):
    path = tmp_path / "messages.jsonl"
    path.write_text(json.dumps(RECORD) + "\n\n" + json.dumps(BARE | {"time": "2024-05-02T00:00:00Z"}) + "\n")
    assert holds_records(path)
    for log in (read(path), Log.open(read(path).write(tmp_path / "log").source.path), Messages.of(read(path)).log()):
        made = Messages.of(log)
        assert made.item == ["m1", "m2"]
        assert made.sender == ["acme", "zeta"]
        assert made.channel == ["letter", ""]
        assert made.time[0] == np.datetime64("2024-05-01T10:00:00", "us").astype(np.int64)
        assert made.audience[0] == 12000
        assert np.isnan(made.audience[1])
        assert made.position[0] == 2
        assert made.title == ["Bread in an hour", "Only a title"]
        assert made.body == ["Mix and wait.", ""]
        assert made.scenes == [["flour", "water"], []]
        assert made.replays[0][0] == 40
        assert np.isnan(made.replays[0][1])
        assert made.behaviour["ctr"][0] == 3.5
        assert np.isnan(made.behaviour["views"][1])
        assert made.comment == [{"sentiment": "positive", "reason": "topic"}, {}]
        assert made.about == [{"topic": "food"}, {}]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"communicator": None}, "'communicator' is missing"),
        ({"message": ""}, "'message' is missing"),
        ({"tittle": "x"}, "Did you mean 'title'"),
        ({"title": 5}, "'title' is int, not text"),
        ({"audience": "many"}, "'audience' is 'many', not a number"),
        ({"audience": -1}, r"'audience' = -1 lies outside \[0, inf\]"),
        ({"behaviour": [1]}, "'behaviour' is an object"),
        ({"behaviour": {"ctr": "high"}}, "behaviour 'ctr' is 'high'"),
        ({"scenes": {"text": "a"}}, "'scenes' is a list"),
        ({"scenes": [{"replay": 5}]}, "scene 0 has no 'text'"),
        ({"scenes": [{"text": "a", "replay": 140}]}, r"'replay' of scene 0 = 140 lies outside \[0, 100\]"),
        ({"title": "", "body": "", "scenes": []}, "has a title, a body or scenes"),
        ({"comment": {"mood": "good"}}, "'comment' has no 'mood'"),
        ({"about": {"topic": 3}}, "'about' is an object of names and words"),
    ],
)
def test_what_is_no_record_is_told_with_its_line(tmp_path, change, said):
    path = tmp_path / "messages.jsonl"
    path.write_text(json.dumps(BARE) + "\n" + json.dumps(RECORD | change) + "\n")
    with pytest.raises(SourceError, match=f"line 2: .*{said}"):
        read(path)
    with pytest.raises(OptionError, match=f"message 1: .*{said}"):
        of_records([BARE, RECORD | change])


def test_files_that_hold_no_messages_are_told(tmp_path):
    path = tmp_path / "messages.jsonl"
    for text, said in (("\n", "holds no message"), ("{", "line 1: it is not JSON"), ("[1]", "a JSON object")):
        path.write_text(text)
        with pytest.raises(SourceError, match=said):
            read(path)
    with pytest.raises(SourceError, match="cannot be read"):
        read(tmp_path / "nowhere.jsonl")
    path.write_text('{"user": 1}\n')
    assert not holds_records(path)
    path.write_text("{\n")
    assert not holds_records(path)


def test_records_without_a_clock_keep_their_order():
    log = of_records([BARE, BARE | {"message": "m3"}, BARE | {"message": "m1"}])
    assert Messages.of(log).item == ["m2", "m3", "m1"]


def test_logs_that_are_none_of_messages_are_told():
    with pytest.raises(RolesError, match="role 'item'"):
        Messages.of(Log.open(pa.table({"user": ["a"], "time": [1]})))
    with pytest.raises(RolesError, match="titles"):
        Messages.of(Log.open(pa.table({"user": ["a"], "item": ["m"], "time": [1]})))
    wrong = pa.table({"user": ["a"], "item": ["m"], "time": [1], "text": ["t"], "audience": ["many"]})
    with pytest.raises(RolesError, match="'audience'"):
        Messages.of(Log.open(wrong))
    for payload, said in (
        ({"scenes": "one"}, "'scenes' is a list of texts"),
        ({"scenes": ["a"], "replays": []}, "for each of 1 scenes"),
        ({"scenes": ["a"], "replays": [500]}, "outside"),
        ({"comment": ["nice"]}, "'comment' is an object"),
    ):
        table = pa.table({"user": ["a"], "item": ["m"], "time": [1], "text": ["t"], "payload": [json.dumps(payload)]})
        with pytest.raises(SourceError, match=f"message 'm': .*{said}"):
            Messages.of(Log.open(table))
