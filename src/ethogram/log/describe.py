"""Facts about a log, for people and for choices that depend on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ethogram.log import condition, facts, room
from ethogram.log.goals import answered, goals
from ethogram.log.questions import behaviour
from ethogram.log.sequences import Sequences

if TYPE_CHECKING:
    from ethogram.log.log import Log


def repeats(sequences: Sequences) -> np.ndarray:
    """bool[N]: the user met the row's item in a strictly earlier group."""
    if "item" not in sequences.columns:
        return np.zeros(len(sequences), bool)
    return facts.met_before(sequences.offsets, sequences.starts, np.asarray(sequences.columns["item"]))[0]


def describe(log: Log) -> dict[str, Any]:
    """Events, users, items, span, history lengths, repeats, ties, sparsity, kinds, quarantine.

    ``behaviour`` counts the events that histories hold (all, or those without a label where some carry one);
    ``events_per_user`` and ``repeat_ratio`` are theirs. ``tie_share`` is the share of events that have another event
    of the same user at the same time; ``users_last_tied`` the share of users whose last group has several events
    (there "the next item" is arbitrary);
    ``density`` the share of user-item pairs that occur.
    """
    sequences = log.sequences()
    done = behaviour(sequences)
    n, lengths = len(sequences), done.lengths
    item = np.asarray(sequences.columns["item"]) if "item" in sequences.columns else np.zeros(0, np.int32)
    items = int(np.count_nonzero(facts.tally(item, int(item.max(initial=-1)) + 1)))
    pairs = facts.pairs(sequences.offsets, sequences.starts, item) if len(item) else 0
    found: dict[str, Any] = {
        "events": n,
        "users": len(sequences.users),
        "items": items,
        "quarantined": int(sum(log.events.quarantined.values())),
        "quarantine": dict(log.events.quarantined),
        "roles": log.roles.named(),
        "span": _span(sequences),
        "behaviour": len(done),
        "events_per_user": {
            "mean": float(lengths.mean()) if len(done) else 0.0,
            **{k: int(np.quantile(lengths, q, method="lower")) if len(done) else 0 for k, q in _QUANTILES.items()},
        },
        "repeat_ratio": log.repeat_ratio(),
        "tie_share": facts.tied(sequences.groups, n) / n if n else 0.0,
        "users_last_tied": _last_tied(sequences),
        "density": pairs / (len(sequences.users) * items) if items and n else 0.0,
        "kinds": _kinds(sequences),
        "fingerprint": log.fingerprint(),
    }
    if "label" in sequences.columns:
        label = np.asarray(sequences.columns["label"])
        asked = room.mapped(label, bool, lambda part: ~np.isnan(part))
        found["labelled"] = int(np.count_nonzero(asked))
        found["positive_rate"] = float(room.taken(label, asked).mean()) if asked.any() else None
        if len(names := goals(sequences.columns)) > 1:
            found["goals"] = _goals(sequences, names)
    return found


def _goals(sequences: Sequences, names: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Goal -> answers, exposures without one, share of answers that are positive."""
    shown, told = answered(sequences, names), {}
    for name in names:
        values = np.asarray(sequences.columns[name], np.float32)[shown]
        known = values[~np.isnan(values)]
        rate = float(known.mean()) if len(known) else None
        told[name] = {"answered": len(known), "missing": len(values) - len(known), "positive_rate": rate}
    return told


_QUANTILES = {"min": 0.0, "p10": 0.1, "median": 0.5, "p90": 0.9, "max": 1.0}


def _last_tied(sequences: Sequences) -> float:
    if not len(sequences):
        return 0.0
    last = sequences.offsets[1:] - 1
    return float(np.mean(~sequences.starts[last]))


def _span(sequences: Sequences) -> dict[str, Any] | None:
    if "time" not in sequences.columns or not len(sequences):
        return None
    time = np.asarray(sequences.columns["time"])
    first, last = int(time.min()), int(time.max())
    return {
        "first": condition.instant(first).isoformat(),
        "last": condition.instant(last).isoformat(),
        "days": round((last - first) / 86_400_000_000, 2),
    }


def _kinds(sequences: Sequences) -> dict[str, int]:
    if "kind" not in sequences.columns:
        return {}
    kind = np.asarray(sequences.columns["kind"])
    counts = facts.tally(kind, len(sequences.vocabularies["kind"]))
    return {str(k): int(c) for k, c in zip(sequences.vocabularies["kind"].ids.to_pylist(), counts, strict=True) if c}
