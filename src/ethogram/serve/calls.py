"""The calls of the service as data: what a client sends, and the type of what comes back. No sockets here."""

from __future__ import annotations

import time as clock
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import msgspec

from ethogram.errors import (
    EventConflict,
    KeyRefused,
    OptionError,
    ServiceBusy,
    ServiceDown,
    ServiceError,
    ServiceRefused,
)
from ethogram.serve import wire

T = TypeVar("T")
AGAIN = (429, 502, 503, 504)
"""Answers after which the same call may succeed."""
FIRST_WAIT, LONGEST_WAIT = 0.1, 5.0


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request, the same at every attempt."""

    method: str
    path: str
    answer: type[T]
    body: bytes | None = None


def send(events: Iterable[Mapping[str, Any]]) -> Call[wire.Received]:
    """Store events; comes back when they are durable.

    Parameters
    ----------
    events : mappings with `user_id`, `item_id`, `kind`; `event_id` is made and `time` is now where they are absent
        (before the first attempt, so that a retry stores nothing twice). Times may be datetimes; further fields are
        kept with the event.

    Raises
    ------
    EventConflict
        An id is taken by other content; `outcomes` says what became of each event.
    """
    made = [_event(e) for e in events]
    if not made:
        raise OptionError("send: no events; give at least one.")
    return Call("POST", "/v1/events", wire.Received, msgspec.json.encode({"events": made}))


def rank(
    candidates: Sequence[str | int],
    *,
    user: str | int | None = None,
    history: Sequence[str | int | Mapping[str, Any]] | None = None,
    k: int | None = None,
    model: str | None = None,
    context: Mapping[str, Any] | None = None,
    explain: bool = False,
    experiment: str | None = None,
    record: bool = False,
) -> Call[wire.Answer]:
    """Judge candidates, the best first: for whom the store knows, or for a stranger with a history."""
    fields = {
        "candidates": list(candidates), "user_id": _id(user), "history": history, "k": k, "model": model,
        "context": context, "explain": explain, "experiment": experiment, "record": record,
    }  # fmt: skip
    return Call("POST", "/v1/rank", wire.Answer, _body(fields))


def recommend(
    *,
    user: str | int | None = None,
    history: Sequence[str | int | Mapping[str, Any]] | None = None,
    k: int = 10,
    model: str | None = None,
    ranker: str | None = None,
    among: Sequence[str | int] | None = None,
    exclude_seen: bool | None = None,
    explain: bool = False,
    experiment: str | None = None,
    record: bool = False,
) -> Call[wire.Answer]:
    """Choose from the whole catalogue: for whom the store knows, or for a stranger with a history."""
    fields = {
        "user_id": _id(user), "history": history, "k": k, "model": model, "ranker": ranker, "among": among,
        "exclude_seen": exclude_seen, "explain": explain, "experiment": experiment, "record": record,
    }  # fmt: skip
    return Call("POST", "/v1/recommend", wire.Answer, _body(fields))


def assess(
    *,
    user: str | int | None = None,
    events: Sequence[Mapping[str, Any]] | None = None,
    session: str | int | None = None,
    time: Any = None,
    profile: Mapping[str, Any] | None = None,
    model: str | None = None,
) -> Call[wire.Assessed]:
    """Judge a risk, with reasons: of whom the store knows, with events that are not stored yet, or of a stranger.

    Parameters
    ----------
    events : mappings with `item_id`, `kind`, `time` (now where it is absent) and what else the model reads (`value`,
        `session` ...); they are not stored. time : of the decision, now if not given; a datetime, or what events take.
    profile : what is known of the user beside events.
    """
    made = None if events is None else [{**e, **({"time": _time(e["time"])} if "time" in e else {})} for e in events]
    fields = {
        "user_id": _id(user), "events": made, "session": _id(session), "time": _time(time), "profile": profile,
        "model": model,
    }  # fmt: skip
    return Call("POST", "/v1/assess", wire.Assessed, _body(fields))


def user(user: str | int, *, limit: int = 100) -> Call[wire.Person]:
    """What is stored of somebody; a count of 0 where nothing is."""
    return Call("GET", f"/v1/users/{quote(str(user), safe='')}?limit={limit}", wire.Person)


def forget(user: str | int) -> Call[wire.Forgotten]:
    """Forget somebody; the answer names the models that were trained before."""
    return Call("DELETE", f"/v1/users/{quote(str(user), safe='')}", wire.Forgotten)


def models() -> Call[wire.Models]:
    """Models and experiments."""
    return Call("GET", "/v1/models", wire.Models)


def activate(name: str, version: str | None = None, *, wait: float = 30.0) -> Call[wire.Model]:
    """Let a version answer, the newest if none is named; `preparing` tells that `wait` seconds were too few."""
    body = _body({"version": version, "wait": wait})
    return Call("POST", f"/v1/models/{quote(name, safe='')}/activate", wire.Model, body)


def roll_back(name: str) -> Call[wire.Model]:
    """Let the version answer again that answered before."""
    return Call("POST", f"/v1/models/{quote(name, safe='')}/rollback", wire.Model)


def ready() -> Call[wire.Health]:
    """Whether the service can answer, and make writes durable."""
    return Call("GET", "/readyz", wire.Health)


def answered(call: Call[T], status: int, body: bytes, headers: Mapping[str, str]) -> T:
    """The answer of a call as its type.

    Raises
    ------
    ServiceError
        The kind that fits: KeyRefused, EventConflict, ServiceRefused, ServiceBusy, ServiceDown.
    """
    try:
        if status in (200, 202):
            return msgspec.json.decode(body, type=call.answer)
        problem = msgspec.json.decode(body, type=wire.Problem)
    except msgspec.MsgspecError:
        error = ServiceDown(f"{call.method} {call.path}: status {status}, and no answer of this service.")
        error.again = status in AGAIN
        raise error from None
    where = f" ({problem.where})" if problem.where else ""
    right = f" Right would be: {problem.right}." if problem.right else ""
    said = f"{call.method} {call.path}: {problem.detail}{where}{right}"
    kind: type[ServiceError] = {
        401: KeyRefused,
        403: KeyRefused,
        409: EventConflict if call.answer is wire.Received else ServiceRefused,
    }.get(status, ServiceRefused)
    if status in AGAIN:
        kind = ServiceBusy
    elif status >= 500:
        kind = ServiceDown
    error_ = kind(said)
    error_.again = status in AGAIN
    error_.status, error_.where, error_.right = status, problem.where, problem.right
    if isinstance(error_, EventConflict) and problem.outcomes is not msgspec.UNSET:
        error_.outcomes = tuple((o.event_id, o.status) for o in problem.outcomes)
    after = headers.get("retry-after", "")
    error_.after = float(after) if after.isdigit() else None
    raise error_


def wait(attempt: int, error: ServiceError, chance: float) -> float:
    """Seconds before the next attempt: what the service asked for, else doubling; `chance` (of [0, 1)) spreads them."""
    asked = error.after if error.after is not None else min(FIRST_WAIT * 2**attempt, LONGEST_WAIT)
    return asked * (0.75 + 0.5 * chance)


def _event(given: Mapping[str, Any]) -> dict[str, Any]:
    event = {"event_id": uuid.uuid4().hex, "time": clock.time_ns() // 1_000, **given}
    for name in ("event_id", "user_id"):
        event[name] = _id(event.get(name))
    event["time"] = _time(event["time"])
    return event


def _time(given: Any) -> Any:
    if not isinstance(given, datetime):
        return given
    if given.tzinfo is None:
        raise OptionError(f"send: the time {given.isoformat()} names no zone; give one, such as datetime.now(UTC).")
    return given.astimezone(UTC).isoformat()


def _id(given: Any) -> str | None:
    return None if given is None else str(given)


def _body(fields: Mapping[str, Any]) -> bytes:
    """A request as JSON; what was not given is left out."""
    given = {k: v for k, v in fields.items() if v is not None and v is not False}
    if fields.get("exclude_seen") is False:
        given["exclude_seen"] = False
    if history := given.get("history"):
        given["history"] = [
            {**p, **({"time": _time(p["time"])} if "time" in p else {})} if isinstance(p, Mapping) else p
            for p in history
        ]
    return msgspec.json.encode(given)
