"""Risks of people as they are now: stored history and what a request brings, judged as one log, with reasons.

No answer depends on who else asked at the same moment. Requests that wait together are judged by one call where the
system judges each person apart from the others (`Deciding`, whose contract says so) and their events and profiles have
the same columns; all others, and those of a call that fails, are judged one by one. What a system reads beside events
(the users' side table) is the request's `profile`, and `decided`, the instant of the decision: now, or the time that
the request names; events at or behind it are not read.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from msgspec import UNSET

from ethogram.errors import EthogramError
from ethogram.log import Log
from ethogram.log.roles import ROLES
from ethogram.numeric.deciding import Deciding
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


@dataclass(frozen=True)
class Read:
    """What is known of a case: its events, oldest first, where they are from, and both as tables without an id."""

    case: Case
    events: Sequence[Entry]
    source: str
    table: pa.Table
    about: pa.Table

    @property
    def shape(self) -> Hashable:
        """Equal for cases that one call may judge."""
        return id(self.case.served), *((f.name, f.type) for t in (self.table, self.about) for f in t.schema)


class Assessing:
    """Judges cases, those that may be by one call.

    Parameters
    ----------
    rules : model -> (cluster, rule) that were found before; those that a case meets are told with it.
    """

    def __init__(self, store: Store, rules: Mapping[str, Sequence[tuple[str, Rule]]] | None = None):
        self.store, self.rules = store, dict(rules or {})

    def __call__(self, cases: list[Case]) -> list[wire.Assessed | Exception]:
        answers: list[Any] = [None] * len(cases)
        groups: dict[Hashable, list[tuple[int, Read]]] = {}
        for i, case in enumerate(cases):
            try:
                read = self._read(case)
            except Exception as error:
                answers[i] = error
                continue
            alone = not isinstance(case.served.system, Deciding) or case.session or case.served.name in self.rules
            groups.setdefault(i if alone else read.shape, []).append((i, read))
        for group in groups.values():
            found = self._together([read for _, read in group])
            for (i, _), answer in zip(group, found, strict=True):
                answers[i] = answer
        return answers

    def _read(self, case: Case) -> Read:
        held = () if case.user is None else self.store.user(case.user, None).ring
        ids = {k.entry.id for k in held}
        fresh = [e for e in case.brought if e.id not in ids]
        stored = [k.entry for k in held if k.entry.time < case.asked]
        events = sorted([*stored, *fresh], key=lambda e: e.time)
        if not events:
            right = "events, or the id of a user that the store knows"
            raise Refused("invalid", "There is nothing to judge: no event is known.", "$.events", right)
        source = "both" if stored and fresh else "store" if stored else "request"
        return Read(case, events, source, *as_tables(events, case))

    def _together(self, reads: list[Read]) -> Sequence[wire.Assessed | Exception]:
        """Answers to reads of one shape; what fails for several is asked one by one, so that it fails for one."""
        try:
            if len(reads) == 1:
                log = as_log(reads, [reads[0].case.user or STRANGER])
                return [self._answer(reads[0], self._case(log, reads[0].case), log)]
            names = [f"{n:06d}" for n in range(len(reads))]
            log = as_log(reads, names)
            rows = {r["user"]: r for r in reads[0].case.served.system.assess(log).to_pylist()}
            return [self._answer(read, rows[name], log) for name, read in zip(names, reads, strict=True)]
        except Exception as error:
            return [error] if len(reads) == 1 else [self._together([read])[0] for read in reads]

    def _answer(self, read: Read, row: Mapping[str, Any], log: Log) -> wire.Assessed:
        served = read.case.served
        risk = float(row["risk"]) if row.get("risk") is not None else math.nan
        if not 0 <= risk <= 1:
            raise ValueError(f"{served.name}: a risk of {risk}")
        met = [wire.Met(cluster=c, rule=str(r)) for c, r in self._rules(served, log, row)]
        return wire.Assessed(
            risk=risk, reason=str(row.get("reason") or ""), reasons=[_reason(r) for r in row.get("reasons") or ()],
            model=served.name, version=served.version, read=read.source, events=len(read.events),  # type: ignore[arg-type]
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


def as_tables(events: Sequence[Entry], case: Case) -> tuple[pa.Table, pa.Table]:
    """(events, oldest first; what is known of the person) as the columns of a log, but for the person's id."""
    names = [n for n in dict.fromkeys(k for e in events for k in e.content) if n not in OWN]
    made: dict[str, Any] = {
        "item_id": [e.item for e in events],
        "time": pa.array([e.time for e in events], pa.timestamp("us", "UTC")),
        "kind": [e.kind or None for e in events],
        **{n: _column([e.content.get(n) for e in events]) for n in sorted(names)},
    }
    if "value" in made and pa.types.is_integer(made["value"].type):
        made["value"] = made["value"].cast(pa.float64())  # what a log makes of it anyway
    absent = [n for n in ("item_id", "kind") if all(v is None for v in made[n])]
    decided = getattr(case.served.system, "decided", None)
    told = {n: [v] for n, v in sorted(case.profile.items()) if v is not None and n not in ("user", "user_id")}
    told[decided if isinstance(decided, str) else "decided"] = pa.array([case.asked], pa.timestamp("us", "UTC"))
    return pa.table({n: v for n, v in made.items() if n not in absent}), pa.table(told)


def as_log(reads: Sequence[Read], ids: Sequence[str]) -> Log:
    """What is known of people, under ids of their own, as the log that a system reads; all have the same columns."""
    lengths = [len(r.table) for r in reads]
    table = pa.concat_tables([r.table for r in reads])
    users = pa.concat_tables([r.about for r in reads])
    owner = pa.DictionaryArray.from_arrays(np.repeat(np.arange(len(ids), dtype=np.int32), lengths), pa.array(ids))
    roles: dict[str, Any] = {r: c for r, c in (("item", "item_id"), ("kind", "kind")) if c in table.column_names}
    log = Log.open(
        table.add_column(0, "user_id", owner.cast(pa.string())), user="user_id", time="time",
        users=users.add_column(0, "user", pa.array(ids)), **roles,
    )  # fmt: skip
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
