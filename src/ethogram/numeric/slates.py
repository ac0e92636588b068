"""Encoded slates laid flat, one row per (question, candidate), in blocks that fit into memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError, StepError
from ethogram.log import Batch, Candidates, Features, Histories, Log, Questions
from ethogram.log.kernels import ragged_rows

ENCODED = 2**22
"""Candidates encoded at once."""
BLOCK = 2**17
"""Candidates handed out at once: a hundred columns of them are 52 MB."""


@dataclass(frozen=True, eq=False)
class Slates:
    """The candidates of an encoded batch, flat.

    Attributes
    ----------
    place : int64[total], row of each candidate in the batch's shared candidate columns.
    offsets : int64[n + 1], candidates of question i are ``offsets[i]:offsets[i + 1]``.
    """

    batch: Batch
    place: np.ndarray
    offsets: np.ndarray

    @classmethod
    def of(cls, batch: Batch) -> Slates:
        if batch.candidates is None:
            raise OptionError("slates: this batch was encoded without candidates.")
        return cls(batch, *batch.candidates.flat())

    def __len__(self) -> int:
        return len(self.place)

    @cached_property
    def owner(self) -> np.ndarray:
        """Question of each candidate, int64[total]."""
        return np.repeat(np.arange(len(self.batch)), np.diff(self.offsets))

    @cached_property
    def item(self) -> np.ndarray:
        """Item of each candidate, int32[total]: row of the batch's item columns."""
        assert self.batch.candidates is not None
        return self.batch.candidates.item[self.place]

    def context(self) -> Iterator[tuple[str, np.ndarray, str | None]]:
        """(name, values beside the candidates, embedding table or None if numeric) of each context column."""
        judged = self.batch.candidates
        assert judged is not None
        for name, values in judged.columns.items():
            yield name, values[self.place], judged.tables.get(name)

    def users(self) -> Iterator[tuple[str, np.ndarray, str | None]]:
        """The same for each column of the users."""
        for name, values in self.batch.users.items():
            yield name, values[self.owner], self.batch.user_tables.get(name)


@dataclass(frozen=True, eq=False)
class Answered:
    """Slates with what really happened.

    Attributes
    ----------
    label : bool[total]. weight : float64[total], how much of the task a row stands for.
    histories : of the questions.
    """

    slates: Slates
    label: np.ndarray
    weight: np.ndarray
    histories: Histories


def answered(part: Log, features: Features, max_questions: int | None = None, *, seed: int = 0) -> Answered:
    """The labelled slates of a log, all of them or a random `max_questions`.

    Raises
    ------
    StepError
        A label is neither 0 nor 1, or all labels are equal: there is nothing to tell apart. Or histories hold what
        is asked, see `no_leak`.
    """
    questions: Questions = part.questions("slates")
    batch, histories = features.encode(questions), questions.histories
    if max_questions is not None and max_questions < len(batch):
        chosen = np.sort(np.random.default_rng(seed).choice(len(batch), max_questions, replace=False))
        batch, histories = batch[chosen], histories[chosen]
    slates = Slates.of(batch)
    label, weight = questions.label[slates.place], questions.weight[slates.place].astype(np.float64)
    both_answers(label, weight)
    no_leak(questions)
    return Answered(slates, label > 0, weight, histories)


def both_answers(label: np.ndarray, weight: np.ndarray) -> None:
    """Refuse answers that teach nothing.

    Raises
    ------
    StepError
        A label is neither 0 nor 1, all are equal, or one of the two answers has no weight.
    """
    if wrong := label[(label != 0) & (label != 1)].tolist():
        raise StepError(f"a label is {wrong[0]:g}; a ranker learns from answers that are 0 or 1.")
    if len(label) == 0 or label.min() == label.max():
        raise StepError(f"all {len(label)} labels of the training slates are equal; a ranker needs both answers.")
    if min(weight[label == k].sum() for k in (0, 1)) <= 0:
        raise StepError("the positive or the negative labels have no weight; a ranker needs both answers.")


LEAK, LEAKED = 0.9, 20
"""Share of the taken candidates that end their own history from which it is no chance, and least number of them."""


def no_leak(asked: Questions) -> None:
    """Refuse questions whose histories hold their answers.

    Raises
    ------
    StepError
        A history holds an event that is not earlier than its question; or nearly every item that was taken, and at most
        half as many of the others, is in the last group of its own history: the answer was also logged as behaviour,
        just before its question.
    """
    histories, n = asked.histories, len(asked)
    there = np.flatnonzero(histories.lengths > 0)
    last = histories.stop[there] - 1
    time = histories.columns.get("time")
    if time is not None and len(there):
        late = np.flatnonzero(np.asarray(time)[last] >= histories.time[there])
        if len(late):
            i, code = there[late[0]], histories.item[last[late[0]]]
            item = histories.vocabularies["item"].decode(np.array([code])).to_pylist()[0]
            raise StepError(
                f"question {i} is asked at {_instant(histories.time[i])}, and its history holds an event of "
                f"{_instant(np.asarray(time)[last[late[0]]])} (item '{item}'): a history ends before its question."
            )
    codes, ends = asked.candidates.flat(n)
    owner = np.repeat(np.arange(n), np.diff(ends))
    taken = asked.label > 0.5
    if (taken & (histories.lengths[owner] > 0)).sum() < LEAKED:
        return
    # rows of the last group of each history; only these are looked at, so the cost is that of the questions
    begins = np.maximum.accumulate(np.where(histories.starts, np.arange(len(histories.starts)), 0))[last]
    rows, spans = ragged_rows(np.maximum(begins, histories.start[there]), last + 1)
    place = histories.vocabularies["item"].codes_in(asked.candidates.vocabulary).astype(np.int64)
    size = len(asked.candidates.vocabulary) + 1
    done = np.repeat(there, np.diff(spans)) * size + place[histories.item[rows]] + 1
    ends_so = np.isin(owner * size + codes + 1, done) & (codes >= 0)
    able = histories.lengths[owner] > 0
    own, others = ends_so[able & taken].mean(), ends_so[able & ~taken]
    other = others.mean() if len(others) else 0.0
    if own >= LEAK and other <= own / 2:
        raise StepError(
            f"the target is in its own history: {own:.0%} of the items that were taken, and {other:.0%} of the others, "
            "are the last event before their question. The answer is logged as behaviour, too; leave those rows out "
            "(log.where), or give them the time of the answer."
        )


def _instant(micros: int) -> str:
    return f"{np.datetime64(int(micros), 'us')}Z"


def score(
    features: Features,
    histories: Histories,
    candidates: Candidates,
    context: Mapping[str, np.ndarray] | pa.Table | None,
    judge: Callable[[Slates], np.ndarray],
) -> np.ndarray:
    """Scores float64 in the shape of the candidates, `judge` being asked block by block.

    Parameters
    ----------
    context : a table with one row per question, or arrays flat beside the candidates.
    judge : float[total] for a block of questions.
    """
    n = len(histories)
    ends = np.concatenate([[0], np.cumsum(candidates.counts(n))])
    scores = np.empty(int(ends[-1]))
    for rows in _blocks(ends, ENCODED):
        some = _context(context, rows, ends)
        batch = features.encode(histories[rows], candidates[rows], some)
        inside = ends[rows.start : rows.stop + 1] - ends[rows.start]
        for part in _blocks(inside, BLOCK):
            first, last = ends[rows.start + part.start], ends[rows.start + part.stop]
            scores[first:last] = judge(Slates.of(batch[part]))
    return candidates.shape(scores, n)


def _blocks(ends: np.ndarray, size: int) -> Iterator[slice]:
    """Consecutive questions with at most `size` candidates together, at least one question each."""
    first = 0
    while first < len(ends) - 1:
        last = max(first + 1, int(np.searchsorted(ends, ends[first] + size, side="right")) - 1)
        yield slice(first, last)
        first = last


def _context(
    context: Mapping[str, np.ndarray] | pa.Table | None, rows: slice, ends: np.ndarray
) -> Mapping[str, np.ndarray] | pa.Table | None:
    if context is None:
        return None
    if isinstance(context, pa.Table):
        if len(context) == len(ends) - 1:
            return context.slice(rows.start, rows.stop - rows.start)
        if len(context) != ends[-1]:
            raise OptionError(
                f"context has {len(context)} rows; give one per question ({len(ends) - 1}), "
                f"or one per candidate ({ends[-1]})."
            )
        return context.slice(ends[rows.start], ends[rows.stop] - ends[rows.start])
    return {name: values[ends[rows.start] : ends[rows.stop]] for name, values in context.items()}
