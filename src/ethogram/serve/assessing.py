"""Risks of people as they are now: stored history and what a request brings, judged as one log, with reasons.

Each request is judged alone, so that no answer depends on who else asked at the same moment. What a system reads beside
events (the users' side table) is the request's `profile`, and `decided`, the instant of the decision: now, or the time
that the request names; events at or behind it are not read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from msgspec import UNSET

from ethogram.errors import EthogramError
from ethogram.log import Log
from ethogram.log.roles import ROLES
from ethogram.numeric.rules import Rule
from ethogram.serve import wire
from ethogram.serve.problems import Refused
from ethogram.serve.shelf import Served
from ethogram.serve.state import Entry, Store

OWN = ("user", "item", "time", "kind", "event", "user_code", "item_code", "user_id", "item_id")
"""Names that an event's further fields cannot have in a log; such a field is not read."""
STRANGER = "stranger"


@dataclass(frozen=True)
class Case:
    """What is to be judged.

    Attributes
    ----------
    brought : events of the request. asked : instant of the decision, microseconds. profile : what is known of the user.
    """

    served: Served
    user: str | None
    session: str | None
    brought: Sequence[Entry]
    asked: int
    profile: Mapping[str, Any] = field(default_factory=dict)


class Assessing:
    """Judges cases one by one.

    Parameters
    ----------
    rules : model -> (cluster, rule) that were found before; those that a case meets are told with it.
    """

    def __init__(self, store: Store, rules: Mapping[str, Sequence[tuple[str, Rule]]] | None = None):
        self.store, self.rules = store, dict(rules or {})

    def __call__(self, cases: list[Case]) -> list[wire.Assessed | Exception]:
        return [self._judged(case) for case in cases]

    def _judged(self, case: Case) -> wire.Assessed:
        held = () if case.user is None else self.store.user(case.user, None).ring
        ids = {k.entry.id for k in held}
        fresh = [e for e in case.brought if e.id not in ids]
        stored = [k.entry for k in held if k.entry.time < case.asked]
        events = sorted([*stored, *fresh], key=lambda e: e.time)
        if not events:
            right = "events, or the id of a user that the store knows"
            raise Refused("invalid", "There is nothing to judge: no event is known.", "$.events", right)
        log = as_log(events, case)
        row = self._case(log, case)
        served = case.served
        read = "both" if stored and fresh else "store" if stored else "request"
        risk = float(row["risk"]) if row.get("risk") is not None else math.nan
        if not 0 <= risk <= 1:
            raise ValueError(f"{served.name}: a risk of {risk}")
        met = [wire.Met(cluster=c, rule=str(r)) for c, r in self._rules(served, log, row)]
        return wire.Assessed(
            risk=risk, reason=str(row.get("reason") or ""), reasons=[_reason(r) for r in row.get("reasons") or ()],
            model=served.name, version=served.version, read=read, events=len(events),  # type: ignore[arg-type]
            session=UNSET if row.get("session") is None else str(row["session"]),
            cluster=UNSET if row.get("cluster") is None else str(row["cluster"]),
            rules=met if served.name in self.rules else UNSET,
        )  # fmt: skip

    def _case(self, log: Log, case: Case) -> dict[str, Any]:
        """The system's row: of the session that is named, else of the latest."""
        try:
            table = case.served.system.assess(log)
        except EthogramError as error:
            said = " ".join(str(error).split())
            right = "events as in the log that the model learned from"
            raise Refused("invalid", f"The model cannot judge this. {said}", "$.events", right) from error
        rows: list[dict[str, Any]] = table.to_pylist()
        if "session" not in table.column_names:
            if case.session is not None:
                right = "leave 'session' out"
                raise Refused("invalid", f"Model '{case.served.name}' judges whole users.", "$.session", right)
            return rows[0]
        named = {str(r["session"]): r for r in rows}
        if case.session is not None:
            if case.session not in named:
                there = f"one of {', '.join(list(named)[:10])}"
                raise Refused("invalid", "No event is of this session.", "$.session", there)
            return named[case.session]
        return max(rows, key=lambda r: _last(log, r["session"]))

    def _rules(self, served: Served, log: Log, row: Mapping[str, Any]) -> list[tuple[str, Rule]]:
        known = self.rules.get(served.name, ())
        if not known:
            return []
        facts = rule_facts(served.system, log, row.get("session"))
        # what is not known of a case fulfils no condition; a number's column of nothing is one of NaN
        for rule in (r for _, r in known):
            for c in rule.conditions:
                facts.setdefault(c.column, [None] if c.values else [math.nan])
        return [(cluster, rule) for cluster, rule in known if bool(rule.applies(facts)[0])]


def as_log(events: Sequence[Entry], case: Case) -> Log:
    """Events of one person, oldest first, as the log that a system reads."""
    names = [n for n in dict.fromkeys(k for e in events for k in e.content) if n not in OWN]
    user = case.user or STRANGER
    made: dict[str, Any] = {
        "user_id": [user] * len(events),
        "item_id": [e.item for e in events],
        "time": pa.array([e.time for e in events], pa.timestamp("us", "UTC")),
        "kind": [e.kind or None for e in events],
        **{n: _column([e.content.get(n) for e in events]) for n in names},
    }
    decided = getattr(case.served.system, "decided", None)
    told = {n: [v] for n, v in case.profile.items() if v is not None and n not in ("user", "user_id")}
    told[decided if isinstance(decided, str) else "decided"] = pa.array([case.asked], pa.timestamp("us", "UTC"))
    absent = [n for n in ("item_id", "kind") if all(v is None for v in made[n])]
    table = pa.table({n: v for n, v in made.items() if n not in absent})
    roles: dict[str, Any] = {r: c for r, c in (("item", "item_id"), ("kind", "kind")) if c not in absent}
    log = Log.open(table, user="user_id", time="time", users=pa.table({"user": [user], **told}), **roles)
    if log.events.quarantined:
        counts = ", ".join(f"{n} {reason}" for reason, n in log.events.quarantined.items())
        right = "events as in the log that the model learned from"
        raise Refused("invalid", f"Some events cannot be read: {counts}.", "$.events", right)
    return log


def rule_facts(system: Any, log: Log, session: Any) -> dict[str, Any]:
    """What rules read of a case, by column: one value each, as the system tells them, else the last that is known."""
    own = callable(getattr(system, "table", None))
    table = system.table(log) if own else log.table()
    if session is not None and "session" in table.column_names:
        rows = [str(s) == str(session) for s in table["session"].to_pylist()]
        table = table.filter(pa.array(rows))
    facts: dict[str, Any] = {}
    for name in table.column_names:
        if name in ROLES and name != "value" and not own:
            continue
        known = [v for v in table[name].to_pylist() if v is not None and v == v]
        if known:
            facts[name] = [known[-1]]
    return facts


def _last(log: Log, session: Any) -> int:
    table = log.table()
    rows = np.array([str(s) == str(session) for s in table["session"].to_pylist()])
    return int(table["time"].cast(pa.int64()).to_numpy()[rows].max(initial=-1))


def _column(values: list[Any]) -> pa.Array:
    """A field of the events; of several kinds, or with layers, as text."""
    plain = [str(v) if isinstance(v, dict | list) else v for v in values]
    try:
        return pa.array(plain)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if v is None else str(v) for v in plain], pa.string())


def _reason(given: Mapping[str, Any]) -> wire.Because:
    share = given.get("share")
    value = given.get("value")
    return wire.Because(
        what=str(given.get("what")), value=None if value is None else str(value),
        share=float(share) if share is not None and math.isfinite(share) else None,
    )  # fmt: skip
