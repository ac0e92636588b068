"""The cases that a system judged, with what is known of them: outcome, money, group, and when.

A system's `assess` tells `user` (`session` where a case is one), `risk` in [0, 1], and perhaps `time`. The log's side
table of users tells the rest, by columns of these names: the outcome (1 bad, 0 good, null not known yet; see
`OUTCOMES`), `decided` (when the case was decided on), `known` (when its outcome became known), `group` (a protected
attribute), and the money at stake (see `MONEY`). Where cases are sessions, the label of their events is the outcome if
no column of the users is, their last event the decision, and the money what the events' values add up to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ethogram.errors import OptionError, nearest
from ethogram.evaluate.risk.censoring import Weights, inverse_probability
from ethogram.log import Log, times

OUTCOMES = ("outcome", "default", "defaulted", "fraud", "fraudulent", "evasion", "evader", "bad", "chargeback", "label")
MONEY = ("money", "exposure", "amount", "loan", "limit", "credit", "balance")
GROUP, DECIDED, KNOWN = "group", "decided", "known"
MOST_GROUPS = 12
"""Different numbers of an attribute from which its quarters are the groups."""
SESSION_LABEL = "label of the session's events"
NEVER = np.iinfo(np.int64).min
"""Stands for an instant that is not told."""


@dataclass(frozen=True)
class Cases:
    """Judged cases, in the order of the system's table.

    Attributes
    ----------
    table : what `assess` told. risk : float64[N]. label : 1 bad, 0 good, NaN not known, float64[N].
    time : microseconds UTC of the decision, `NEVER` where it is not told; None if it is for no case. known : when the
    outcome became known, likewise. group : a name per case, None if there is no such column.
    money : at stake, float64[N], at least 0; 1 each where nothing tells. outcome, money_is : where the two come from.
    features : further columns of the users, and of the events where cases are sessions, by name, for drift.
    """

    table: pa.Table
    risk: np.ndarray
    label: np.ndarray
    money: np.ndarray
    outcome: str | None = None
    money_is: str = "1 for each case"
    time: np.ndarray | None = None
    known: np.ndarray | None = None
    group: pa.Array | None = None
    features: Mapping[str, pa.Array] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.risk)

    @property
    def labelled(self) -> bool:
        """Whether the outcome of any case is known."""
        return bool((~np.isnan(self.label)).any())

    @property
    def users(self) -> pa.Array:
        return self.table["user"].combine_chunks()

    def take(self, rows: np.ndarray) -> Cases:
        """Some of the cases: places, or bool[N]."""
        places = np.flatnonzero(rows) if rows.dtype == bool else rows
        where = pa.array(places)
        return replace(
            self, table=self.table.take(where), risk=self.risk[places], label=self.label[places],
            money=self.money[places], time=None if self.time is None else self.time[places],
            known=None if self.known is None else self.known[places],
            group=None if self.group is None else self.group.take(where),
            features={n: c.take(where) for n, c in self.features.items()},
        )  # fmt: skip

    def weights(self, end: int | None = None) -> Weights | None:
        """What each known case stands for (see `censoring`); None where nothing tells how long cases were observed.

        Parameters
        ----------
        end : of the observation, microseconds; the last instant at which an outcome became known, if not given.
        """
        if self.time is None or self.known is None or not self.labelled:
            return None
        seen = ~np.isnan(self.label)
        told = (self.time != NEVER) & (~seen | (self.known != NEVER))
        if not told.all() or seen.all():
            return None
        last = int(self.known[seen].max()) if end is None else end
        until = np.where(seen, self.known, np.maximum(last, self.time))
        return inverse_probability(np.maximum(until - self.time, 0) / 86_400e6, seen)


def cases_of(
    log: Log, table: pa.Table, *, outcome: str | None = None, group: str | None = None, money: str | None = None
) -> Cases:
    """Join what a system told to what is known.

    Parameters
    ----------
    outcome, group, money : columns of the log's users; found by their names if not given.

    Raises
    ------
    OptionError
        The table is no risk in [0, 1] by user; a column that is named does not exist, or does not hold what it should.
    """
    for name in ("user", "risk"):
        if name not in table.column_names:
            raise OptionError(f"no column '{name}' among the judgements ({', '.join(table.column_names)}): no risks.")
    risk = np.asarray(pc.cast(table["risk"], pa.float64()).to_numpy(), np.float64)
    if (wrong := ~((risk >= 0) & (risk <= 1))).any():
        row = int(np.argmax(wrong))
        raise OptionError(f"risk {risk[row]:g} of user {table['user'][row].as_py()!r} lies outside [0, 1].")
    people = _people(log, table["user"])
    chosen = {
        "outcome": _column("outcome", outcome, people, OUTCOMES),
        "group": _column("group", group, people, (GROUP,)),
        "money": _column("money", money, people, MONEY),
    }
    label, said = np.full(len(risk), np.nan), chosen["outcome"]
    if said is not None:
        label = _outcomes(people[said], said)
    elif "session" in table.column_names and "label" in log.events.schema:
        label, said = _by_session(log, table, "label", np.fmax), SESSION_LABEL
    stake, stake_is = _money(log, table, people, chosen["money"])
    time = _instants(people.get(DECIDED))
    if time is None and "time" in table.column_names:
        time = _instants(table["time"].combine_chunks())
    if time is None and "session" in table.column_names and "time" in log.sequences().columns:
        last = _by_session(log, table, "time", np.fmax)
        time = np.where(np.isnan(last), NEVER, np.nan_to_num(last)).astype(np.int64)
    own = (DECIDED, KNOWN, chosen["outcome"])
    told = people if "session" not in table.column_names else people | _of_sessions(log, table)
    return Cases(
        table, risk, label, stake, said, stake_is, time, _instants(people.get(KNOWN)),
        None if chosen["group"] is None else _groups(log, people, chosen["group"]),
        {n: c for n, c in told.items() if n not in own and _is_feature(c)},
    )  # fmt: skip


def _is_feature(column: pa.Array) -> bool:
    """Whether a column can drift: a number, or words that several share (a name of its own says nothing)."""
    kind = column.type
    if pa.types.is_nested(kind) or pa.types.is_temporal(kind) or pa.types.is_binary(kind):
        return False
    words = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind)
    return not words or 2 * len(pc.unique(column)) <= max(len(column), 4)


def _people(log: Log, users: pa.ChunkedArray) -> dict[str, pa.Array]:
    """Columns of the log's users, a row per case; null for users that the table does not have."""
    if log.users is None:
        return {}
    asked, known = users.combine_chunks(), log.users["user"].combine_chunks()
    if asked.type != known.type:
        asked, known = asked.cast(pa.string()), known.cast(pa.string())
    place = pc.index_in(asked, known)
    return {n: log.users[n].combine_chunks().take(place) for n in log.users.column_names if n != "user"}


def _column(role: str, named: str | None, people: Mapping[str, pa.Array], usual: tuple[str, ...]) -> str | None:
    if named is not None and named not in people:
        there = f"its columns are {', '.join(people)}" if people else "the log has none"
        raise OptionError(f"{role} '{named}': no such column in the table of users; {there}.{nearest(named, people)}")
    return named or next((n for n in usual if n in people), None)


def _groups(log: Log, people: Mapping[str, pa.Array], name: str) -> pa.Array:
    """A group per value; of numbers with many values, such as an age, the four quarters of the log's users."""
    column = people[name]
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        return column.cast(pa.string())
    assert log.users is not None
    all_ = pc.cast(log.users[name], pa.float64()).to_numpy()
    all_ = all_[np.isfinite(all_)]
    if len(np.unique(all_)) <= MOST_GROUPS:
        return column.cast(pa.string())
    edges = np.unique(np.quantile(all_, (0.25, 0.5, 0.75), method="lower"))
    lows = ["", *(f" above {e:g}" for e in edges)]
    names = [f"{name}{low}{high}" for low, high in zip(lows, [*(f" to {e:g}" for e in edges), ""], strict=True)]
    value = pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False)
    return pa.array(np.array(names)[np.searchsorted(edges, np.nan_to_num(value))], mask=~np.isfinite(value))


def _outcomes(column: pa.Array, name: str) -> np.ndarray:
    try:
        label = pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        label = np.array([2.0])
    if (known := label[~np.isnan(label)]).size and not np.isin(known, (0, 1)).all():
        raise OptionError(f"column '{name}' holds more than 0 (good), 1 (bad) and null (not known): no outcome.")
    return np.asarray(label, np.float64)


def _instants(column: pa.Array | None) -> np.ndarray | None:
    """Microseconds UTC, `NEVER` where null; None where there is no column, or nothing in it."""
    if column is None or column.null_count == len(column):
        return None
    found = times.parse(pa.chunked_array([column]))
    return np.where(pc.is_null(column).to_numpy(zero_copy_only=False), NEVER, found.time)


def _money(
    log: Log, table: pa.Table, people: Mapping[str, pa.Array], column: str | None
) -> tuple[np.ndarray, str]:  # fmt: skip
    if column is not None:
        try:
            held = pc.fill_null(pc.cast(people[column], pa.float64()), 0.0).to_numpy(zero_copy_only=False)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            raise OptionError(f"money '{column}': the column holds no numbers.") from None
        return np.maximum(np.nan_to_num(held), 0.0), f"column {column} of the users"
    if "value" not in log.events.schema:
        return np.ones(len(table)), "1 for each case"
    if "session" in table.column_names:
        made = _by_session(log, table, "value", np.add)
        return np.maximum(np.nan_to_num(made), 0.0), "values of the session's events"
    rows = log.sequences()
    value = np.maximum(np.nan_to_num(np.asarray(rows.columns["value"], np.float64)), 0.0)
    total = np.bincount(rows.find(rows.user), value, len(rows.users))
    place = rows.find(log.vocabulary("user").encode(table["user"].to_pylist()))
    return np.where(place >= 0, total[place] if len(total) else 0.0, 0.0), "values of the user's events"


def _of_sessions(log: Log, table: pa.Table) -> dict[str, pa.Array]:
    """Further columns of the events by session: of a number the largest value, of words the one of the largest code."""
    rows, found = log.sequences(), {}
    for name in (c for c in log.roles.extra if c in rows.columns):
        words = rows.vocabularies.get(name)
        values = _by_session(log, table, name, np.fmax, least=0 if words is not None else -np.inf)
        if words is None:
            found[name] = pa.array(values, from_pandas=True)
        else:
            found[name] = words.decode(np.where(np.isnan(values), -1, np.nan_to_num(values)).astype(np.int32))
    return found


def _by_session(log: Log, table: pa.Table, name: str, gather: Any, least: float = -np.inf) -> np.ndarray:
    """A column of the events gathered by session, for each case; NaN where none of its events has `least` or more."""
    rows, sessions = log.sequences(), log.vocabulary("session")
    value = np.asarray(rows.columns[name], np.float64)
    user = rows.user.astype(np.int64) * len(sessions) + np.asarray(rows.columns["session"], np.int64)
    there = value >= least  # NaN is not
    keys, at = np.unique(user[there], return_inverse=True)
    made = np.full(len(keys) + 1, np.nan)
    made[:-1] = 0.0 if gather is np.add else -np.inf
    gather.at(made, at, value[there])
    codes = log.vocabulary("user").encode(table["user"].to_pylist()).astype(np.int64)
    asked = codes * len(sessions) + sessions.encode(table["session"].to_pylist())
    place = np.searchsorted(keys, asked)
    found = (place < len(keys)) & (keys[np.minimum(place, len(keys) - 1)] == asked) if len(keys) else place < 0
    return np.asarray(made[np.where(found, place, -1)])
