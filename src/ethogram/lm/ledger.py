"""What was asked, what it cost and how long it took, per purpose and model."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from ethogram.lm.replies import Usage

answered: ContextVar[Counter[str] | None] = ContextVar("answered", default=None)
"""Where a task sets it: sources of the answers that it, and what it starts, are given (live, cache, joined ...)."""


@dataclass
class Account:
    """Sums of one purpose at one model. `seconds` holds the latency of each call that was sent."""

    calls: int = 0
    sources: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    prompt: int = 0
    completion: int = 0
    money: float = 0.0
    tries: int = 0
    seconds: array[float] = field(default_factory=lambda: array("f"))

    def latency(self, share: float) -> float | None:
        """Quantile of the latency (the value at rank ceil(share * n)), None where nothing was sent."""
        if not self.seconds:
            return None
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, max(0, -int(-share * len(ordered) // 1) - 1))]


class Ledger:
    """Accounts by (purpose, identity)."""

    def __init__(self) -> None:
        self.accounts: dict[tuple[str, str], Account] = {}

    def enter(
        self, purpose: str, identity: str, source: str, usage: Usage, money: float, seconds: float, tries: int
    ) -> None:
        """One answered call; what came from the cache or a recording counts no tokens and no money."""
        account = self._account(purpose, identity)
        account.calls += 1
        account.sources[source] += 1
        if (here := answered.get()) is not None:
            here[source] += 1
        if source == "live":
            account.prompt += usage.prompt
            account.completion += usage.completion
            account.money += money
            account.tries += tries
            account.seconds.append(seconds)

    def fail(self, purpose: str, identity: str, error: str) -> None:
        """One call without an answer."""
        account = self._account(purpose, identity)
        account.calls += 1
        account.errors[error] += 1

    def _account(self, purpose: str, identity: str) -> Account:
        found = self.accounts.get((purpose, identity))
        if found is None:
            found = self.accounts[purpose, identity] = Account()
        return found

    def rows(self) -> Iterator[dict[str, Any]]:
        """One row per purpose and model, largest money and then most calls first."""
        order = sorted(self.accounts.items(), key=lambda kv: (-kv[1].money, -kv[1].calls, kv[0]))
        for (purpose, identity), a in order:
            yield {
                "purpose": purpose,
                "model": identity,
                "calls": a.calls,
                "live": a.sources["live"],
                "cached": a.sources["cache"] + a.sources["joined"] + a.sources["recording"],
                "failed": a.errors.total(),
                "prompt": a.prompt,
                "completion": a.completion,
                "money": a.money,
                "median_seconds": a.latency(0.5),
                "p95_seconds": a.latency(0.95),
            }
