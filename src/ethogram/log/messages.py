"""Messages and what their receivers did: who sent what, to how many, over which channel, when, and the response.

A log of messages has one event for each message:

===============  ===================================================================================
`user`           the communicator (an account, a brand, a paper)
`item`           the message
`kind`, `time`   the channel, and when it was sent
`position`       its place in a feed or letter, from 0, where there is one
`text`, `body`   its title and its text; missing text of `messages` is content that is hidden
`audience`       how many it could reach (followers, subscribers)
`label_NAME`     what receivers did, a number each: ``label_views``, ``label_ctr`` ...; missing where nobody knows
`payload`        ``scenes`` (a list of texts), ``replays`` (0 to 100 for each scene, null where nobody knows),
                 ``comment`` (``sentiment`` and ``reason``, what receivers said), ``about`` (facts of the content,
                 each a word)
===============  ===================================================================================

`read` makes one from a file of records, a JSON object a line::

    {"communicator": "acme", "message": "m1", "channel": "letter", "time": "2024-05-01T10:00:00Z", "audience": 12000,
     "title": "Bread in an hour", "body": "...", "scenes": [{"text": "flour", "replay": 40}],
     "behaviour": {"ctr": 3.2}, "comment": {"sentiment": "positive", "reason": "topic"}, "about": {"topic": "food"}}

Only `communicator`, `message`, and a title, a body or scenes must be there; `time` is told of all messages or of none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError, RolesError, SourceError, nearest
from ethogram.log.goals import FURTHER
from ethogram.log.log import Log

FIELDS = (
    "communicator", "message", "channel", "time", "audience", "position", "title", "body", "scenes", "behaviour",
    "comment", "about",
)  # fmt: skip
SAID = ("sentiment", "reason")
TOP = 100.0
"""A replay is a number from 0 to this."""


@dataclass(frozen=True)
class Messages:
    """A log of messages in columns, in the log's order; n messages.

    Attributes
    ----------
    item, sender, channel : names. time : int64[n], microseconds since 1970 UTC.
    audience, position : float64[n], NaN where it is not told.
    title, body : texts, "" where there is none. scenes : the texts of each message's scenes.
    replays : float64 for each scene, NaN where nobody knows.
    behaviour : name -> float64[n], NaN where nobody knows.
    comment, about : what receivers said, and facts of the content, {} where there is nothing.
    """

    item: list[Any]
    sender: list[str]
    channel: list[str]
    time: np.ndarray
    audience: np.ndarray
    position: np.ndarray
    title: list[str]
    body: list[str]
    scenes: list[list[str]]
    replays: list[np.ndarray]
    behaviour: dict[str, np.ndarray]
    comment: list[Mapping[str, str]]
    about: list[Mapping[str, str]]

    def __len__(self) -> int:
        return len(self.item)

    @classmethod
    def of(cls, log: Log) -> Messages:
        """The messages of a log.

        Raises
        ------
        RolesError
            The log has no `item`, or neither titles, bodies nor scenes.
        SourceError
            The scenes, replays, comment or facts of a message have another shape; the message is told.
        """
        table = log.table()
        names = table.column_names
        if "item" not in names:
            raise RolesError("a log of messages has role 'item' (the message); see ethogram.log.messages.")
        if not {"text", "body", "payload"} & set(names):
            raise RolesError("a log of messages holds titles (role 'text'), column 'body', or scenes in the payload.")
        n = table.num_rows

        def words(name: str) -> list[str]:
            found = table.column(name).to_pylist() if name in names else [None] * n
            return ["" if v is None else str(v) for v in found]

        def numbers(name: str) -> np.ndarray:
            if name not in names:
                return np.full(n, np.nan)
            column = table.column(name)
            if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
                raise RolesError(f"column '{name}' of a log of messages holds {column.type}, not numbers.")
            return np.asarray(column.cast(pa.float64()).to_numpy(), np.float64).copy()

        item = table.column("item").to_pylist()
        payload = [
            json.loads(v) if v else {}
            for v in (table.column("payload").to_pylist() if "payload" in names else [None] * n)
        ]
        found = [_parts(p, i) for p, i in zip(payload, item, strict=True)]
        time = table.column("time").cast(pa.int64()).to_numpy() if "time" in names else np.zeros(n, np.int64)
        return cls(
            item, words("user"), words("kind"), np.asarray(time), numbers("audience"), numbers("position"),
            words("text"), words("body"), [f[0] for f in found], [f[1] for f in found],
            {c.removeprefix(FURTHER): numbers(c) for c in sorted(names) if c.startswith(FURTHER)},
            [f[2] for f in found], [f[3] for f in found],
        )  # fmt: skip

    def take(self, rows: Sequence[int] | np.ndarray) -> Messages:
        """Some of the messages, in this order."""
        at = np.asarray(rows, np.int64)

        def some(values: list[Any]) -> list[Any]:
            return [values[i] for i in at]

        return Messages(
            some(self.item), some(self.sender), some(self.channel), self.time[at], self.audience[at], self.position[at],
            some(self.title), some(self.body), some(self.scenes), some(self.replays),
            {k: v[at] for k, v in self.behaviour.items()}, some(self.comment), some(self.about),
        )  # fmt: skip

    def table(self) -> pa.Table:
        """The events of the messages in their order, without columns that hold nothing; see `roles`."""
        n = len(self)
        payload = []
        for scenes, replays, comment, about in zip(self.scenes, self.replays, self.comment, self.about, strict=True):
            told: dict[str, Any] = {}
            if scenes:
                told |= {"scenes": scenes, "replays": [None if np.isnan(r) else float(r) for r in replays]}
            told |= {k: dict(v) for k, v in (("comment", comment), ("about", about)) if v}
            payload.append(json.dumps(told) if told else None)
        table = {
            "user": pa.array(self.sender, pa.string()), "item": pa.array(self.item),
            "time": pa.array(self.time, pa.timestamp("us", "UTC")), "kind": pa.array(self.channel, pa.string()),
            "audience": _numbers(self.audience), "position": _numbers(self.position),
            "text": _texts(self.title), "body": _texts(self.body), "payload": pa.array(payload, pa.string()),
        }  # fmt: skip
        table |= {FURTHER + name: _numbers(v) for name, v in self.behaviour.items()}
        full = pa.table(table)
        return full.select([c for c in full.column_names if n == 0 or full.column(c).null_count < n])

    def log(self) -> Log:
        """The messages as a log."""
        table = self.table()
        return Log.open(table, strict=True, **_any(roles(table.column_names)))


def read(path: str | Path) -> Log:
    """A log of messages from a file of records, one JSON object a line; see the module.

    Raises
    ------
    SourceError
        The file cannot be read, or a line is no record: the line, what is wrong, and what would be right.
    """
    try:
        lines = Path(path).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} cannot be read as messages ({getattr(error, 'strerror', None) or error}).") from None
    found = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                found.append(_record(json.loads(line)))
            except ValueError as error:
                told = "it is not JSON" if isinstance(error, json.JSONDecodeError) else error
                raise SourceError(f"{path}, line {number}: {told}.") from None
    if not found:
        raise SourceError(f"{path} holds no message.")
    return of_records(found)


def holds_records(path: str | Path) -> bool:
    """Whether a file of JSON lines begins with a record of a message."""
    place = Path(path)
    if place.suffix not in (".jsonl", ".ndjson") or not place.is_file():
        return False
    try:
        with place.open("rb") as file:
            first = json.loads(file.readline())
    except ValueError:
        return False
    return isinstance(first, dict) and {"communicator", "message"} <= first.keys()


def of_records(records: Sequence[Mapping[str, Any]]) -> Log:
    """A log of messages from records as the lines of a file hold them.

    Raises
    ------
    OptionError
        A record is none; its number is told. RolesError, StrictError: as `Log.open`.
    """
    made = []
    for number, one in enumerate(records):
        try:
            made.append(_record(one))
        except ValueError as error:
            raise OptionError(f"message {number}: {error}.") from None
    names = sorted({b for r in made for b in r.get("behaviour", {})})
    rows: dict[str, list[Any]] = {
        "user": [r["communicator"] for r in made], "item": [r["message"] for r in made],
        "time": [r.get("time") for r in made], "kind": [r.get("channel") for r in made],
        "position": [r.get("position") for r in made], "text": [r.get("title") for r in made],
        "audience": [r.get("audience") for r in made], "body": [r.get("body") for r in made],
        **{FURTHER + b: [r.get("behaviour", {}).get(b) for r in made] for b in names},
        "payload": [_payload(r) for r in made],
    }  # fmt: skip
    kept = {c: v for c, v in rows.items() if any(x is not None for x in v)}
    played = roles(kept) | ({} if "time" in kept else {"order": "@row"})
    return Log.open(pa.table(kept), strict=True, **_any(played))


def roles(columns: Iterable[str]) -> dict[str, str]:
    """Role -> column of a table of messages: all but the audience, the body and the behaviours."""
    return {c: c for c in columns if c not in ("audience", "body") and not c.startswith(FURTHER)}


def _any(played: Mapping[str, str]) -> dict[str, Any]:
    """For `Log.open`, whose other options are no texts."""
    return dict(played)


def _payload(record: Mapping[str, Any]) -> str | None:
    told: dict[str, Any] = {k: record[k] for k in ("comment", "about") if record.get(k)}
    if record.get("scenes"):
        told["scenes"] = [s["text"] for s in record["scenes"]]
        told["replays"] = [s.get("replay") for s in record["scenes"]]
    return json.dumps(told) if told else None


def _record(told: Any) -> Mapping[str, Any]:
    """ValueError says what is wrong."""
    if not isinstance(told, Mapping):
        raise ValueError("a record is a JSON object")
    for name in told:
        if name not in FIELDS:
            raise ValueError(f"there is no field '{name}'.{nearest(name, FIELDS)} Fields: {', '.join(FIELDS)}")
    for name in ("communicator", "message"):
        if told.get(name) in (None, "") or isinstance(told[name], dict | list):
            raise ValueError(f"'{name}' is missing; it is a name")
    for name in ("title", "body", "channel"):
        if not isinstance(told.get(name, ""), str | None):
            raise ValueError(f"'{name}' is {_kind(told[name])}, not text")
    for name in ("audience", "position"):
        _number(told.get(name), f"'{name}'", 0.0)
    behaviour = told.get("behaviour") or {}
    if not isinstance(behaviour, Mapping):
        raise ValueError("'behaviour' is an object of names and numbers")
    for name, value in behaviour.items():
        _number(value, f"behaviour '{name}'")
    scenes = told.get("scenes") or []
    if not isinstance(scenes, list):
        raise ValueError("'scenes' is a list of objects with 'text' and 'replay'")
    for place, scene in enumerate(scenes):
        if not isinstance(scene, Mapping) or not isinstance(scene.get("text"), str):
            raise ValueError(f"scene {place} has no 'text'")
        _number(scene.get("replay"), f"'replay' of scene {place}", 0.0, TOP)
    if not (told.get("title") or told.get("body") or scenes):
        raise ValueError("a message has a title, a body or scenes")
    for name, known in (("comment", SAID), ("about", None)):
        _words(told.get(name) or {}, name, known)
    return told


def _number(value: Any, name: str, low: float = -np.inf, high: float = np.inf) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise ValueError(f"{name} is {value!r}, not a number")
    if not low <= value <= high:
        raise ValueError(f"{name} = {value} lies outside [{low:g}, {high:g}]")


def _words(value: Any, name: str, known: Sequence[str] | None) -> None:
    if not isinstance(value, Mapping) or not all(isinstance(v, str) and v.strip() for v in value.values()):
        raise ValueError(f"'{name}' is an object of names and words")
    for key in value:
        if known is not None and key not in known:
            raise ValueError(f"'{name}' has no '{key}'.{nearest(key, known)} It has: {', '.join(known)}")


def _kind(value: Any) -> str:
    return type(value).__name__


def _parts(payload: Mapping[str, Any], item: Any) -> tuple[list[str], np.ndarray, dict[str, str], dict[str, str]]:
    try:
        scenes, replays = payload.get("scenes") or [], payload.get("replays")
        replays = [None] * len(scenes) if replays is None else replays
        if not isinstance(scenes, list) or not all(isinstance(s, str) for s in scenes):
            raise ValueError("'scenes' is a list of texts")
        if not isinstance(replays, list) or len(replays) != len(scenes):
            raise ValueError(f"'replays' holds a number or null for each of {len(scenes)} scenes")
        for place, value in enumerate(replays):
            _number(value, f"replay {place}", 0.0, TOP)
        for name, known in (("comment", SAID), ("about", None)):
            _words(payload.get(name) or {}, name, known)
    except ValueError as error:
        raise SourceError(f"message {item!r}: {error}.") from None
    numbers = np.array([np.nan if r is None else float(r) for r in replays], np.float64)
    return scenes, numbers, dict(payload.get("comment") or {}), dict(payload.get("about") or {})


def _numbers(values: np.ndarray) -> pa.Array:
    return pa.array(values, pa.float64(), mask=np.isnan(values))


def _texts(values: Sequence[str]) -> pa.Array:
    return pa.array([v or None for v in values], pa.string())
