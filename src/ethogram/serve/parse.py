"""From a request's body to entries of the ledger: everything is checked before anything is written."""

from __future__ import annotations

import math
import re
import time as clock
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from ethogram.serve import wire
from ethogram.serve.limits import CONTENT, DEPTH, ID, NAME, Limits
from ethogram.serve.problems import Refused, decoded, invalid
from ethogram.serve.state import Entry, Kept

DECISION = "decision"
FIELDS = frozenset(f.name for f in msgspec.structs.fields(wire.Event))
_assess = msgspec.json.Decoder(wire.Assess)
_ANY: msgspec.json.Decoder[dict[str, Any]] = msgspec.json.Decoder(dict[str, Any])
_ZONE = re.compile(r"(?:Z|[+-]\d{2}:?\d{2})$", re.I)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LINE_END = re.compile(r"[\r\n]$")


def events(body: bytes, limits: Limits, now: float | None = None) -> list[Entry]:
    """The entries of a batch of events.

    Raises
    ------
    Refused
        The first thing that is wrong, with its place; then nothing of the batch may be stored.
    """
    now = clock.time() if now is None else now
    found = decoded(_ANY, body)
    if extra := next((k for k in found if k != "events"), None):
        raise Refused("invalid", f"There is no field '{shortened(extra)}'.", "$", 'one field, "events"')
    given = found.get("events")
    if not isinstance(given, list) or not given:
        said = (
            "It holds no events"
            if given == []
            else "The field 'events' is missing"
            if given is None
            else "It is no list"
        )
        raise Refused("invalid", f"{said}.", "$.events", '{"events": [{"event_id": ..., ...}, ...]}')
    if len(given) > limits.batch:
        raise Refused("too-large", f"{len(given):,} events at once.", "$.events", f"at most {limits.batch:,} a request")
    made = [_entry(event, f"$.events[{i}]", limits, now) for i, event in enumerate(given)]
    seen: dict[str, Entry] = {}
    for i, entry in enumerate(made):
        if seen.setdefault(entry.id, entry) != entry:
            raise Refused(
                "conflict", f"Event id '{entry.id}' stands twice in the batch, with two contents.",
                f"$.events[{i}].event_id", "one id, one event",
            )  # fmt: skip
    return made


def case(body: bytes, limits: Limits, now: float | None = None) -> tuple[list[Entry], wire.Assess]:
    """Events of a request that judges somebody, and the request itself.

    Raises
    ------
    Refused
        The first thing that is wrong, with its place.
    """
    now = clock.time() if now is None else now
    asked = decoded(_assess, body)
    for name in ("user_id", "session"):
        no_line_end(getattr(asked, name), f"$.{name}")
    for name, value in (asked.profile or {}).items():
        if isinstance(value, list | dict):
            raise Refused("invalid", "It has layers.", f"$.profile.{shortened(name)}", "a single value")
    raw = _ANY.decode(body).get("events") or []
    if len(raw) > limits.history:
        raise Refused("too-large", f"{len(raw):,} events at once.", "$.events", f"at most {limits.history:,}")
    made = []
    for n, (event, given) in enumerate(zip(asked.events or (), raw, strict=True)):
        where = f"$.events[{n}]"
        for name in ("event_id", "item_id", "kind"):
            no_line_end(getattr(event, name), f"{where}.{name}")
        if event.kind == DECISION:
            raise Refused("invalid", "The kind 'decision' is the service's own.", f"{where}.kind", "another kind")
        content = {k: v for k, v in given.items() if k not in FIELDS}
        if content:
            _check_content(content, where)
        at = round(now * 1e6) if event.time is None else microseconds(event.time, f"{where}.time")
        _check_past(at, where, limits, now)
        made.append(
            Entry(event.event_id or f"\0{n}", asked.user_id or "", text(event.item_id), event.kind or "", at, content)
        )
    return made, asked


def _entry(given: Any, where: str, limits: Limits, now: float) -> Entry:
    try:
        event = msgspec.convert(given, wire.Event)
    except msgspec.ValidationError as error:
        raise invalid(error, where) from None
    for name in ("event_id", "user_id", "item_id", "kind"):
        no_line_end(getattr(event, name), f"{where}.{name}")
    if event.kind == DECISION:
        raise Refused("invalid", "The kind 'decision' is the service's own.", f"{where}.kind", "another kind")
    content = {k: v for k, v in given.items() if k not in FIELDS}
    if content:
        _check_content(content, where)
    at = microseconds(event.time, f"{where}.time")
    _check_past(at, where, limits, now)
    return Entry(event.event_id, event.user_id, text(event.item_id), event.kind, at, content)


def _check_past(at: int, where: str, limits: Limits, now: float) -> None:
    if at > (now + limits.ahead) * 1e6:
        raise Refused(
            "invalid", f"The event lies {at / 1e6 - now:,.0f} seconds in the future.", f"{where}.time",
            f"a time that is past (clocks may differ by {limits.ahead:g} s); the clock here says {iso(now * 1e6)}",
        )  # fmt: skip


def _check_content(content: dict[str, Any], where: str) -> None:
    for name in content:
        if not 0 < len(name) <= NAME:
            raise Refused("invalid", f"A field's name has {len(name)} characters.", where, f"1 to {NAME}")
    size = len(msgspec.json.encode(content))
    if size > CONTENT:
        raise Refused("too-large", f"The event's own fields have {size:,} bytes.", where, f"at most {CONTENT:,}")
    if _depth(content) > DEPTH:
        raise Refused("invalid", "The event is nested too deeply.", where, f"at most {DEPTH} levels")


def _depth(value: Any) -> int:
    level, here = 0, [value]
    while here and level <= DEPTH:
        level += 1
        here = [i for v in here if isinstance(v, dict | list) for i in (v.values() if isinstance(v, dict) else v)]
        here = [v for v in here if isinstance(v, dict | list)]
    return level


def no_line_end(value: Any, where: str) -> None:
    """`$` in a pattern lets one last line end pass; this does not."""
    if isinstance(value, str) and _LINE_END.search(value):
        raise Refused("invalid", "It holds a control character.", where, wire.TEXT)


def ids(given: Sequence[str | int], where: str) -> list[str]:
    """Many ids as text.

    Raises
    ------
    Refused
        The first that is none.
    """
    made = [i if type(i) is str else str(i) for i in given]
    if "" in made or max(map(len, made), default=0) > ID or _CONTROL.search("".join(made)):
        for n, one in enumerate(made):
            if not 0 < len(one) <= ID or _CONTROL.search(one):
                raise Refused("invalid", f"'{shortened(one)}' is no id.", f"{where}[{n}]", wire.TEXT)
    return made


def text(item: str | int | None) -> str | None:
    return item if item is None or isinstance(item, str) else str(item)


def microseconds(time: str | int | float, where: str) -> int:
    """A time as microseconds UTC. Numbers are seconds below 1e11, milliseconds below 1e14, else microseconds.

    >>> microseconds("1970-01-01T00:00:01Z", "$"), microseconds(1_700_000_000, "$")
    (1000000, 1700000000000000)
    """
    right = "ISO 8601 with a zone, such as 2026-11-30T09:15:00Z, or unix seconds"
    if isinstance(time, str):
        if not _ZONE.search(time):
            raise Refused("invalid", f"'{shortened(time)}' names no zone, or is no time.", where, right)
        try:
            found = datetime.fromisoformat(time.upper().replace("Z", "+00:00"))
        except (ValueError, OverflowError):
            raise Refused("invalid", f"'{shortened(time)}' is no time.", where, right) from None
        try:
            since = found.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
        except OverflowError:
            raise Refused("invalid", f"'{shortened(time)}' is out of range.", where, right) from None
        at = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
        if at < 0:
            raise Refused("invalid", f"'{shortened(time)}' lies before 1970.", where, "a time of 1970 or later")
        return at
    if not math.isfinite(time):
        raise Refused("invalid", "The time is not finite.", where, right)
    scale = 1_000_000 if time < 1e11 else 1_000 if time < 1e14 else 1
    return round(time * scale)


def iso(at: float) -> str:
    """Microseconds UTC as ISO 8601; what no calendar holds stays a number."""
    try:
        found = datetime.fromtimestamp(at // 1_000_000, UTC).replace(microsecond=int(at % 1_000_000))
    except (ValueError, OverflowError, OSError):
        return str(int(at))
    return found.isoformat().replace("+00:00", "Z")


def sent(kept: Kept) -> dict[str, Any]:
    """An entry as the event that was sent."""
    entry = kept.entry
    head = {"event_id": entry.id, "user_id": entry.user, "item_id": entry.item, "kind": entry.kind}
    return {**head, "time": iso(entry.time), **entry.content}


def shortened(said: str) -> str:
    return said if len(said) <= 60 else f"{said[:57]}..."
