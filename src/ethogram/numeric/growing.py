"""More events for what a factorisation knows: the same facts and counts as if all events had come at once."""

from __future__ import annotations

import numpy as np

from ethogram.log import Log
from ethogram.log.describe import repeats
from ethogram.log.questions import behaviour
from ethogram.numeric.interactions import Interactions
from ethogram.numeric.known import Known


def grown(known: Known, pairs: Interactions, later: Log) -> tuple[Known, Interactions, np.ndarray]:
    """(facts, counts by user and trained item, new column of each old one) of all events, old and later.

    Codes that were given stay; new users and items come behind them.

    Parameters
    ----------
    known, pairs : of the events so far. later : only the further events, all after those of the same user so far.
    """
    done = later.histories()
    places, spans = done.flat()
    items = known.items.extend(done.vocabularies["item"].ids)
    code = np.append(done.vocabularies["item"].codes_in(items), -1)[np.asarray(done.item)[places]]
    ids = done.vocabularies["user"].decode(done.users)
    users = known.users.extend(ids.filter(done.lengths > 0))
    owner = np.repeat(users.encode(ids), np.diff(spans))
    counts = np.bincount(code[code >= 0], minlength=len(items)).astype(np.int64)
    counts[: len(known.counts)] += known.counts
    facts = Known(items, users, counts, 0.0)
    place = facts.rows[np.flatnonzero(known.counts > 0)]
    column = facts.rows[code]
    # both ascend: users keep their codes, and a column's place ascends with its item's code
    had = pairs.owner.astype(np.int64) * facts.trained + place[pairs.items]
    asked = np.where(column >= 0, owner.astype(np.int64) * facts.trained + column, -1)
    again = repeats(behaviour(later.sequences()))[places] | (_held(had, asked) & (column >= 0))
    before, more = int(known.counts.sum()), len(asked)
    share = (known.repeats * before + float(again.sum())) / max(before + more, 1)
    whole = np.concatenate([pairs.owner, owner]), np.concatenate([place[pairs.items], column])
    each = np.concatenate([pairs.counts, np.ones(more, np.float32)])
    order = np.argsort(whole[0], kind="stable")
    ends = np.concatenate([[0], np.cumsum(np.bincount(whole[0], minlength=len(users)))]).astype(np.int64)
    merged = Interactions.counted(whole[1][order].astype(np.int32), ends, facts.trained, each[order])
    return Known(items, users, counts, share), merged, place


def _held(ascending: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Which of `asked` stand in `ascending`."""
    if not len(ascending):
        return np.zeros(len(asked), bool)
    at = np.minimum(np.searchsorted(ascending, asked), len(ascending) - 1)
    return ascending[at] == asked
