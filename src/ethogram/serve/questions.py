"""From stored events, or a stranger's, to the histories and candidates that every system reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from ethogram.log import Candidates, Histories, Vocabulary
from ethogram.log.histories import FOREVER
from ethogram.log.vocabulary import UNKNOWN
from ethogram.serve.behaviour import parted
from ethogram.serve.state import Entry

TIMELESS = -1
"""Time of an event of a stranger that came without one."""


@dataclass(frozen=True)
class Question:
    """One question to a model.

    Attributes
    ----------
    events : the history, oldest first. candidates : item ids; empty where the model shall choose.
    asked : microseconds UTC. revision : of the stored user that the events are of; None where they came along.
    """

    user: str | None
    events: Sequence[Entry]
    candidates: Sequence[str] = ()
    context: Mapping[str, Any] = field(default_factory=dict)
    asked: int = FOREVER
    revision: int | None = None

    @cached_property
    def done(self) -> Sequence[Entry]:
        """What was done, not what was shown (`ethogram.serve.behaviour`)."""
        plain, labelled = parted(self.events)
        return plain or labelled

    @property
    def timed(self) -> bool:
        """Whether the events have times; one question's all have, or none."""
        return not self.events or self.events[0].time != TIMELESS


class Items:
    """Item ids as the codes of a model's own vocabulary, so that nothing has to be translated for each request."""

    def __init__(self, vocabulary: Vocabulary | None):
        self.vocabulary = vocabulary or Vocabulary(pa.array([], pa.string()))
        self.told = vocabulary is not None
        self._code = {str(i): c for c, i in enumerate(self.vocabulary.ids.to_pylist())}

    def knows(self, item: str) -> bool:
        return item in self._code

    def code(self, *lists: Sequence[str]) -> tuple[Vocabulary, list[np.ndarray]]:
        """A vocabulary that has all of the ids (the model's own where it is enough), and the codes of each list."""
        code = self._code
        found = [np.fromiter((code.get(i, UNKNOWN) for i in ids), np.int32, len(ids)) for ids in lists]
        if all((f >= 0).all() for f in found):
            return self.vocabulary, found
        # an id that the model never met keeps its identity: a history may hold the same one as the candidates
        strange = {i for ids, f in zip(lists, found, strict=True) if (f < 0).any() for i in ids if i not in code}
        if self.vocabulary.is_integer:
            return self._as_text(lists, found, strange)
        more = self.vocabulary.extend(pa.array(sorted(strange), pa.string()))
        place = {i: len(code) + n for n, i in enumerate(more.ids[len(self.vocabulary) :].to_pylist())}
        return more, [
            np.fromiter((code.get(i, place.get(i, UNKNOWN)) for i in ids), np.int32, len(ids)) for ids in lists
        ]

    def _as_text(
        self, lists: Sequence[Sequence[str]], found: list[np.ndarray], strange: set[str]
    ) -> tuple[Vocabulary, list[np.ndarray]]:
        """Strange ids beside whole numbers: a small vocabulary of text, which systems translate themselves."""
        small = list(dict.fromkeys(i for ids in lists for i in ids))
        place = {i: n for n, i in enumerate(small)}
        return Vocabulary(pa.array(small, pa.string())), [
            np.fromiter((place[i] for i in ids), np.int32, len(ids)) for ids in lists
        ]


def asked(
    questions: Sequence[Question], items: Items, columns: frozenset[str] | None = None
) -> tuple[Histories, Candidates]:
    """Histories and ragged candidates of questions that are all `timed`, or none.

    Parameters
    ----------
    columns : fields of the events that the model reads, beside item, time and kind; None reads none.
    """
    flat = [e for q in questions for e in q.done]
    judged = [i for q in questions for i in q.candidates]
    vocabulary, (done, codes) = items.code([e.item or "" for e in flat], judged)
    stop = np.cumsum([len(q.done) for q in questions], dtype=np.int64)
    start = np.concatenate([[0], stop[:-1]])
    vocabularies: dict[str, Vocabulary] = {"item": vocabulary}
    held: dict[str, np.ndarray] = {"item": done}
    starts = np.ones(len(flat), bool)
    if questions and questions[0].timed and all(q.timed for q in questions):
        time = np.fromiter((e.time for e in flat), np.int64, len(flat))
        held["time"] = time
        starts[1:] = time[1:] != time[:-1]
        starts[start[start < stop]] = True
        when = np.fromiter((q.asked for q in questions), np.int64, len(questions))
    else:
        held["order"] = np.arange(len(flat)) - np.repeat(start, stop - start)
        when = np.full(len(questions), FOREVER)
    held["kind"], vocabularies["kind"] = _coded([e.kind or None for e in flat])
    for name in sorted(columns or ()):
        if name in held or name not in {k for e in flat for k in e.content}:
            continue
        held[name], known = column([e.content.get(name) for e in flat])
        if known is not None:
            vocabularies[name] = known
    users = [q.user for q in questions]
    named = Vocabulary(pa.array(list(dict.fromkeys(u for u in users if u is not None)), pa.string()))
    vocabularies["user"] = named
    people = named.encode(users) if len(named) else np.full(len(users), UNKNOWN, np.int32)
    histories = Histories(held, starts, start, stop, people, when, vocabularies)
    ends = np.concatenate([[0], np.cumsum([len(q.candidates) for q in questions], dtype=np.int64)])
    return histories, Candidates(codes, vocabulary, ends)


def context(questions: Sequence[Question]) -> pa.Table | None:
    """The columns of the requests, a row for each; what one does not have is null."""
    names = sorted({k for q in questions for k in q.context})
    if not names:
        return None
    made = {}
    for name in names:
        values = [q.context.get(name) for q in questions]
        try:
            made[name] = pa.array(values)
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            made[name] = pa.array([None if v is None else str(v) for v in values])
    return pa.table(made)


def column(values: Sequence[Any]) -> tuple[np.ndarray, Vocabulary | None]:
    """Numbers as float32, NaN where missing; anything else as codes of a vocabulary."""
    if all(v is None or (isinstance(v, int | float) and not isinstance(v, bool)) for v in values):
        return np.array([np.nan if v is None else v for v in values], np.float32), None
    return _coded([None if v is None else str(v) for v in values])


def _coded(values: list[str | None]) -> tuple[np.ndarray, Vocabulary]:
    distinct = list(dict.fromkeys(v for v in values if v is not None))
    place = {v: n for n, v in enumerate(distinct)}
    codes = np.fromiter((UNKNOWN if v is None else place[v] for v in values), np.int32, len(values))
    return codes, Vocabulary(pa.array(distinct, pa.string()))
