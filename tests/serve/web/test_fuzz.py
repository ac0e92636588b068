"""Whatever comes: the parser of events either gives entries that say what was sent, or refuses with a place."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ethogram.serve import parse
from ethogram.serve.limits import Limits
from ethogram.serve.problems import Refused

LIMITS, NOW = Limits(batch=50), 1_800_000_000.0
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=80), inner, max_size=4),
    max_leaves=12,
)
likely = {
    "event_id": st.sampled_from(["e1", "e2"]) | values,
    "user_id": st.text(max_size=260) | values,
    "item_id": st.text(min_size=1, max_size=20) | st.integers() | values,
    "kind": st.sampled_from(["view", "decision"]) | values,
    "time": st.sampled_from(["2026-01-01T00:00:00Z", 1, 1.5e9, 1e12]) | st.datetimes().map(str) | values,
}
events = st.fixed_dictionaries(likely, optional={"label": values, "note": values}) | values
batches = st.lists(events, max_size=4).map(lambda e: {"events": e}) | values


def _is_clear(refused: Refused) -> None:
    assert 400 <= refused.status < 500
    assert refused.problem.detail
    assert refused.problem.where
    assert len(refused.body) < 2_000


def checked(body: bytes) -> None:
    try:
        entries = parse.events(body, LIMITS, NOW)
    except Refused as found:
        _is_clear(found)
        return
    sent = json.loads(body)["events"]
    assert len(entries) == len(sent) > 0
    for entry, event in zip(entries, sent, strict=True):
        assert (entry.id, entry.user, entry.kind) == (event["event_id"], event["user_id"], event["kind"])
        assert entry.item == (None if event.get("item_id") is None else str(event["item_id"]))
        for text in (entry.id, entry.user, entry.item, entry.kind):
            assert text is None or (0 < len(text) <= 256 and not re.search(r"[\x00-\x1f\x7f]", text))
        assert 0 <= entry.time <= (NOW + LIMITS.ahead) * 1e6
        assert entry.content == {k: v for k, v in event.items() if k not in parse.FIELDS}
    by_id: dict = {}
    assert all(by_id.setdefault(e.id, e) == e for e in entries)


@settings(max_examples=120)
@given(batches)
@example({"events": [{"event_id": "e", "user_id": "u\n", "kind": "view", "time": 1}]})
@example({"events": [{"event_id": "e", "user_id": "u", "item_id": "i", "kind": "view", "time": True}]})
@example({"events": [{"event_id": "e", "user_id": "u", "item_id": 10**30, "kind": "view", "time": 1}]})
def test_any_json(batch):
    checked(json.dumps(batch).encode("utf-8", "surrogatepass"))


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_any_bytes(body):
    checked(body)


@settings(max_examples=200)
@given(st.data())
def test_a_good_batch_with_one_byte_changed(data):
    good = b'{"events": [{"event_id": "e1", "user_id": "u1", "item_id": "3", "kind": "view", "time": 1700000000}]}'
    at = data.draw(st.integers(0, len(good) - 1))
    changed = good[:at] + bytes([data.draw(st.integers(0, 255))]) + good[at + 1 :]
    try:
        json.loads(changed)
    except ValueError:
        with pytest.raises(Refused):
            parse.events(changed, LIMITS, NOW)
    else:
        checked(changed)
