"""Several answers to one exposure: a click, a basket, a purchase, each a goal that a model can be asked to predict.

`label` is the answer to the first goal. Further goals are columns whose names begin with ``label_``: ``label_buy``,
``label_share``. They are outcomes like `label` (no model reads them as context), and each may be missing where the
others are known. An event without any answer is behaviour.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ethogram.errors import StepError, nearest
from ethogram.log import room

if TYPE_CHECKING:
    from ethogram.log.engine import Engine
    from ethogram.log.log import Log
    from ethogram.log.sequences import Sequences

FIRST, FURTHER = "label", "label_"


def goals(columns: Iterable[str]) -> tuple[str, ...]:
    """Columns that hold answers: `label`, then the further goals by name; empty where there is no `label`.

    >>> goals(["user", "label_share", "label", "label_buy"])
    ('label', 'label_buy', 'label_share')
    """
    names = list(columns)
    if FIRST not in names:
        return ()
    return FIRST, *sorted(n for n in names if n.startswith(FURTHER) and len(n) > len(FURTHER))


def answered(sequences: Sequences, names: Iterable[str]) -> np.ndarray:
    """bool[N]: at least one of these columns holds an answer.

    Raises
    ------
    StepError
        A goal's column holds words.
    """
    found = np.zeros(len(sequences), bool)
    for name in names:
        if name in sequences.vocabularies:
            raise StepError(f"goal '{name}' holds words; an answer is 1, 0 or missing.")
        values = np.asarray(sequences.columns[name])
        found |= ~room.mapped(values, bool, np.isnan) if values.dtype.kind == "f" else np.ones(len(values), bool)
    return found


@dataclass(frozen=True)
class Goal:
    """The answers to a further goal change places with those to the first."""

    name: str

    def frame(self, frame: Any, engine: Engine) -> Any:
        import narwhals as nw

        column = checked(self.name, frame.collect_schema().names())
        return frame.with_columns(**{FIRST: nw.col(column), column: nw.col(FIRST)})

    def rows(self, sequences: Sequences, before: Log) -> Sequences:
        column = checked(self.name, sequences.columns)
        first = np.asarray(sequences.columns[FIRST])
        return sequences.with_column(FIRST, np.asarray(sequences.columns[column])).with_column(column, first)


def checked(name: str, columns: Iterable[str]) -> str:
    """The column of a goal, named with or without its prefix.

    Raises
    ------
    StepError
        The log holds no answers to it.
    """
    having = goals(columns)
    found = next((c for c in (name, FURTHER + name) if c in having), None)
    if found is None:
        short = [c.removeprefix(FURTHER) for c in having]
        raise StepError(
            f"no answers to the goal '{name}'.{nearest(name.removeprefix(FURTHER), short)} Goals of the log: "
            f"{', '.join(short) or 'none, it has no label'}."
        )
    return found
