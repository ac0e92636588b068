"""Verbs: what can be done in a world, on what, who gets it, and what follows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ethogram.errors import WorldError
from ethogram.world.acts import Batch
from ethogram.world.rules import Rule, everyone
from ethogram.world.saying import unpacked
from ethogram.world.state import State


@dataclass(frozen=True)
class Done:
    """Acts that were granted, as `apply` sees them: columns of one length, in the fixed order.

    Attributes
    ----------
    rows : who, int64[n]. uid : their identities. object : int32[n]. value : float32[n].
    event : ids of the events int64[n], for columns that later acts name as their cause. cause : int64[n], -1 none.
    text : place -> what was said. objects, merged : under a rule of `merge`, the different objects and the one value
        of each; otherwise empty.
    """

    rows: np.ndarray
    uid: np.ndarray
    object: np.ndarray
    value: np.ndarray
    event: np.ndarray
    cause: np.ndarray
    text: dict[int, str] = field(default_factory=dict)
    objects: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    merged: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def __len__(self) -> int:
        return len(self.rows)


Apply = Callable[[State, Done], None]


@dataclass(frozen=True)
class Action:
    """A verb.

    Attributes
    ----------
    on : the thing that it is done on (of the world's `things`, or "people"); "" where it needs no object.
    rule : who gets it; must be given where there is an object. Two actions with the same rule compete.
    apply : what follows: called once per tick with all granted acts of the verb, and writes the state. It must not
        depend on the order of rows (``np.add.at`` or `bincount`, not ``column[objects] += 1``);
        `ethogram.world.permuting.relabelled` tells whether it does. None: the act has no effect but its event.
    priority : lower is settled and applied first.
    about : the verb in words, for language models.
    """

    name: str
    on: str = ""
    rule: Rule | None = None
    apply: Apply | None = None
    priority: int = 0
    about: str = ""

    def __post_init__(self) -> None:
        if self.on and self.rule is None:
            raise WorldError(
                f"action '{self.name}' on '{self.on}' says not who gets it; give rule=everyone(), first_wins(), "
                "capacity(...) or merge(...)."
            )
        if self.rule is None:
            object.__setattr__(self, "rule", everyone())


def done(action: Action, batch: Batch, event: np.ndarray) -> Done:
    """The acts of a verb as its `apply` sees them."""
    assert action.rule is not None
    cause = np.full(len(batch), -1, np.int64) if batch.cause is None else batch.cause
    more = {}
    if action.rule.kind == "merge":
        more = dict(zip(("objects", "merged"), action.rule.merged(batch.object, batch.value), strict=True))
    text = {place: unpacked(said).text for place, said in batch.text.items()}
    text = {place: said for place, said in text.items() if said}  # reasons and notes are no effect's business
    return Done(batch.row, batch.uid, batch.object, batch.value, event, cause, text, **more)
