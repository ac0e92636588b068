"""One system, fitted once in a process of its own, judged on validation and on test, timed, and recorded.

The record of each way in which the system stands (see `entrants`) holds the test part's metrics with the draws of the
bootstrap; its facts hold the metrics of the validation part (`valid`), by which the best floor is chosen, and how fast
it answers (`answering` where it recommends, else `latency`). Peak memory is that above the imports: the log that was
opened counts.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ethogram.errors import EthogramError
from ethogram.evaluate import Record, RecordStore, evaluate, evaluate_slates, measure
from ethogram.evaluate.answering import BATCH, REQUESTS, answering
from ethogram.evaluate.latency import latency
from ethogram.evaluate.machine import Cost, anonymous_bytes
from ethogram.evaluate.record import FAILED
from ethogram.evaluate.subject import code_of, options_of, plain
from ethogram.lineup.children import Tell, limit
from ethogram.lineup.entrants import Entrant
from ethogram.log import Log
from ethogram.verbs import Enough

KS = (5, 10, 20)
_WARM_USERS = 64


@dataclass(frozen=True)
class Setting:
    """What all systems of a line-up share.

    Attributes
    ----------
    log : folder of the log as every child opens it. store : folder of the records. data : its name, for the eye.
    task : next or slates. resamples : of the bootstrap. budget : CPU seconds of one system.
    requests : single requests that are timed. candidates : of a request where probabilities are asked.
    warm : a first fit on few people loads and compiles what the one that counts runs.
    """

    log: str
    store: str
    data: str
    task: str
    protocol: str | None = None
    ties: str = "groups"
    resamples: int = 2000
    budget: float = 600.0
    requests: int = REQUESTS
    candidates: int = 500
    warm: bool = True

    def opened(self) -> Log:
        """The log, as it is cut."""
        return Log.open(self.log).ties(self.ties)


@dataclass(frozen=True)
class Cell:
    """A system with a seed: what one child measures."""

    entrant: Entrant
    seed: int
    setting: Setting

    def __call__(self, tell: Tell) -> list[str]:
        """Measure and keep the records; returns their keys."""
        setting, tell = self.setting, _named(self.entrant.key, tell)
        ways = [self.entrant.built(way) for way in range(len(self.entrant.ways))]
        for module in ways[0].info.needs:
            importlib.import_module(module)  # imports count neither as time nor as memory
        limit(setting.budget)
        bottom = anonymous_bytes()
        cut = setting.opened().split(setting.protocol)
        cut.train.sequences(), cut.valid.sequences()
        if setting.warm:
            _warm(self.entrant.built(), cut, self.seed)
        built, opened = ways[0], anonymous_bytes()
        with measure() as spent:
            built.fit(cut.train, cut.valid, seed=self.seed, watch=tell)
        fit = _above(spent, opened, bottom)
        store, keys, state = RecordStore(setting.store), [], built.state() if len(ways) > 1 else None
        while ways:
            way = ways.pop(0)
            if way is not built:
                way.restore(state)
            record = replace(known(way, cut, self.seed, setting), costs={"fit": fit})
            try:
                record = _judged(record, way, cut, setting, bottom, tell)
            except EthogramError as error:  # it took the log, so this is a fault of its, not of the data
                raise RuntimeError(f"fitted, but not judged: {type(error).__name__}: {error}") from error
            store.put(record)
            keys.append(record.key)
            del built, way  # the memory of one way is not that of the other
            built = None
        return keys

    def records(self, cut: Any) -> list[Record]:
        """The records of this cell, empty: their keys say where it would be kept."""
        return [known(self.entrant.built(way), cut, self.seed, self.setting) for way in range(len(self.entrant.ways))]

    def ended(self, cut: Any, how: str, why: str) -> list[Record]:
        """The records of this cell where nothing was measured."""
        facts = {"how": how, "budget": self.setting.budget}
        return [replace(r, status=FAILED, error=why, facts=facts) for r in self.records(cut)]


def known(system: Any, cut: Any, seed: int, setting: Setting) -> Record:
    """An empty record of what determines the result."""
    more = {"ks": KS, "exclude_seen": None, "which": None} if setting.task == "next" else {}
    protocol = {
        "name": cut.protocol, "split": None, "train": cut.train.fingerprint(), "asked": cut.test.fingerprint(),
        "valid": cut.valid.fingerprint(), "task": setting.task, "part": "test", "bootstrap": setting.resamples,
        "seed": 0, **more,
    }  # fmt: skip
    return Record(
        system=system.info.key, options=options_of(system), code=code_of(system), seed=seed,
        data={"name": setting.data, "fingerprint": cut.log.fingerprint()}, protocol=plain(protocol),
    )  # fmt: skip


def _judged(record: Record, system: Any, cut: Any, setting: Setting, bottom: int | None, tell: Tell) -> Record:
    judge, more = (evaluate, {"ks": KS}) if setting.task == "next" else (evaluate_slates, {})
    opened = anonymous_bytes()
    with measure() as spent:
        valid = judge(system, cut, part="valid", bootstrap=1, watch=tell, **more)
        found = judge(system, cut, part="test", bootstrap=setting.resamples, watch=tell, **more)
    judged, opened = _above(spent, opened, bottom), anonymous_bytes()
    facts: dict[str, Any] = {**found.facts, "valid": valid.metrics}
    if "exclude_seen" in found.protocol:
        facts["exclude_seen"] = found.protocol["exclude_seen"]
    with measure() as spent:
        asked = cut.test.questions(setting.task)
        if setting.task == "next" and "recommend" in system.info.verbs:
            facts["answering"] = answering(system, asked, requests=setting.requests, batch=BATCH)._asdict()
        else:
            timed = latency(system, asked, candidates=setting.candidates, requests=setting.requests)
            facts["latency"] = timed._asdict()
    costs = {**record.costs, "evaluate": judged, "answer": _above(spent, opened, bottom)}
    return replace(
        record, metrics=found.metrics, intervals=found.intervals, vectors=found.vectors, draws=found.draws,
        plan=found.plan, facts=plain(facts), costs=costs,
    )  # fmt: skip


def _above(spent: Cost, start: int | None, bottom: int | None) -> Cost:
    """A cost whose peak of memory is above the bottom, not above its own start."""
    if spent.peak_mb is None or start is None or bottom is None:
        return spent
    return replace(spent, peak_mb=spent.peak_mb + (start - bottom) / 2**20)


def _named(key: str, tell: Tell) -> Tell:
    return lambda facts: tell({"key": key, **facts})


def _warm(system: Any, cut: Any, seed: int) -> None:
    """Fit on few people for an epoch: what is compiled or loaded at first use is so before the clock starts."""
    from ethogram.lineup.sampling import some_users

    def enough(facts: Mapping[str, Any]) -> None:
        if facts.get("epoch") is not None and facts.get("step") is None:
            raise Enough

    try:
        few = some_users(cut.log, _WARM_USERS, seed=1).split(cut.protocol)
        system.fit(few.train, few.valid, seed=seed, watch=enough)
        system.score(few.test.questions("next").histories, few.test.questions("next").candidates)
    except Exception:
        return  # so little may be too little for it, and nothing hangs on it
