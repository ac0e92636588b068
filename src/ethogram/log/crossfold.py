"""Cross-validation of answered questions where there is no later to be judged by: ratings, questionnaires, panels.

Everything that was answered is dealt into folds, and each fold is judged by what was learned from the others:

- ``within-user``: a fold is a share of each person's answers; the person's other answers are the history.
- ``new-user``: a fold is a share of the people; nothing that they did is in training or in a history.
- ``new-item``: a fold is a share of the items; nobody's answer to them is in training or in a history.

The last two are what a random deal of the answers hides: a model that has learned people by heart looks as good there
as one that knows why. A question of the test is one person with all held-out items of that person; it is asked after
everything that is left in the log. Logs whose answers are to exposures, beside behaviour that has none, happen in time:
they are cut by time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ethogram.errors import OptionError, StepError
from ethogram.log.histories import Candidates, Histories, Questions
from ethogram.log.questions import OUTCOMES
from ethogram.log.sequences import Sequences

if TYPE_CHECKING:
    from ethogram.log.engine import Engine
    from ethogram.log.log import Log

CROSSED = ("within-user", "new-user", "new-item")
_COLUMN = {"within-user": "event", "new-user": "user_code", "new-item": "item_code"}


@dataclass(frozen=True)
class Dropped:
    """Events but those whose `column` (event, user_code, item_code) has one of these values."""

    column: str
    values: tuple[int, ...]

    def frame(self, frame: Any, engine: Engine) -> Any:
        import narwhals as nw

        return frame.filter(~nw.col(self.column).is_in(list(self.values)) | nw.col(self.column).is_null())

    def rows(self, sequences: Sequences, before: Log) -> Sequences:
        return sequences.keep(~np.isin(_codes(sequences, self.column), np.array(self.values, np.int64)))


@dataclass(frozen=True, eq=False)
class Held:
    """The answers of a fold, asked after all that was left to train on."""

    train: Log
    log: Log
    column: str
    values: tuple[int, ...]
    _kept: dict[str, Any] = field(default_factory=dict, repr=False)

    def fingerprint(self) -> str:
        """Hash of the training part, which says what is held out, and that the rest is asked."""
        return f"{self.train.fingerprint()}-held"

    def questions(self, kind: str = "slates", **_: Any) -> Questions:
        """A question per person with the held-out items; `value` of the answers is in `ratings`."""
        if kind != "slates":
            raise OptionError(f"cross-validation asks what people answered ('slates'), not '{kind}'.")
        if "questions" not in self._kept:
            self._kept["questions"] = self._ask()
        asked: Questions = self._kept["questions"][0]
        return asked

    def ratings(self) -> np.ndarray:
        """Value of each answer, float32 flat beside the candidates; NaN where the log has none."""
        self.questions()
        found: np.ndarray = self._kept["questions"][1]
        return found

    def _ask(self) -> tuple[Questions, np.ndarray]:
        whole = self.log.sequences()
        own = np.isin(_codes(whole, self.column), np.array(self.values, np.int64))
        rows = np.flatnonzero(own & ~np.isnan(np.asarray(whole.columns["label"])))
        rows = rows[np.lexsort((np.asarray(whole.columns["item"])[rows], whole.user[rows]))]
        users, first = np.unique(whole.user[rows], return_index=True)
        known = self.train.sequences()
        histories = Histories.at(known, users.astype(np.int32), tables=self.log.tables)
        columns = {name: np.asarray(whole.columns[name])[rows] for name in whole.columns}
        weight = np.nan_to_num(columns.get("weight", np.ones(len(rows), np.float32)), nan=1.0)
        context = {n: c for n, c in columns.items() if n not in OUTCOMES and n not in ("kind", "position")}
        candidates = Candidates(columns["item"], whole.vocabularies["item"], np.append(first, len(rows)))
        label = columns["label"].astype(np.float32)
        value = columns.get("value", np.full(len(rows), np.nan, np.float32)).astype(np.float32)
        return Questions(histories, candidates, label, weight.astype(np.float32), context), value


class Fold(NamedTuple):
    """One fold: what trains and what judges; nothing decides when to stop."""

    train: Log
    test: Held
    log: Log
    protocol: str
    valid: None = None


class CrossFold(NamedTuple):
    """All folds of a log."""

    parts: tuple[Fold, ...]
    log: Log
    protocol: str

    def splits(self) -> Iterator[Fold]:
        """One after the other."""
        return iter(self.parts)


def crossfold(log: Log, protocol: str, *, folds: int = 10, seed: int = 0) -> CrossFold:
    """Deal a log of answers into folds.

    Parameters
    ----------
    protocol : within-user, new-user, new-item.
    folds : so many, as even as they can be. seed : of the deal.

    Raises
    ------
    OptionError, StepError
        Fewer than 2 folds or more than there is to deal; a log without labels, or one that happens in time.
    """
    whole = log.sequences()
    if "label" not in whole.columns or np.isnan(np.asarray(whole.columns["label"])).all():
        raise StepError(f"split: {protocol} judges answers, and no event carries a label; name the label's column.")
    if np.isnan(np.asarray(whole.columns["label"])).any():
        raise StepError(
            f"split: {protocol} is for logs in which every event is an answer; here behaviour lies between them, "
            "which only a cut in time keeps apart: use temporal or by-user."
        )
    column = _COLUMN[protocol]
    codes = np.unique(_codes(whole, column))
    if not 2 <= folds <= len(codes):
        raise OptionError(
            f"split: {folds} folds of {len(codes):,} to deal; give 2 or more, and no more than there are."
        )
    rng = np.random.default_rng(seed)
    if protocol == "within-user":
        of = np.empty(len(whole), np.int64)
        shuffled = np.lexsort((rng.random(len(whole)), whole.user))
        of[shuffled] = (np.arange(len(whole)) - np.repeat(whole.offsets[:-1], whole.lengths)) % folds
        codes, fold = _codes(whole, column), of
    else:
        fold = rng.permutation(len(codes)) % folds
    made = []
    for k in range(folds):
        values = tuple(np.sort(codes[fold == k]).tolist())
        train = log.with_step(Dropped(column, values))
        made.append(Fold(train, Held(train, log, column, values), log, protocol))
    return CrossFold(tuple(made), log, protocol)


def _codes(sequences: Sequences, column: str) -> np.ndarray:
    if column == "user_code":
        return np.asarray(sequences.user, np.int64)
    return np.asarray(sequences.columns["item" if column == "item_code" else column], np.int64)
