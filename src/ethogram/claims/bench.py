"""The bench with everything connected: systems from the registry, data sets by name, a small log for quick runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ethogram.evaluate.bench import Bench
from ethogram.evaluate.record import RecordStore

SMALL: Mapping[str, Any] = {
    "users": 60, "items": 200, "categories": 20, "length": (60, 90), "slates": 8, "candidates": 6,
}  # fmt: skip
"""Options of the generator `interests` for quick runs: about 7,000 events, behaviour and slates."""


def bench(
    *,
    store: str | Path | RecordStore | None = None,
    quick: bool = False,
    only: Iterable[str] | None = None,
    watch: Callable[[Mapping[str, Any]], None] | None = None,
) -> Bench:
    """A bench on this machine's systems and data; arguments as in `evaluate.bench.Bench`."""
    kept = RecordStore(store) if isinstance(store, str | Path) else store
    return Bench(_system, _load, _small, None if quick else kept, quick, only, watch)


def _system(key: str, **options: Any) -> Any:
    from ethogram.system import system

    return system(key, **options)


def _load(name: str, **options: Any) -> Any:
    from ethogram import data

    return data.load(name, **options)


def _small(name: str, **options: Any) -> Any:
    """The small log for any named data set: a quick run must need no files. Options of the generator itself hold."""
    from ethogram import data

    return data.load("interests", **{**(options if name == "interests" else {}), **SMALL})
