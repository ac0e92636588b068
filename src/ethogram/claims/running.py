"""Measuring claims: one system or all, quickly or in full."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ethogram.claims import bench as benches
from ethogram.claims.declared import Claim, claims
from ethogram.errors import EthogramError, MissingExtra
from ethogram.evaluate import machine
from ethogram.evaluate.bench import REASONS, Bench, reason
from ethogram.evaluate.grid import Grid, Outcome
from ethogram.evaluate.record import Record, RecordStore
from ethogram.evaluate.subject import plain
from ethogram.evaluate.verdict import FAILS, NOT_MEASURABLE

Watch = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Result:
    """What measuring the claims of one system gave.

    Attributes
    ----------
    claims : each claim's text with its outcomes. cells : the runs behind them: (arm, data, seed, record).
    seconds : CPU seconds of this process for it. peak_mb : peak anonymous memory above the start, MiB.
    """

    key: str
    quick: bool
    claims: list[tuple[str, list[Outcome]]]
    seconds: float
    peak_mb: float | None
    cells: list[tuple[str, str, int, Record]] = field(default_factory=list)
    races: list[Any] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """What `ethogram reproduce --json` writes for the system."""
        told = [
            {**o.summary(), "text": f"{text}: {o.text}" if o.text else text}
            for text, found in self.claims
            for o in found
        ]
        return {
            "key": self.key, "mode": "quick" if self.quick else "full", "claims": told,
            "seconds": round(self.seconds, 2), "peak_mb": None if self.peak_mb is None else round(self.peak_mb, 1),
        }  # fmt: skip

    def json(self) -> dict[str, Any]:
        """Everything that a reader needs to believe it or to do it again, as strict JSON."""
        told = {
            **self.summary(),
            "claims": [{"text": text, "outcomes": [o.json() for o in found]} for text, found in self.claims],
            "cells": [_cell(*cell) for cell in self.cells],
            "races": [{"seconds": race.seconds, "loads": race.loads} for race in self.races],
            "made": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine.facts(),
            "versions": machine.versions(),
        }
        return dict(plain(told))


def run(
    keys: Iterable[str],
    *,
    quick: bool = False,
    store: str | Path | RecordStore | None = None,
    only_data: Iterable[str] | None = None,
    results: str | Path | None = None,
    watch: Watch | None = None,
) -> list[dict[str, Any]]:
    """Measure the claims of systems.

    Parameters
    ----------
    keys : of systems that have claims; see `ethogram.claims.keys`.
    quick : run every part once on little data; the verdicts then only say `ran`.
    store : folder (or `RecordStore`) of the records; cells that are in it are not run again.
    only_data : labels of the data sets to measure on.
    results : folder to which full results are written, see `write_results`; None writes nothing.
    watch : told {"claim", "key", "arm", "data", "seed", ...} as work goes on.

    Returns
    -------
    list of {"key", "mode", "claims": [{"text", "measured", "threshold", "verdict", "why"}], "seconds", "peak_mb"}

    Raises
    ------
    UnknownName
        A key has no claims; nothing is measured then.
    """
    from ethogram.claims.results import write_results

    keys = list(keys)
    for key in keys:
        _checked(key)
    made = []
    for key in keys:
        found = measure(key, benches.bench(store=store, quick=quick, only=only_data, watch=_named(watch, key)))
        if results is not None and not quick and only_data is None:
            write_results([found], results)
        made.append(found.summary())
    return made


def measure(key: str, bench: Bench) -> Result:
    """Measure all claims of one system on a bench.

    A claim that stops with a fault `fails` and says where; the fault is logged in full and the others go on.
    """
    with machine.measure() as cost:
        try:
            declared = claims(key)
        except MissingExtra as error:
            missing = Outcome("", ">=", float("nan"), NOT_MEASURABLE, str(error))
            told = [("its claims", [missing])]
        else:
            told = [(claim.text, _outcomes(claim, bench)) for claim in declared]
    return Result(key, bench.quick, told, cost.cpu_seconds, cost.peak_mb, bench.records, bench.races)


def _outcomes(claim: Claim, bench: Bench) -> list[Outcome]:
    if bench.watch is not None:
        bench.watch({"claim": claim.text})
    try:
        found: list[Outcome] = []
        for part in claim.parts(bench):
            found += bench.grid(part) if isinstance(part, Grid) else [bench.law(law) for law in part]
        return found
    except REASONS as error:
        return [Outcome("", ">=", float("nan"), NOT_MEASURABLE, reason(error))]
    except Exception as error:
        logging.getLogger(__name__).exception("%s: %s", claim.key, claim.text)
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = "" if isinstance(error, EthogramError) else f" at {Path(where.filename).name}:{where.lineno}"
        why = f"stopped by {type(error).__name__}{place}: {reason(error)}"
        return [Outcome("", ">=", float("nan"), FAILS, why)]


def _checked(key: str) -> None:
    try:
        claims(key)
    except MissingExtra:
        return  # said of the claim itself


def _named(watch: Watch | None, key: str) -> Watch | None:
    return None if watch is None else lambda facts: watch({"key": key, **facts})


def _cell(arm: str, data: str, seed: int, record: Record) -> dict[str, Any]:
    return {
        "arm": arm, "data": data, "seed": seed, "record": record.key, "system": record.system,
        "options": record.options, "metrics": record.metrics, "intervals": record.intervals,
        "costs": {name: cost.json() for name, cost in record.costs.items()}, "made": record.made,
    }  # fmt: skip
