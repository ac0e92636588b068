"""``ethogram explain MODEL``: which past events made a score, and whether they did."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from ethogram.cli.asking import Lists, Source, Users, check_ending, fitted, histories, log_of, split, write
from ethogram.cli.output import Json, Output
from ethogram.errors import OptionError

if TYPE_CHECKING:
    from ethogram.evaluate import Deletion
    from ethogram.verbs import Table

SHOWN = ("question", "candidate", "item", "time", "share", "rank")
"""Columns that every system explains with; others (`component`, `intent`) are its own."""
Items = Annotated[str | None, Parameter(help="The items to judge: ids separated by commas.")]


def explain(
    model: Path,
    /,
    *,
    users: Users = (),
    lists: Lists = (),
    items: Items = None,
    log: Source = None,
    k: Annotated[int, Parameter(name=("-k", "--k"))] = 3,
    deletion: Annotated[bool, Parameter(negative=())] = False,
    pairs: int = 300,
    out: Path | None = None,
    json: Json = None,
) -> None:
    """Name the past events that made the score of items, for users of the log or for strangers.

    Parameters
    ----------
    model
        Folder of a saved system.
    k
        How many events are named for each item.
    deletion
        Delete the named events from histories of the log, and as many random ones, and say how much each moves the
        score; by itself, or beside the reasons of the people asked about.
    pairs
        Candidates of the log that the deletion is tried on.
    out
        Also write the reasons to this file (.parquet or .csv).
    """
    say = Output(json)
    check_ending(out)
    if k < 1:
        raise OptionError(f"k = {k} is not a number of events; give 1 or more.")
    built, result = fitted(model, "explain"), {}
    if users or lists or not deletion:
        scores, reasons = reasoned(built, model, users, lists, items, log, k, say)
        for row in scores.to_pylist():
            at = row["question"], row["item"]
            told = [r for r in reasons.to_pylist() if (r["question"], r["candidate"]) == at]
            title = f"{row['item']} for {_who(row)}: {row['score']:.4g}"
            more = [n for n in reasons.column_names if n not in SHOWN and any(r[n] is not None for r in told)]
            timed = any(r["time"] is not None for r in told)
            lines = [
                (r["rank"], str(r["item"]), *((f"{r['time']:%Y-%m-%d %H:%M}",) if timed else ()), r["share"],
                 *(r[n] for n in more)) for r in told
            ]  # fmt: skip
            if told:
                say.table(("rank", "event", *(("time",) if timed else ()), "share", *more), lines, title=title)
            else:
                say.line(f"{title}; no past event speaks for or against it")
            say.line()
        if "intent" in reasons.column_names and hasattr(built, "describe_intents"):
            met = set(reasons.column("intent").to_pylist())
            stands = [r for r in built.describe_intents(3).to_pylist() if r["intent"] in met]
            for intent in sorted({r["intent"] for r in stands}):
                asks = ", ".join(str(r["item"]) for r in stands if r["intent"] == intent)
                say.line(f"intent {intent} asks for: {asks}")
        if out is not None:
            write(reasons, out)
        result = {"scores": scores.to_pylist(), "reasons": reasons.to_pylist()}
    if deletion:
        found = deleted(built, model, log, k, pairs, say)
        say.line(str(found))
        result["deletion"] = found.json()
    say.result(result)


def reasoned(
    built: Any, model: Path, users: Users, lists: Lists, items: str | None, log: str | None, k: int, say: Output
) -> tuple[Table, Table]:
    """(score of each item for each of the asked, ranked: question, user, item, score, rank; reasons as `explain`)."""
    import numpy as np
    import pyarrow as pa

    from ethogram.log import Candidates

    if not items:
        raise OptionError("say which items: --items ID,ID,...")
    asked, judged = histories(model, users, lists, log, say), Candidates.of(split(items))
    scores = np.asarray(built.score(asked, judged), np.float64)
    ids = judged.vocabulary.decode(judged.items)
    order = np.argsort(-scores, axis=1, kind="stable")
    n, width = scores.shape
    table = {
        "question": np.repeat(np.arange(n), width),
        "user": asked.vocabularies["user"].decode(np.repeat(asked.users, width)),
        "item": ids.take(pa.array(order.reshape(-1))),
        "score": np.take_along_axis(scores, order, 1).reshape(-1),
        "rank": np.tile(np.arange(1, width + 1), n),
    }
    return pa.table(table), built.explain(asked, judged, k=k)


def deleted(built: Any, model: Path, log: str | None, k: int, pairs: int, say: Output) -> Deletion:
    """The deletion test on the log's slates; where it has none, on what came next."""
    from ethogram.evaluate import deletion

    events = log_of(model, log, say)
    kind = "slates" if "label" in events.sequences().columns else "next"
    return deletion(built, events.questions(kind), k=k, pairs=pairs)


def _who(row: dict[str, Any]) -> str:
    return f"user {row['user']}" if row["user"] is not None else f"stranger {row['question'] + 1}"
