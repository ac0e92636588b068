"""From the ledger to a log: what was served and what people did becomes data to train and to judge by.

    events     one row each, as they came: user, item, time, kind, and the roles among their fields
    decisions  one row per candidate, kind ``shown``: slate, position, label (answered within the window), weight,
               propensity of the policy, actor (the model's name and version); written once the window is closed

A ranker learns from it as it is (``log.questions("slates")``): rows with a label are slates, all others are behaviour.
An event that answered a decision carries its label there, so it has none of its own here, and its `cause` is the row
of the candidate; one that only said "no" (label 0) is told by its decision alone. Fields that are neither a role nor
one of `columns` go into ``payload``. Decisions for strangers, whom no event can answer, are left out.

Only what lies behind the watermark is read. The place in the ledger and the open decisions are kept beside the log
(``served.json``), so that the next export goes on there. A row's event id is its place in the ledger: an export that
was killed writes the same rows again, which the log leaves out. Who was forgotten is left out of what is written from
then on; what was exported before stays, so export anew where that matters.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from ethogram.errors import OptionError, StateError
from ethogram.log import Log
from ethogram.log.append import append
from ethogram.log.journal import replace_text
from ethogram.serve.joining import DECISION, Joiner, Slate
from ethogram.serve.state import Kept, Store

SHOWN = "shown"
PLACE = "served.json"
ROWS = 200_000
"""Rows that are written in one piece."""
MOST = 1 << 20
"""Candidates of a decision, at most: event ids leave room for so many."""
TIME = pa.timestamp("us", tz="UTC")
TEXTS = ("session", "slate", "text", "actor")
NUMBERS = ("value", "label", "weight", "propensity")
SCHEMA = pa.schema(
    [("event", pa.int64()), ("user", pa.string()), ("item", pa.string()), ("time", TIME), ("kind", pa.string())]
    + [(n, pa.float64()) for n in (*NUMBERS, "position")]
    + [(n, pa.string()) for n in (*TEXTS, "payload")]
    + [("cause", pa.int64())]
)
ROLES = {name: name for name in SCHEMA.names}
KINDS = {"number": pa.float64(), "text": pa.string()}


@dataclass(frozen=True)
class Exported:
    """What an export wrote.

    events, slates : of either. place : in the ledger, up to which events are in the log. open : decisions that wait
    for their window. aside : rows that the log set aside, by reason.
    """

    events: int
    slates: int
    place: int
    open: int
    aside: dict[str, int]


def export(
    store: Store, path: str | Path, *, window: int, kinds: Collection[str] | None = None,
    columns: Mapping[str, Literal["number", "text"]] | None = None, until: int | None = None,
) -> Exported:  # fmt: skip
    """Write what is new in the ledger to a log, a new one or that of the last export.

    Parameters
    ----------
    window : microseconds within which an event answers a decision. kinds : of events that are answers; None for all.
    columns : further fields of events, or of the context of decisions, that become columns of their own.
    until : place in the ledger, default all of it.

    Raises
    ------
    OptionError
        Another window, other kinds or columns than the log was begun with; a column that is a role.
    StateError
        The place was lost, or belongs to a ledger that is longer than this one.
    LogFormatError, StoreError
    """
    path = Path(path)
    joiner, place = Joiner(window, kinds=kinds), -1
    columns = dict(sorted((columns or {}).items()))
    for name, kind in columns.items():
        if name in ROLES or kind not in KINDS:
            raise OptionError(f"export: column {name} = {kind!r}; give a name that is no role, and number or text.")
    told = {"window": window, "kinds": None if kinds is None else sorted(kinds), "columns": columns}
    if (path / "log.toml").exists():
        place = _went_on(path, joiner, told, store.watermark())
    last = store.watermark() if until is None else min(until, store.watermark())
    if last <= place:
        return Exported(0, 0, place, len(joiner), {})
    counts, aside = {"events": 0, "slates": 0}, dict[str, int]()
    schema = pa.schema([*SCHEMA, *(pa.field(n, KINDS[k]) for n, k in columns.items())])
    for rows in _pieces(_rows(store, joiner, place, last, columns, counts)):
        for reason, n in _write(path, pa.Table.from_pylist(rows, schema)).items():
            aside[reason] = aside.get(reason, 0) + n
    if (path / "log.toml").exists():
        _keep(path, joiner, told, last)
    return Exported(counts["events"], counts["slates"], last, len(joiner), aside)


def _rows(
    store: Store, joiner: Joiner, place: int, last: int, columns: Mapping[str, str], counts: dict[str, int]
) -> Iterator[dict[str, Any]]:
    for kept in store.entries(place, last):
        joined = joiner.take(kept)
        if kept.entry.kind != DECISION and (row := _event(kept, joined.decision, columns)) is not None:
            counts["events"] += 1
            yield row
        for slate in joined.closed:
            seq = slate.kept.seq
            if slate.kept.entry.user and next(store.entries(seq - 1, seq), None) is not None:  # not forgotten
                counts["slates"] += 1
                yield from _slate(slate, columns)


def _event(kept: Kept, decision: Kept | None, columns: Mapping[str, str]) -> dict[str, Any] | None:
    entry, rest = kept.entry, dict(kept.entry.content)
    row: dict[str, Any] = {
        "event": kept.seq * MOST, "user": entry.user, "item": entry.item, "time": entry.time, "kind": entry.kind,
    }  # fmt: skip
    if decision is not None:
        if rest.pop("label", 1) == 0:
            return None
        row["cause"] = decision.seq * MOST + decision.entry.content["candidates"].index(entry.item)
    row |= _taken(rest, dict.fromkeys((*NUMBERS, "position"), "number") | dict.fromkeys(TEXTS, "text") | dict(columns))
    if rest:
        row["payload"] = _json(rest)
    return row


def _taken(rest: dict[str, Any], columns: Mapping[str, str]) -> dict[str, Any]:
    """Fields out of `rest` that are of their column's type."""
    found: dict[str, Any] = {}
    for name, kind in columns.items():
        value = rest.get(name)
        if kind == "number" and isinstance(value, (int, float)) and not isinstance(value, bool):
            found[name] = float(rest.pop(name))
        elif kind == "text" and isinstance(value, str):
            found[name] = rest.pop(name)
    return found


def _slate(slate: Slate, columns: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    seq, entry = slate.kept.seq, slate.kept.entry
    content = entry.content
    candidates = content["candidates"]
    listed = {name: content.get(name) for name in ("scores", "propensities")}
    lists = {n: v for n, v in listed.items() if isinstance(v, list) and len(v) == len(candidates)}
    rest = {k: v for k, v in content.items() if k not in ("candidates", "positions", "propensity", *lists)}
    context = content.get("context")
    own = _taken(dict(context), columns) if isinstance(context, dict) else {}
    actor = "@".join(str(content[k]) for k in ("model", "version") if content.get(k) is not None) or None
    for at, (item, label) in enumerate(zip(candidates[:MOST], slate.label.tolist(), strict=False)):
        propensity = lists["propensities"][at] if "propensities" in lists else content.get("propensity")
        score = {"score": lists["scores"][at]} if "scores" in lists else {}
        yield {
            **own,
            "event": seq * MOST + at, "user": entry.user, "item": item, "time": entry.time, "kind": SHOWN,
            "label": label, "weight": 1.0, "slate": entry.id, "position": float(at),
            "propensity": float(propensity) if isinstance(propensity, (int, float)) else None,
            "actor": actor, "payload": _json({**rest, **score}),
        }  # fmt: skip


def _json(content: dict[str, Any]) -> str | None:
    # NaN and infinities are no JSON
    return json.dumps(json.loads(json.dumps(content), parse_constant=lambda name: None)) if content else None


def _pieces(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    piece: list[dict[str, Any]] = []
    for row in rows:
        piece.append(row)
        if len(piece) == ROWS:
            yield piece
            piece = []
    if piece:
        yield piece


def _write(path: Path, table: pa.Table) -> dict[str, int]:
    """Rows that were set aside, by reason."""
    if (path / "log.toml").exists():
        return append(path, table, **ROLES).quarantined
    made = Log.open(table, **ROLES)
    made.write(path)
    return dict(made.events.quarantined)


# -- where it ended ---------------------------------------------------------------------------------------------------


def _went_on(path: Path, joiner: Joiner, told: dict[str, Any], watermark: int) -> int:
    try:
        kept = json.loads((path / PLACE).read_text())
        place, state = int(kept["place"]), base64.b64decode(kept["open"])
    except FileNotFoundError:  # killed before the first place was written: the same rows once more
        return -1
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StateError(f"{path / PLACE}: {error}; export to a new folder.") from None
    for name, value in told.items():
        if kept.get(name) != value:
            raise OptionError(f"{path}: {name} was {kept.get(name)} so far and is {value} now; export to a new folder.")
    if place > watermark:
        raise StateError(
            f"{path}: goes to place {place} of a ledger, and this one ends at {watermark}; it is another store's."
        )
    joiner.restore(state)
    return place


def _keep(path: Path, joiner: Joiner, told: dict[str, Any], place: int) -> None:
    made = {"place": place, "open": base64.b64encode(joiner.state()).decode(), **told}
    replace_text(path / PLACE, json.dumps(made))
