"""Questions over the log of a simulation, answered by SQL and with citations: the events that say so.

The log is the table ``events`` (event, user, item, time, kind, value, text, actor, cause). An answer cites the events
of every row: a column `event`, or `list(event) as events` where rows are grouped. What cites nothing is no answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from ethogram.errors import LMError, OptionError
from ethogram.log import Log

MOST_CITED = 1_000


@dataclass(frozen=True)
class Answered:
    """Rows of the answer, ids of the events that they rest on, and the SQL that found them."""

    rows: list[dict[str, Any]]
    events: list[int]
    sql: str


def answered(log: Log, asked: str, lm: Any = None) -> Answered:
    """Answer SQL ("select ...") or, with a language model, words.

    Raises
    ------
    OptionError
        The SQL is none, changes something, or cites no events; or words were given and no model.
    """
    text = asked.strip().rstrip(";")
    if not text.lower().startswith(("select", "with")):
        text = _translated(text, log, lm)
    import duckdb

    # without access to files or the network, and in memory: a question can only read
    with duckdb.connect(":memory:", config={"enable_external_access": "false"}) as db:
        db.register("events", log.table())
        try:
            found: pa.Table = db.sql(text).to_arrow_table()
        except (duckdb.Error, AttributeError) as error:
            raise OptionError(f"question: this cannot be asked ({str(error).splitlines()[0][:160]}).") from None
    cited: list[int] = []
    named = [n for n in ("event", "events") if n in found.column_names]
    if not named:
        raise OptionError("question: the answer cites no events; select event, or list(event) as events.")
    for value in found.column(named[0]).to_pylist():
        cited += value if isinstance(value, list) else [value]
    rows = found.drop_columns(["events"]).to_pylist() if "events" in found.column_names else found.to_pylist()
    return Answered(rows, sorted(set(cited))[:MOST_CITED], text)


def _translated(text: str, log: Log, lm: Any) -> str:
    if lm is None:
        raise OptionError("question: words need a language model; give Session(lm=...), or ask in SQL.")
    schema = {
        "type": "object", "properties": {"sql": {"type": "string", "maxLength": 500}}, "required": ["sql"],
        "additionalProperties": False,
    }  # fmt: skip
    columns = ", ".join(log.table().column_names)
    told = f"Write one SQL query over the table events ({columns}) for the question. Select list(event) as events."
    try:
        return str(lm.sync.answer(told, schema, data=[text], purpose="control: question").value["sql"])
    except LMError as error:
        raise OptionError(f"question: the model wrote no query ({error}).") from None
