"""The contract suite: what every system promises, as checks that run on a small log.

    from ethogram.testing import check
    check("my_system")                  # or check(MySystem(width=8)); raises AssertionError with every broken promise

In pytest, one test per promise::

    @pytest.mark.parametrize(("key", "name"), contract("my_system"))
    def test_contract(key, name):
        check(key, only=name)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ethogram.catalogue import SystemInfo
from ethogram.system import LEARNED, find, info
from ethogram.testing import (
    acting,
    always,
    anticipating,
    assessing,
    assigning,
    forecasting,
    recommending,
    routing,
    scoring,
    simulating,
)
from ethogram.testing.case import Case
from ethogram.testing.example import example

__all__ = ["Case", "check", "contract", "example", "promises"]

Promise = Callable[[Case], None]

BY_VERB: dict[str, tuple[Promise, ...]] = {
    "score": scoring.CHECKS,
    "score_goals": scoring.GOALS,
    "explain": scoring.EXPLAIN,
    "forecast": forecasting.FORECASTS,
    "recommend": recommending.CHECKS,
    "update": recommending.UPDATE,
    "similar_items": recommending.SIMILAR,
    "act": acting.ACTS,
    "anticipate": anticipating.ANTICIPATES,
    "assess": acting.ASSESSES,
    "assign": assigning.ASSIGNS,
    "audit": acting.AUDITS,
    "route": routing.ROUTES,
    "simulate": simulating.SIMULATES,
}
"""Verb -> what a system that declares it promises; a new verb brings its checks here."""


def promises(known: SystemInfo) -> dict[str, Promise]:
    """Name -> check, for the verbs that a system declares."""
    learns = any(verb in LEARNED for verb in known.verbs)
    base = always.CHECKS if learns else routing.ALWAYS if "route" in known.verbs else acting.ALWAYS
    base = anticipating.ALWAYS if "anticipate" in known.verbs else base
    base = assigning.ALWAYS if "assign" in known.verbs else base
    outcomes = known.area == "risk" and "decided" in getattr(find(known.key), "__dataclass_fields__", {})
    base = assessing.ALWAYS if outcomes else base
    base = forecasting.ALWAYS if "forecast" in known.verbs else base
    found = {p.__name__: p for p in base}
    for verb in known.verbs:
        if verb == "assess" and outcomes:
            found |= {f"assess {p.__name__}": p for p in assessing.LEARNED}
            continue
        found |= {f"{verb} {p.__name__}": p for p in BY_VERB[verb]}
    return found


def contract(*keys: str) -> list[tuple[str, str]]:
    """(key, promise) for each system, to parametrise a test."""
    return [(key, name) for key in keys for name in promises(info(key))]


def check(given: Any, *, only: str | None = None, **settings: Any) -> None:
    """Hold a system to its promises.

    Parameters
    ----------
    given : key, system object (its options are used, it is not touched) or a `Case`, which keeps its fits
        between calls.
    only : the name of one promise. **settings : options, where `given` is a key.

    Raises
    ------
    AssertionError
        Names every broken promise, what it says, and how it was broken.
    """
    case = given if isinstance(given, Case) else Case.of(given, **settings)
    broken = []
    for name, promise in promises(case.info).items():
        if only in (None, name):
            try:
                promise(case)
            except AssertionError as error:
                said = (promise.__doc__ or "").split("\n")[0]
                broken.append(f"{case.key} breaks '{name}' ({said}): {error}")
    if broken:
        raise AssertionError("\n".join(broken))
