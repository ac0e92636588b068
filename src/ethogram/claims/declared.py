"""Claims as they are declared: which system says what, and the plan that measures it."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ethogram.catalogue import SystemInfo, index
from ethogram.errors import OptionError, UnknownName, unknown
from ethogram.evaluate.grid import Grid
from ethogram.evaluate.verdict import Law, Laws

Plan = Callable[..., Any]
_P = TypeVar("_P", bound=Plan)


@dataclass(frozen=True)
class Claim:
    """What a system is said to do, and the function that plans its measurement."""

    key: str
    text: str
    plan: Plan

    def parts(self, bench: Any) -> list[Grid | Laws]:
        """The grids and laws of the plan.

        Raises
        ------
        OptionError
            The plan returned something else.
        """
        made = self.plan(bench)
        parts = list(made) if isinstance(made, list | tuple) and not isinstance(made, Laws) else [made]
        parts = [Laws(p) if isinstance(p, Law) else p for p in parts]
        for part in parts:
            if not isinstance(part, Grid | Laws):
                raise OptionError(f"claim of {self.key}: its plan returned {type(part).__name__}; return Grid or Laws.")
        return parts


_declared: dict[str, dict[str, Claim]] = {}


def claim(key: str, text: str) -> Callable[[_P], _P]:
    """Declare that system `key` does what `text` says; the function below plans how to measure it.

    The function takes the bench and returns a `Grid`, `Laws`, a `Law`, or a list of them. A module may hold several
    claims of its system.
    """

    def declare(plan: _P) -> _P:
        _declared.setdefault(key, {})[plan.__qualname__] = Claim(key, text, plan)
        return plan

    return declare


def keys() -> list[str]:
    """Keys of the systems that have claims; no claim is imported."""
    return sorted(key for key, known in index().items() if _there(known))


def claims(key: str) -> Sequence[Claim]:
    """The claims of one system; its module is imported now.

    Raises
    ------
    UnknownName
        No such system, or it has no claims.
    MissingExtra
        What the system needs is not installed.
    """
    if key in index():
        known = index()[key]
        if not _there(known):
            raise UnknownName(f"system '{key}' has no claims. " + unknown("claim", key, keys()).capitalize())
        known.require()
        importlib.import_module(_module(known))
    if not _declared.get(key):
        raise UnknownName(unknown("claim", key, {*keys(), *_declared}))
    return list(_declared[key].values())


def _module(known: SystemInfo) -> str:
    return f"{known.module.split('.')[0]}.claims.{known.area}.{known.key}"


def _there(known: SystemInfo) -> bool:
    try:
        return importlib.util.find_spec(_module(known)) is not None
    except ModuleNotFoundError:
        return False
