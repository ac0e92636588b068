"""What the floors share whose fitted state is a sum over the history (`ethogram.numeric.affinity`).

A system adds its own options and `_learn`, which counts. With `remember` it keeps what it read, so that `update` goes
on from there to what a fit on both would give.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Self

from ethogram.numeric.affinity import Affinity
from ethogram.numeric.known import Known
from ethogram.numeric.ledger import Ledger, remembered
from ethogram.verbs import Histories, Log, State, Watch


@dataclass(kw_only=True)
class AffinitySystem:
    """Fits by counting, and goes on counting."""

    remember: bool = False
    "Keep the training events in the fitted system, so that `update` can go on from them."

    @abstractmethod
    def _learn(self, known: Known, done: Histories, ledger: Ledger | None) -> Affinity:
        """Count whole histories."""

    def _check(self) -> None:
        """OptionError where an option is outside its range."""

    def fit(self, train: Log, valid: Log | None = None, *, seed: int = 0, watch: Watch | None = None) -> Self:
        """Count; `valid`, `seed` and `watch` have nothing to do.

        Raises
        ------
        OptionError
            An option outside its range, or one that the log cannot serve.
        """
        self._check()
        self.fitted = self._learn(Known.of(train), train.histories(), Ledger.of(train) if self.remember else None)
        return self

    def update(self, log: Log) -> Self:
        """Go on from what was read with later events: what a fit on both would give.

        Raises
        ------
        OptionError, StepError
            Fitted without `remember`; events earlier than what is known of their user.
        """
        ledger = remembered(self, log)
        self.fitted = self._learn(ledger.known(), ledger.histories, ledger)
        return self

    def restore(self, state: State) -> Self:
        self.fitted = Affinity.restore(state)
        return self
