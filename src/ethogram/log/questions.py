"""From a part of a log to the questions that it asks: a history, candidates, and what really happened."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ethogram.errors import OptionError, StepError
from ethogram.log import facts, kernels
from ethogram.log.goals import answered, goals
from ethogram.log.histories import Candidates, Histories, Questions
from ethogram.log.sequences import Sequences

if TYPE_CHECKING:
    from ethogram.log.log import Log

OUTCOMES = (
    "item",
    "event",
    "time",
    "order",
    "label",
    "weight",
    "value",
    "slate",
    "session",
    "propensity",
    "cause",
)
"""Columns of an asking event that are not context: its identity, its clock, or what only its outcome tells."""


def behaviour(sequences: Sequences) -> Sequences:
    """The events that are behaviour: all, or, where only some events carry a label, those without any.

    (Labels on some events mark exposures: what was shown. What was done is then logged without a label.)
    """
    answers = goals(sequences.columns)
    if not answers:
        return sequences
    if "behaviour" not in sequences._kept:
        missing = ~answered(sequences, answers)
        kept = sequences.keep(missing) if missing.any() and not missing.all() else sequences
        sequences._kept["behaviour"] = kept  # type: ignore[assignment]
    return sequences._kept["behaviour"]  # type: ignore[return-value]


def histories(log: Log, at: Log | None) -> Histories:
    """All behaviour of each user, or what is strictly earlier than each of the user's groups in `at`."""
    done = behaviour(log.sequences())
    if at is None:
        return Histories.at(done, done.users, tables=log.tables)
    asked = at.sequences()
    first = asked.groups
    clocks = {c: np.asarray(asked.columns[c])[first] for c in asked.clocks}
    return Histories.at(done, asked.user[first], clocks, tables=log.tables)


def questions(part: Log, kind: str, which: str | None) -> Questions:
    """Questions of a part.

    ``next``: for a user's group the history is all behaviour strictly earlier in the log that the part was cut
    from, the candidates are the distinct items of the group, all with label 1. `which` group: ``first`` of the
    part (default), ``last`` (default of a by-user part), ``every``.

    ``slates``: events with a label, gathered by slate (else by user and clock); the label and weight of each
    candidate lie beside it.

    ``goals``: the same of events with a label of any goal; `Questions.labels` holds the answers to all of them.
    """
    asked = part.sequences()
    if kind == "next":
        return _next(part, behaviour(asked), which or _asks(part))
    if kind in ("slates", "goals"):
        return _slates(part, asked, goals(asked.columns) if kind == "goals" else ())
    raise OptionError(f"questions: '{kind}' is none of 'next', 'slates' and 'goals'.")


def _asks(part: Log) -> str:
    """Which group a part asks about if nobody says: its cut knows; of a whole log, each user's last."""
    asks: str = getattr(part.steps[-1], "asks", "last") if part.steps else "last"
    return asks


def _next(part: Log, asked: Sequences, which: str) -> Questions:
    if which not in ("first", "last", "every"):
        raise OptionError(f"questions: which='{which}' is none of first, last, every.")
    if not len(asked):
        raise StepError("questions: this part holds no events.")
    item = np.asarray(asked.columns["item"])
    offsets, starts = np.asarray(asked.offsets), asked.starts
    if which == "every":
        groups, users = asked.groups, asked.user[asked.groups]
        stops = np.append(asked.groups[1:], len(asked))
    else:
        users = np.asarray(asked.users)
        groups = offsets[:-1]
        if which == "last":
            last = kernels.last_groups(offsets, starts)[0]
            groups = np.where(last < offsets[1:], last, groups)  # a user's only group is the first and the last
        stops = facts.group_ends(starts, groups, offsets[1:])
    rows, spans = kernels.ragged_rows(groups, stops)
    owner = np.repeat(np.arange(len(groups)), np.diff(spans))
    # rows of a group are sorted by item, so repeats inside it lie side by side
    fresh = np.r_[True, (item[rows][1:] != item[rows][:-1]) | (owner[1:] != owner[:-1])] & (item[rows] >= 0)
    rows, owner = rows[fresh], owner[fresh]
    there = np.unique(owner)
    groups, users = groups[there], users[there]
    offsets = np.append(np.searchsorted(owner, there), len(owner))
    clocks = {c: np.asarray(asked.columns[c])[groups] for c in asked.clocks}
    before = part.before()
    asking = Histories.at(behaviour(before.sequences()), users, clocks, tables=before.tables)
    ones = np.ones(len(rows), np.float32)
    return Questions(asking, Candidates(item[rows], asked.vocabularies["item"], offsets), ones, ones)


def _slates(part: Log, asked: Sequences, answers: tuple[str, ...] = ()) -> Questions:
    if "label" not in asked.columns:
        raise StepError("questions: no event carries a label; name the label's column, or ask for 'next'.")
    rows = np.flatnonzero(answered(asked, answers or ("label",)))
    if not len(rows):
        raise StepError("questions: no event of this part carries a label.")
    group = asked.group[rows]
    if "slate" in asked.columns:
        slate = np.asarray(asked.columns["slate"])[rows]
        order = np.lexsort((np.arange(len(rows)), slate, group))
        rows, group, slate = rows[order], group[order], slate[order]
        new = np.r_[True, (group[1:] != group[:-1]) | (slate[1:] != slate[:-1])]
    else:
        new = np.r_[True, group[1:] != group[:-1]]
    first = np.flatnonzero(new)
    clocks = {c: np.asarray(asked.columns[c])[rows[first]] for c in asked.clocks}
    before = part.before()
    asking = Histories.at(behaviour(before.sequences()), asked.user[rows[first]], clocks, tables=before.tables)
    weight = np.asarray(asked.columns["weight"])[rows] if "weight" in asked.columns else np.ones(len(rows), np.float32)
    context = {
        name: np.asarray(column)[rows]
        for name, column in asked.columns.items()
        if name not in OUTCOMES and name != "kind" and name not in goals(asked.columns)
    }
    return Questions(
        asking,
        Candidates(np.asarray(asked.columns["item"])[rows], asked.vocabularies["item"], np.append(first, len(rows))),
        np.asarray(asked.columns["label"])[rows].astype(np.float32),
        np.where(np.isnan(weight), 1, weight).astype(np.float32),
        context,
        {name: np.asarray(asked.columns[name])[rows].astype(np.float32) for name in answers},
    )
