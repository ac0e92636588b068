"""``ethogram score MODEL``: scores of items for people, or of the slates of a log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ethogram.cli.asking import Lists, Source, Users, check_ending, fitted, histories, log_of, split, write
from ethogram.cli.output import Json, Output
from ethogram.errors import OptionError

SHOWN = 20


def score(
    model: Path,
    /,
    *,
    users: Users = (),
    lists: Lists = (),
    items: str | None = None,
    log: Source = None,
    out: Path | None = None,
    json: Json = None,
) -> None:
    """Score items for users of the log or for strangers; or, with --log alone, every slate of a log.

    Parameters
    ----------
    model
        Folder of a saved system.
    items
        The items to judge: ids separated by commas.
    out
        Also write the table to this file (.parquet or .csv).
    """
    from ethogram.log import Candidates

    say = Output(json)
    check_ending(out)
    built = fitted(model, "score")
    if users or lists:
        if not items:
            raise OptionError("say which items: --items ID,ID,...")
        asked, judged = histories(model, users, lists, log, say), Candidates.of(split(items))
    else:
        if log is None:
            raise OptionError("say whom: --user ID, --history ID,ID,..., or --log LOG for every slate of a log.")
        questions = log_of(model, log, say).questions("slates")
        asked, judged = questions.histories, questions.candidates
    scores = np.asarray(built.score(asked, judged), np.float64).reshape(-1)
    codes, offsets = judged.flat(len(asked))
    question = np.repeat(np.arange(len(asked)), np.diff(offsets))
    table = pa.table(
        {
            "question": question,
            "user": asked.vocabularies["user"].decode(asked.users[question]),
            "item": judged.vocabulary.decode(codes),
            "score": scores,
        }
    )
    if "score_goals" in built.info.verbs:
        goals = list(built.score_goals(asked, judged).items())
        for goal, found in goals[1:] if len(goals) > 1 else []:
            table = table.append_column(goal, pa.array(np.asarray(found, np.float64).reshape(-1)))
    rows: list[dict[str, Any]] = table.slice(0, table.num_rows if users or lists else SHOWN).to_pylist()
    say.table(tuple(table.column_names), [tuple(map(_cell, r.values())) for r in rows])
    if len(rows) < table.num_rows:
        say.line(f"... {table.num_rows:,} rows" + ("" if out else "; --out FILE writes all"))
    if out is not None:
        write(table, out)
    say.result(table.to_pylist() if json else None)


def _cell(value: Any) -> Any:
    return value if isinstance(value, float) or value is None else str(value)
