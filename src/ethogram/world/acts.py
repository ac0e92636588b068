"""What people propose to do: one row per act, the same record whoever decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ethogram.errors import WorldError, unknown

NOTHING = "nothing"
"""The verb of whoever decided to do nothing; it is logged, and has no effect."""
SOURCES = ("rule", "model", "archetype", "surrogate", "outside", "fallback", "world")
"""How a decision came about; `actor` of the log is ``source:policy``."""


@dataclass(frozen=True)
class Acts:
    """Acts of one verb, as a vector policy proposes them.

    Attributes
    ----------
    rows : who, int[n]; the same person may stand several times. object : on what, int[n], or one for all; -1 nothing.
    value : how much, float[n] or one. cause : event ids int[n] that led to it. text : place in `rows` -> what is said.
    via : how it was decided, of SOURCES (one for all, or places in SOURCES, int[n]).
    """

    verb: str
    rows: np.ndarray
    object: Any = -1
    value: Any = 0.0
    cause: Any = None
    text: Mapping[int, str] | None = None
    via: Any = "rule"

    def __len__(self) -> int:
        return len(self.rows)

    def instead(self) -> Acts:
        """The same, of a policy that stands in for another: what a rule decided is a fallback."""
        rule, fallback = SOURCES.index("rule"), SOURCES.index("fallback")
        code = np.asarray(SOURCES.index(self.via) if isinstance(self.via, str) else self.via)
        return replace(self, via=np.broadcast_to(np.where(code == rule, fallback, code), len(self)).astype(np.uint8))


@dataclass(frozen=True)
class Decision:
    """An act that a mind decided.

    Attributes
    ----------
    verb : "" where `text` says it in free words, for the game master to judge.
    wait : ticks until this person is awake again, None as the mind's kind has it; of several acts the first one's.
    via : of SOURCES. why : a reason, or what went wrong, kept in the log.
    notes : what the mind learned on the way (JSON), which it is given back in `remember`, also where a run is repeated.
    granted : set by the engine in `remember`: whether the claim was granted.
    """

    verb: str = NOTHING
    object: int = -1
    value: float = 0.0
    text: str = ""
    cause: int = -1
    wait: int | None = None
    via: str = "model"
    why: str = ""
    notes: Any = None
    granted: bool = True


@dataclass
class Batch:
    """Acts of all verbs in one table, and after resolving what is applied and logged.

    Attributes
    ----------
    row int64, uid uint32, verb uint8, object int32, value float32, cause int64 (or None: nowhere one), via uint8,
    policy uint8, k uint8 (number of the act among this person's acts of this tick). text : place -> text.
    done : bool, None where nothing was refused.
    """

    row: np.ndarray
    uid: np.ndarray
    verb: np.ndarray
    object: np.ndarray
    value: np.ndarray
    via: np.ndarray
    policy: np.ndarray
    cause: np.ndarray | None = None
    text: dict[int, str] = field(default_factory=dict)
    k: np.ndarray | None = None
    done: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.row)

    def take(self, places: np.ndarray) -> Batch:
        """Some of the acts, in the order of `places`."""
        text: dict[int, str] = {}
        if self.text:
            at = {int(p): i for i, p in enumerate(places) if int(p) in self.text}
            text = {i: self.text[p] for p, i in at.items()}
        optional: dict[str, Any] = {
            n: None if (c := getattr(self, n)) is None else c[places] for n in ("cause", "k", "done")
        }
        columns = {n: getattr(self, n)[places] for n in _COLUMNS}
        return Batch(**columns, **optional, text=text)


_COLUMNS = ("row", "uid", "verb", "object", "value", "via", "policy")


def encoded(
    acts: Sequence[Acts], verbs: Sequence[str], uid: np.ndarray, policy: int, name: str, sizes: Mapping[str, int | None]
) -> Batch:
    """Acts of a policy as a table.

    Parameters
    ----------
    sizes : verb -> how many objects there are to act on, None where the verb takes none (any number is kept).

    Raises
    ------
    WorldError
        A verb, a person or an object that does not exist, or columns of different lengths.
    """
    parts = [_encoded(a, verbs, uid, policy, name, sizes) for a in acts if len(a)]
    if len(parts) == 1:
        return parts[0]
    return joined(parts)


def _encoded(
    acts: Acts, verbs: Sequence[str], uid: np.ndarray, policy: int, name: str, sizes: Mapping[str, int | None]
) -> Batch:
    if acts.verb not in verbs:
        raise WorldError(f"policy '{name}': " + unknown("verb", acts.verb, verbs))
    n, rows = len(acts), np.asarray(acts.rows, np.int64)
    if rows.min() < 0 or rows.max() >= len(uid):
        raise WorldError(f"policy '{name}' acts for row {rows.max()}; there are {len(uid)} people.")

    def column(what: str, given: Any, kind: Any) -> np.ndarray:
        made = np.asarray(given, kind)
        if made.ndim and len(made) != n:
            raise WorldError(f"policy '{name}', verb '{acts.verb}': {len(made)} values of '{what}' for {n} acts.")
        return made if made.ndim else np.full(n, made, kind)

    on = column("object", acts.object, np.int32)
    most = sizes[acts.verb]
    if most is not None and (on.min() < 0 or on.max() >= most):
        wrong = on.min() if on.min() < 0 else on.max()
        raise WorldError(f"policy '{name}', verb '{acts.verb}': object {wrong}; there are 0 to {most - 1}.")
    via = SOURCES.index(acts.via) if isinstance(acts.via, str) else acts.via
    return Batch(
        rows, uid[rows], np.full(n, list(verbs).index(acts.verb), np.uint8), on,
        column("value", acts.value, np.float32), column("via", via, np.uint8), np.full(n, policy, np.uint8),
        None if acts.cause is None else column("cause", acts.cause, np.int64), dict(acts.text or {}),
    )  # fmt: skip


def joined(parts: Sequence[Batch]) -> Batch:
    """Tables one behind the other."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        kinds = (np.int64, np.uint32, np.uint8, np.int32, np.float32, np.uint8, np.uint8)
        empty: dict[str, Any] = {n: np.zeros(0, k) for n, k in zip(_COLUMNS, kinds, strict=True)}
        return Batch(**empty)
    text: dict[int, str] = {}
    at = 0
    for part in parts:
        text |= {at + i: t for i, t in part.text.items()}
        at += len(part)
    cause = None
    if any(p.cause is not None for p in parts):
        cause = np.concatenate([np.full(len(p), -1, np.int64) if p.cause is None else p.cause for p in parts])
    columns = {n: np.concatenate([getattr(p, n) for p in parts]) for n in _COLUMNS}
    return Batch(**columns, cause=cause, text=text)
