"""What `ethogram simulate` may spend of its model, as one types it."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import TYPE_CHECKING

from ethogram.errors import OptionError, unknown

if TYPE_CHECKING:
    from ethogram.lm import Budget, Prices
    from ethogram.replay.building import Spending


def spending(budget: str | None, prices: str | None, spent: str, timeout: float) -> Spending:
    """See `ethogram.replay.building.Spending`.

    Raises
    ------
    OptionError
        One of them cannot be read.
    """
    from ethogram.replay.building import Spending

    if not timeout > 0:
        raise OptionError(f"--timeout {timeout:g}: give seconds above 0.")
    if spent not in ("degrade", "stop"):
        raise OptionError(f"--spent {spent}: degrade (to the next model, then to the rules) or stop.")
    bounds = None if budget is None else bounded(budget)
    if bounds is not None and bounds.money is not None and prices is None:
        raise OptionError("--budget money=... needs --prices, what a million tokens cost: --prices 0.5,1.5")
    return Spending(bounds, None if prices is None else priced(prices), spent, timeout)


def bounded(told: str) -> Budget:
    """A budget as text.

    >>> bounded("calls=200, tokens=1e6").tokens
    1000000
    """
    from ethogram.lm import Budget

    given: dict[str, float] = {}
    known = [f.name for f in fields(Budget)]
    for part in told.split(","):
        name, _, value = (t.strip() for t in part.partition("="))
        if name not in known:
            raise OptionError(f"--budget {told}: " + unknown("bound", name, known))
        given[name] = _number("--budget", told, value)
    whole = {n: int(v) if n in ("calls", "tokens") else v for n, v in given.items()}
    return Budget(**whole)  # type: ignore[arg-type]


def priced(told: str) -> Prices:
    """Money for a million tokens read, and written; one number is both.

    >>> priced("0.5,1.5").completion
    1.5
    """
    from ethogram.lm import Prices

    found = [_number("--prices", told, part.strip()) for part in told.split(",")]
    if len(found) > 2:
        raise OptionError(f"--prices {told}: give one number, or two: of tokens read, and written.")
    return Prices(found[0], found[-1])


def _number(option: str, told: str, value: str) -> float:
    try:
        found = float(value)
    except ValueError:
        found = -1.0
    if not 0 <= found < math.inf:
        raise OptionError(f"{option} {told}: '{value}' is no number of 0 or more.")
    return found
