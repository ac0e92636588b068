"""Budgets that end a run cleanly: what was asked is answered and kept, the next call is refused."""

from __future__ import annotations

import time
from collections.abc import Collection
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
    """Most that a run may spend; None is no bound. Answers from the cache or a recording cost nothing, and a call that
    costs no money is not refused for want of it.

    Attributes
    ----------
    calls : sent. tokens : read and written. money : in the currency of the prices. seconds : since the first call of
        this process; all else over all sessions of a run that is gone on with.
    """

    calls: int | None = None
    tokens: int | None = None
    money: float | None = None
    seconds: float | None = None


class Purse:
    """What is left of a budget. Calls in flight are held at their estimate, so that many at once cannot overdraw.

    `free` : identities of models whose calls are neither counted nor refused.
    """

    def __init__(self, budget: Budget | None = None, free: Collection[str] = ()):
        self.budget, self.free = budget or Budget(), set(free)
        self.calls = self.tokens = 0
        self.money = 0.0
        self._held_tokens = 0
        self._held_money = 0.0
        self._began: float | None = None

    def spent(self, calls: int, tokens: int, money: float) -> None:
        """Count what was spent before."""
        self.calls, self.tokens, self.money = self.calls + calls, self.tokens + tokens, self.money + money

    def take(self, identity: str, tokens: int, money: float) -> None:
        """Hold one call to a model at its estimate.

        Raises
        ------
        BudgetSpent
            The call would pass a bound; nothing is held then.
        """
        if identity in self.free:
            return
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
            if most is not None and (spent >= most if what == "seconds" else more and spent + more > most):
                raise BudgetSpent(
                    f"the budget of {most:g} {what} is spent ({spent:,.6g} used or in flight"
                    f"{f', the next call may take {more:,.6g}' if more and what != 'calls' else ''}); "
                    "what was answered is kept."
                )
        self.calls += 1
        self._held_tokens += tokens
        self._held_money += money

    def settle(self, identity: str, held: tuple[int, float], usage: Usage, money: float) -> None:
        """Replace an estimate by what the call took."""
        if identity in self.free:
            return
        self._held_tokens -= held[0]
        self._held_money -= held[1]
        self.tokens += usage.total
        self.money += money
