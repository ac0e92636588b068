"""Runs grids and laws: cells that are already recorded are skipped, so a killed run goes on where it was."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import inspect
import json
import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from ethogram.errors import MissingData, MissingExtra
from ethogram.evaluate import machine
from ethogram.evaluate.effects import costs, estimate
from ethogram.evaluate.grid import Arm, Data, Grid, Outcome, worded
from ethogram.evaluate.race import Race, race
from ethogram.evaluate.record import Record, RecordStore
from ethogram.evaluate.running import run
from ethogram.evaluate.subject import code_of, options_of, plain
from ethogram.evaluate.verdict import (
    NOT_MEASURABLE,
    RAN,
    Condition,
    Estimate,
    Law,
    NotMeasurable,
    Verdict,
    decide,
)  # fmt: skip

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["REASONS", "Bench"]

REASONS = (NotMeasurable, MissingData, MissingExtra, MemoryError)
"""Errors that mean "cannot be measured here"; every other one is a fault and passes through."""

QUICK = "quick run on a small generated log: it only shows that every part runs"


@dataclass
class Bench:
    """Where claims are measured.

    Parameters
    ----------
    system : makes a system from a key and options. load : loads a data set from a name and options.
    small : the small log that quick runs use in place of named data, from a name and options.
    store : where records are kept; None keeps nothing.
    quick : every part runs once on little data; nothing is decided and nothing is kept.
    only : labels of the data sets to measure; None for all.
    watch : told what is going on.
    """

    system: Callable[..., Any]
    load_data: Callable[..., Any]
    small: Callable[..., Any]
    store: RecordStore | None = None
    quick: bool = False
    only: Iterable[str] | None = None
    watch: Callable[[Mapping[str, Any]], None] | None = None
    records: list[tuple[str, str, int, Record]] = field(default_factory=list)
    "What was run or found: (arm, data, seed, record without its rows)."
    races: list[Race] = field(default_factory=list)
    spent: float = 0.0
    "CPU seconds that the cells of the present grid took, whenever they ran."

    # -- for laws ---------------------------------------------------------------------------------------------

    def load(self, name: str, **options: Any) -> Any:
        """A data set by name; in a quick run the small log."""
        return (self.small if self.quick else self.load_data)(name, **options)

    def run(self, arm: Arm, log: Any, *, seed: int = 0, label: str = "", data: str = "", **how: Any) -> Record:
        """Fit and evaluate one arm on a log, unless its record is kept; arguments as in `evaluate.run`."""
        built = self.build(arm)
        if self.quick:
            how = {**how, "bootstrap": 20}
        kept = None if self.quick else self.store
        record = run(built, log, store=kept, seed=seed, data=data or None, watch=self._inner(label, data, seed), **how)
        # a row per question is the bulk of a record, and nothing here reads it
        self.records.append((label or record.system, data, seed, dataclasses.replace(record, vectors=None)))
        return record

    def race(self, runners: Mapping[str, Callable[[], Any]], *, rounds: int = 7, **how: Any) -> Race:
        """Time calls in turns; see `evaluate.race`. A quick run does the fewest rounds that have an interval."""
        settings = {**how, "calls": 1, "least": 0.0} if self.quick else how
        found = race(runners, rounds=3 if self.quick else rounds, **settings)
        self.races.append(found)
        return found

    def build(self, arm: Arm, settings: Mapping[str, Any] | None = None) -> Any:
        """A fresh, unfitted system from an arm; `settings` are set where it has such options."""
        if isinstance(arm, str):
            built = self.system(arm)
        elif isinstance(arm, tuple):
            built = self.system(arm[0], **arm[1])
        elif isinstance(arm, type) or not hasattr(arm, "fit"):
            built = arm()
        else:
            built = dataclasses.replace(arm) if _has_options(arm) else copy.deepcopy(arm)
        named = {f.name for f in dataclasses.fields(built)} if _has_options(built) else set()
        usable = {k: v for k, v in (settings or {}).items() if k in named}
        return dataclasses.replace(built, **usable) if usable else built

    # -- grids ------------------------------------------------------------------------------------------------

    def grid(self, grid: Grid) -> list[Outcome]:
        """Run the cells that are missing and decide every condition."""
        self.spent = 0.0
        if self.quick:
            return self._quick(grid)
        outcomes = []
        for place, data in enumerate(grid.sets):
            if self.only is not None and data.label not in set(self.only):
                continue
            conditions = [c for c in grid.holds if place in grid.places(c)]
            arms, seeds = grid.runs_on(place)
            try:
                self._has_room(grid)
                log = self._log(data)
                found = self._rounds(grid, data.label, log, arms, seeds)
            except REASONS as error:
                outcomes += [_unmeasured(c, grid, data.label, seeds, reason(error)) for c in conditions]
                continue
            outcomes += [self._decided(c, grid, data.label, found, seeds) for c in conditions]
        return outcomes

    def law(self, law: Law) -> Outcome:
        """Measure a law and decide it."""
        try:
            made = law.measure(self)
        except REASONS as error:
            return Outcome(law.text, law.comparison, law.threshold, NOT_MEASURABLE, reason(error))
        value, threshold, comparison = made if isinstance(made, tuple) else (made, law.threshold, law.comparison)
        found = value if isinstance(value, Estimate) else Estimate.exact(float(value))
        said = Verdict(RAN, QUICK) if self.quick else decide(found, comparison, threshold)
        return Outcome(law.text, comparison, float(threshold), said.verdict, said.why, found)

    def _has_room(self, grid: Grid) -> None:
        there = machine.facts()["memory_gb"]
        if grid.memory_gb and there is not None and there < grid.memory_gb:
            raise NotMeasurable(f"it takes {grid.memory_gb:g} GB of memory, this machine has {there:g}.")

    def _log(self, data: Data) -> Any:
        if data.make is None:
            return self.load(str(data.name), **data.options)
        told = {"quick": self.quick} if "quick" in inspect.signature(data.make).parameters else {}
        if self.quick and not told:
            return self.small(data.label)
        return data.make(**told)

    def _rounds(self, grid: Grid, data: str, log: Any, arms: list[str], seeds: int) -> _Found:
        """Run round after round, the arms of a round in turn, until the budget is used up."""
        found = _Found({arm: [] for arm in arms}, {arm: [] for arm in arms})
        cut = log if _cut(log) else log.split(grid.protocol, **grid.split)
        for seed in range(seeds):
            mark = self._mark(grid, arms, cut, seed) if grid.measures_costs() else None
            kept = None if mark is None or not mark.exists() else json.loads(mark.read_text("utf-8"))
            made: dict[str, Record] = {}
            for arm in arms:
                if self.spent >= grid.seconds:
                    found.stopped = f"the budget of {grid.budget} of CPU time was used up"
                    return found
                again = grid.measures_costs() and kept is None
                made[arm] = self.run(
                    grid.everybody[arm], cut, seed=seed, label=arm, data=data, protocol=grid.protocol,
                    split=dict(grid.split) or None, again=again, **_asked(grid),
                )  # fmt: skip
                self.spent += sum(c.cpu_seconds for c in made[arm].costs.values())
            spent = kept or {arm: costs(record) for arm, record in made.items()}
            if mark is not None and kept is None:
                _write(mark, json.dumps(plain(spent)))
            for arm in arms:
                found.records[arm].append(dataclasses.replace(made[arm], vectors=None))
                found.costs[arm].append({k: math.nan if v is None else v for k, v in spent[arm].items()})
        return found

    def _mark(self, grid: Grid, arms: list[str], cut: Any, seed: int) -> Path | None:
        """File that says what a round cost whose arms ran one after another; without it the round runs again."""
        if self.store is None:
            return None
        built = {arm: self.build(grid.everybody[arm]) for arm in arms}
        who = [[arm, type(b).__qualname__, options_of(b), code_of(b)] for arm, b in built.items()]
        told = plain([who, cut.log.fingerprint(), cut.train.fingerprint(), seed, _asked(grid), machine.facts()["cpu"]])
        name = hashlib.blake2b(json.dumps(told, sort_keys=True).encode(), digest_size=10).hexdigest()
        return self.store.path / "rounds" / f"{name}.json"

    def _decided(self, condition: Condition, grid: Grid, data: str, found: _Found, planned: int) -> Outcome:
        metric = condition.measure.metric or grid.metric
        rounds = found.rounds()
        if not rounds:
            return _unmeasured(condition, grid, data, planned, found.stopped)
        text = worded(condition, metric, data, rounds, grid.seeds)
        try:
            measured = estimate(condition.measure, metric, found.records, condition.level, found.costs)
        except NotMeasurable as error:
            return _unmeasured(condition, grid, data, rounds, str(error))
        said = decide(measured, condition.comparison, condition.threshold)
        short_of = f"; {rounds} of {planned} seeds: {found.stopped}" if rounds < planned else ""
        return Outcome(
            text, condition.comparison, condition.threshold, said.verdict, said.why + short_of, measured, data, metric
        )

    def _quick(self, grid: Grid) -> list[Outcome]:
        data = grid.sets[0]
        try:
            log = self._log(data)
            cut = log if _cut(log) else log.split(grid.protocol)
            found = _Found({}, {})
            for arm, given in grid.everybody.items():
                built = self.build(given, grid.quick)
                found.records[arm] = [self.run(built, cut, label=arm, data="quick", **_asked(grid))]
        except REASONS as error:
            return [_unmeasured(c, grid, "quick", 1, reason(error)) for c in grid.holds]
        outcomes = []
        for c in grid.holds:
            metric = c.measure.metric or grid.metric
            try:
                measured = estimate(c.measure, metric, found.records, c.level)
            except NotMeasurable:  # a cost: one round tells nothing, and nothing is asked of it here
                measured = None
            text = worded(c, metric, "quick", 1, grid.seeds)
            outcomes.append(Outcome(text, c.comparison, c.threshold, RAN, QUICK, measured, "quick", metric))
        return outcomes

    def _inner(self, arm: str, data: str, seed: int) -> Callable[[Mapping[str, Any]], None] | None:
        if self.watch is None:
            return None
        told = self.watch
        told({"arm": arm, "data": data, "seed": seed})
        return lambda facts: told({"arm": arm, "data": data, "seed": seed, **facts})


@dataclass
class _Found:
    """Records and costs of whole rounds, by arm."""

    records: dict[str, list[Record]]
    costs: dict[str, list[Mapping[str, float]]]
    stopped: str = ""

    def rounds(self) -> int:
        return min((len(r) for r in self.records.values()), default=0)


def reason(error: BaseException) -> str:
    """Why something could not be measured, in one line."""
    if isinstance(error, MemoryError):
        return "the machine has too little memory for it."
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _cut(log: Any) -> bool:
    """Whether a data set comes as parts already: a split, or the splits of a rolling or crossed protocol."""
    return hasattr(log, "train") or hasattr(log, "parts")


def _has_options(system: Any) -> TypeGuard[DataclassInstance]:
    return dataclasses.is_dataclass(system) and not isinstance(system, type)


def _asked(grid: Grid) -> dict[str, Any]:
    return {
        "task": grid.asks, "part": grid.part, "ks": tuple(grid.ks),
        "exclude_seen": grid.exclude_seen, "which": grid.which,
    }  # fmt: skip


def _unmeasured(condition: Condition, grid: Grid, data: str, seeds: int, why: str) -> Outcome:
    metric = condition.measure.metric or grid.metric
    text = worded(condition, metric, data, seeds, grid.seeds)
    return Outcome(text, condition.comparison, condition.threshold, NOT_MEASURABLE, why, None, data, metric)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.write_text(text, "utf-8")
    os.replace(fresh, path)
