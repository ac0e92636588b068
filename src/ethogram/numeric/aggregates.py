"""What a history says about a candidate, in numbers: how much of it is of the same kind, and how long ago.

For each column of the items that has categories (the item itself, its brand, its genres ...), per candidate:

    count     events of the same value, in the whole history and in its last events
    days      since the last such event; back: groups of equal times since then
    lift      log of (count + s * share) / (length + s) / share: the share of the history against everybody's
    liked     log-odds of a positive answer to the same value in this history, where past events carry answers
    odds      log-odds of a positive answer to the same value by anybody

about the history as a whole its events, its groups, days since the last and log-odds of a positive answer, and of the
item its popularity. What everybody did comes from `ethogram.numeric.popular`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ethogram.log import Features
from ethogram.numeric.past import Past
from ethogram.numeric.popular import Popular
from ethogram.numeric.slates import Slates
from ethogram.numeric.values import Values

LIFT = 50.0
"""Events' worth of everybody's share in the share of a history."""


def matrix(
    slates: Slates, features: Features, popular: Popular, fold: np.ndarray | None = None, *, lift: float = LIFT
) -> tuple[np.ndarray, list[str]]:
    """Aggregates of every candidate, float32[total, F] with NaN for what is not known, and their names.

    Parameters
    ----------
    fold : int64[n], the row of `popular` that each question reads; None reads the last, what all of training knows.
    lift : the strength s.
    """
    row = np.full(len(slates.batch), -1) if fold is None else fold
    made = dict(_columns(slates, features, popular, row[slates.owner], lift))
    out = np.empty((len(slates), len(made)), np.float32)
    for j, column in enumerate(made.values()):
        out[:, j] = column
    return out, list(made)


def _columns(
    slates: Slates, features: Features, popular: Popular, row: np.ndarray, lift: float
) -> Iterator[tuple[str, np.ndarray]]:
    items, owner = slates.batch.items, slates.owner
    facts = popular.facts(features, items)
    past = Past.of(features, slates.batch)
    yield "popularity", facts.events[row, slates.item]
    for name, number in (*past.whole(), *past.answered()):
        yield name, number[owner]
    for name, values in facts.values.items():
        yield f"odds.{name}", facts.odds[name][row, slates.item]
        # an item that training never saw is still the same item
        same = Values.identity(len(values)) if name == "item" else values
        seen = list(past.counts(slates, same))
        for window, count, _ in seen:
            yield f"count{window}.{name}", count
        _, count, last = seen[0]
        for what, number in past.since(last, owner):
            yield f"{what}.{name}", number
        yield f"lift.{name}", _lift(count, past.history.lengths[owner], facts.share[name][row, slates.item], lift)
        liked = past.liked(slates, same)
        if liked is not None:
            yield f"liked.{name}", liked
    for name, column in items.items():
        if column.kind == "numeric":
            yield f"item.{name}", column.values[slates.item]
    for name, number, _ in slates.users():
        yield f"user.{name}", number
    for name, number, table in slates.context():
        yield f"context.{name}", number
        if table is not None:
            yield f"odds.context.{name}", popular.odds[f"context.{name}"][row, number]


def _lift(count: np.ndarray, length: np.ndarray, share: np.ndarray, strength: float) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(share > 0, np.log((count + strength * share) / (length + strength) / share), np.nan)
