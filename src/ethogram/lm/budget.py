"""Budgets that end a run cleanly: what was asked is answered and kept, the next call is refused."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ethogram.errors import BudgetSpent
from ethogram.lm.replies import Usage


@dataclass(frozen=True)
class Prices:
    """Money per million tokens, in any one currency."""

    prompt: float = 0.0
    completion: float = 0.0

    def of(self, usage: Usage) -> float:
        """Price of a call; tokens found in the endpoint's prefix cache cost what all prompt tokens cost."""
        return (usage.prompt * self.prompt + usage.completion * self.completion) / 1e6


@dataclass(frozen=True)
class Budget:
    """Most that a run may spend; None is no bound. Answers from the cache or a recording cost nothing.

    Attributes
    ----------
    calls : sent. tokens : read and written. money : in the currency of the prices. seconds : since the first call.
    """

    calls: int | None = None
    tokens: int | None = None
    money: float | None = None
    seconds: float | None = None


class Purse:
    """What is left of a budget. Calls in flight are held at their estimate, so that many at once cannot overdraw."""

    def __init__(self, budget: Budget | None = None):
        self.budget = budget or Budget()
        self.calls = self.tokens = 0
        self.money = 0.0
        self._held_tokens = 0
        self._held_money = 0.0
        self._began: float | None = None

    def take(self, tokens: int, money: float) -> None:
        """Hold one call at its estimate.

        Raises
        ------
        BudgetSpent
            The call would pass a bound; nothing is held then.
        """
        now = time.monotonic()
        if self._began is None:
            self._began = now
        b = self.budget
        for what, spent, more, most in (
            ("calls", self.calls, 1, b.calls),
            ("tokens", self.tokens + self._held_tokens, tokens, b.tokens),
            ("money", self.money + self._held_money, money, b.money),
            ("seconds", now - self._began, 0, b.seconds),
        ):
            if most is not None and (spent + more > most or (not more and spent >= most)):
                raise BudgetSpent(
                    f"the budget of {most:g} {what} is spent ({spent:,.6g} used or in flight"
                    f"{f', the next call may take {more:,.6g}' if more and what != 'calls' else ''}); "
                    "what was answered is kept."
                )
        self.calls += 1
        self._held_tokens += tokens
        self._held_money += money

    def settle(self, held: tuple[int, float], usage: Usage, money: float) -> None:
        """Replace an estimate by what the call took."""
        self._held_tokens -= held[0]
        self._held_money -= held[1]
        self.tokens += usage.total
        self.money += money
