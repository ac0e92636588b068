"""Fit, evaluate, keep: one call makes a Record, and does nothing when it is there already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ethogram.errors import OptionError
from ethogram.evaluate import bootstrap as boot
from ethogram.evaluate.crossed import crossed
from ethogram.evaluate.evaluation import Evaluation, Watch, name_of
from ethogram.evaluate.latency import latency as time_requests
from ethogram.evaluate.machine import Cost, measure
from ethogram.evaluate.prequential import answered, prequential
from ethogram.evaluate.protocol import evaluate, evaluate_slates
from ethogram.evaluate.record import DONE, FAILED, Record, RecordStore
from ethogram.evaluate.rolling import rolled
from ethogram.evaluate.subject import code_of, options_of, plain
from ethogram.log.crossfold import CrossFold
from ethogram.log.histories import Questions

TASKS = ("next", "slates")


def run(
    system: Any, log: Any, protocol: str | None = "temporal", *, store: RecordStore | None = None, seed: int = 0,
    data: str | None = None, task: str | None = None, part: str = "test", ks: Sequence[int] = (5, 10, 20),
    exclude_seen: bool | None = None, which: str | None = None, split: Mapping[str, Any] | None = None,
    bootstrap: int = boot.RESAMPLES, bootstrap_seed: int = 0, again: bool = False,
    latency: int | None = None, watch: Watch | None = None,
) -> Record:  # fmt: skip
    """Fit a system on a log's training part and evaluate it.

    Parameters
    ----------
    system : options as a dataclass, `fit` and `score`. It is fitted in place, unless the record is in the store.
    log : a Log, cut by `protocol` with the options `split` (None: the log's own choice); or a Split. ``sliding`` and
        ``stream`` are evaluated block by block (see `rolling` and, for slates, `prequential`), ``within-user``,
        ``new-user`` and ``new-item`` fold by fold (see `crossed`).
    store : where the record is looked for and kept. A failed one is kept too, and made again by the next call.
    seed : of the training. Resamples have their own (`bootstrap_seed`), so that runs with different seeds are
        judged on the same ones.
    data : name of the data, for the eye.
    task : ``next`` (rank the catalogue) or ``slates``; None: slates for systems of area rank.
    part, ks, exclude_seen, which, bootstrap : see `evaluate`, `evaluate_slates`.
    again : run even if the store has the record.
    latency : also time requests of so many candidates (fact `latency`; see `evaluate.latency`). A record without it
        is made again.

    Raises
    ------
    OptionError
        No system, unknown task or part. Whatever the system raises passes through.
    """
    if not hasattr(system, "fit"):
        raise OptionError(f"run: {system!r} is no system; make one, for example with ethogram.system('popularity').")
    task = task or ("slates" if getattr(getattr(system, "info", None), "area", "") == "rank" else "next")
    if task not in TASKS:
        raise OptionError(f"run: task '{task}' is neither 'next' nor 'slates'.")
    if part not in ("valid", "test"):
        raise OptionError(f"run: part '{part}' is neither 'valid' nor 'test'.")
    cut = log if hasattr(log, "train") or hasattr(log, "parts") else log.split(protocol, **(split or {}))
    parts = getattr(cut, "parts", (cut,))
    if isinstance(cut, CrossFold):
        if task != "slates" or part != "test":
            raise OptionError(f"run: {cut.protocol} judges what people answered in each fold; task and part are fixed.")
    elif hasattr(cut, "parts"):
        if part != "test":
            raise OptionError(f"run: {cut.protocol} judges what comes next in each block; part is fixed.")
        which = which or ("every" if cut.protocol == "stream" else None)
    asked: dict[str, Any] = {"part": part, "bootstrap": bootstrap, "seed": bootstrap_seed}
    if task == "next":
        asked |= {"ks": tuple(ks), "exclude_seen": exclude_seen, "which": which}
    known: dict[str, Any] = {
        "system": name_of(system), "options": options_of(system), "code": code_of(system), "seed": seed,
        "data": {"name": data, "fingerprint": cut.log.fingerprint()},
        "protocol": plain(
            {
                "name": cut.protocol, "split": split, "train": _one(p.train.fingerprint() for p in parts),
                "asked": _one(getattr(p, part).fingerprint() for p in parts), "task": task, **asked,
                **({"attribution": cut.attribution} if getattr(cut, "attribution", 0) else {}),
            }
        ),
    }  # fmt: skip
    key = Record(**known).key
    if store is not None and not again:
        kept = store.get(key)
        if kept is not None and kept.status == DONE and (latency is None or "latency" in kept.facts):
            return kept
    costs: dict[str, Cost] = {}
    try:

        def fit(split: Any) -> None:
            # a stream need not hold anything out, and slates of nothing cannot be asked
            held = split.valid if task == "next" or not hasattr(cut, "parts") or answered(split.valid) else None
            system.fit(split.train, held, seed=seed, **({} if watch is None else {"watch": watch}))

        def judge(split: Any) -> Evaluation:
            return (evaluate if task == "next" else evaluate_slates)(system, split, watch=watch, **asked)

        if isinstance(cut, CrossFold):
            found = crossed(system, cut, fit=fit, costs=costs, watch=watch, **asked)
        elif hasattr(cut, "parts") and task == "slates":
            found = prequential(system, cut, fit=fit, costs=costs, watch=watch, **asked)
        elif hasattr(cut, "parts"):
            found = rolled(system, cut, judge, fit=fit, watch=watch, costs=costs)
        else:
            with measure() as costs["fit"]:
                fit(cut)
            found = judge(cut)
        timed = None if latency is None else time_requests(system, _asked(parts[-1], part, task), candidates=latency)
    except Exception as error:
        if store is not None:
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            store.put(Record(**known, costs=costs, status=FAILED, error=reason))
        raise
    costs["evaluate"] = found.cost
    told = {n: getattr(found, n) for n in ("metrics", "intervals", "facts", "vectors", "draws", "plan")}
    if "exclude_seen" in found.protocol:
        told["facts"] = {**found.facts, "exclude_seen": found.protocol["exclude_seen"]}
    if timed is not None:
        told["facts"] = {**told["facts"], "latency": timed._asdict()}
    record = Record(**known, **told, costs=costs)
    if store is not None:
        store.put(record)
    return record


def _asked(cut: Any, part: str, task: str) -> Questions:
    """The questions of a part, whoever cut it."""
    asked: Questions = getattr(cut, part).questions(task)
    return asked


def _one(prints: Iterable[str]) -> str | list[str]:
    """The fingerprint of a part, or those of the parts of all blocks."""
    found = list(prints)
    return found[0] if len(found) == 1 else found
