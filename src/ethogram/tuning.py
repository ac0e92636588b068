"""Search for the options of a system that do best on the validation part; the test part is never opened.

The spaces stand beside the options (`ethogram.options.searched`). The first trial is the system as it stands, so that
what comes out is never worse on validation than what went in. Trials are kept in a folder: a search that was stopped
goes on where it was, and takes the same steps as one that was not, because each trial draws from a generator seeded
by (seed, number of trials before it). With several workers the order in which trials end decides instead.

Sampler: tree-structured Parzen estimator (J. Bergstra et al., NIPS 2011), as Optuna has it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ethogram.errors import MissingExtra, OptionError, StateError
from ethogram.evaluate import Record, RecordStore, run
from ethogram.evaluate.subject import plain
from ethogram.log.journal import locked
from ethogram.options import spaces
from ethogram.system import find, options, system

PRUNERS = ("median", "hyperband", "none")
LOSSES = ("logloss", "brier", "ece")
METRICS = {"next": "ndcg@10", "slates": "logloss"}
STARTUP = 8
"""Trials drawn at random before the estimator is asked."""


@dataclass(frozen=True)
class Trial:
    """One set of options that was tried: `value` on validation (None: pruned), and after how many epochs it ended."""

    number: int
    options: Mapping[str, Any]
    state: str
    value: float | None
    steps: int
    seconds: float
    record: str | None = None


@dataclass(frozen=True)
class Tuned:
    """What a search found.

    Attributes
    ----------
    metric : its value on the validation part was compared. options : the best, all of them, as `system` takes them.
    record : folder of the best trial's record, for ``ethogram run``. trials : all, in order.
    """

    system: str
    metric: str
    value: float
    options: Mapping[str, Any]
    record: Path
    trials: tuple[Trial, ...] = field(repr=False)


class Closed:
    """Stands where the test part was."""

    def __getattr__(self, name: str) -> Any:
        raise OptionError(f"tune: the test part is closed; a search that read its {name} would be tuned on it.")

    def __reduce__(self) -> Any:
        return (Closed, ())


@dataclass(frozen=True)
class Job:
    """What every trial of a search shares; picklable."""

    key: str
    given: Mapping[str, Any]
    split: Any
    task: str
    metric: str
    seed: int
    folder: str
    data: str | None
    pruner: str
    trials: int

    def __call__(self, number: int, watch: Any = None) -> tuple[str, float | None]:
        """Try the options of a trial that was asked for: (how it ended, value)."""
        study = _study(self)
        import optuna

        trial = optuna.Trial(study, study.trials[number]._trial_id)
        chosen = {**self.given, **_plain(trial.params)}
        sign = -1.0 if self.metric in LOSSES else 1.0

        def told(facts: Mapping[str, Any]) -> None:
            step = facts.get("epoch") if facts.get("step") is None else facts["step"]
            if watch is not None:
                watch({**facts, "trial": number})
            if facts.get("valid") is None or step is None or "done" in facts:
                return
            trial.report(float(facts["valid"]), int(step))
            if trial.should_prune():
                raise optuna.TrialPruned

        try:
            record = run(
                system(self.key, **chosen), self.split, part="valid", task=self.task, seed=self.seed, data=self.data,
                watch=told,
            )  # fmt: skip
        except optuna.TrialPruned:
            return "pruned", None
        if self.metric not in record.metrics:
            raise OptionError(f"tune: no metric '{self.metric}'. Metrics: {', '.join(record.metrics)}.")
        RecordStore(Path(self.folder) / "records").put(record)
        trial.set_user_attr("record", record.key)
        trial.set_user_attr("value", record.metrics[self.metric])
        return "complete", sign * record.metrics[self.metric]


def tune(
    key: str,
    log: Any,
    protocol: str | None = None,
    *,
    folder: str | Path,
    trials: int = 20,
    seed: int = 0,
    metric: str | None = None,
    pruner: Literal["median", "hyperband", "none"] = "median",
    workers: int = 1,
    on: Literal["here", "ray"] = "here",
    data: str | None = None,
    watch: Any = None,
    **given: Any,
) -> Tuned:
    """Search the options of a system.

    Parameters
    ----------
    key : the system. log : cut by `protocol` (None: the log's own choice).
    folder : holds the search (``study.db``, ``records/``); an existing one of the same question goes on.
    trials : finished ones, in all, with those that the folder has.
    seed : of the sampler and of every training.
    metric : on the validation part; ``ndcg@10`` for systems that recommend, ``logloss`` for those that rank.
    pruner : median: a trial ends after an epoch whose validation value is below the median of earlier trials at that
        epoch. hyperband: by successive halving. What a system tells to `watch` is compared.
    workers, on : so many trials at a time, in processes of this machine or on Ray's workers.
    data : name of the log, for the records.
    given : options that stay as given.

    Raises
    ------
    OptionError
        The system has no space to search, an unknown metric or pruner, or the folder holds another search.
    MissingExtra
        Optuna or Ray is not installed.
    """
    known = find(key)
    searching = {n: s for n, s in spaces(known).items() if n not in given}
    if not searching:
        raise OptionError(f"tune: {key} has no option with a space to search{' that is left' if given else ''}.")
    if pruner not in PRUNERS or trials < 1 or workers < 1 or on not in ("here", "ray"):
        raise OptionError(f"tune: pruner={pruner}, trials={trials}, workers={workers}, on={on}; see tune's help.")
    try:
        import optuna
    except ImportError as error:
        raise MissingExtra("tune needs Optuna: pip install 'ethogram[optuna]'.") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    cut = log if hasattr(log, "train") else log.split(protocol)
    cut = cut._replace(test=Closed())
    start = options(system(key, **given))
    task = "slates" if known.info.area == "rank" else "next"  # type: ignore[attr-defined]
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    job = Job(
        key, given, cut, task, metric or METRICS[task], seed, str(place.absolute()), data, pruner, trials
    )  # fmt: skip
    asked = {
        "system": key, "given": plain(dict(given)), "metric": job.metric, "seed": seed, "pruner": pruner,
        "train": cut.train.fingerprint(), "valid": cut.valid.fingerprint(), "spaces": plain(searching),
    }  # fmt: skip
    with locked(place / ".lock", wait=False):
        _same(place, asked)
        study = _study(job)
        for left in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
            study.tell(left.number, state=optuna.trial.TrialState.FAIL)  # of a search that was stopped
        with _pool(job, workers, on) as pool:
            _search(study, job, searching, start, pool, workers, watch)
    return _found(job, start)


def _search(
    study: Any, job: Job, searching: Mapping[str, Any], start: Mapping[str, Any], pool: Any, workers: int, watch: Any
) -> None:
    import optuna

    states = optuna.trial.TrialState
    done = sum(t.state in (states.COMPLETE, states.PRUNED) for t in study.get_trials(deepcopy=False))
    running: dict[Any, int] = {}
    while done < job.trials or running:
        while len(running) < workers and done + len(running) < job.trials:
            number = done + len(running)
            study.sampler = optuna.samplers.TPESampler(
                seed=int(np.random.SeedSequence([job.seed, number]).generate_state(1)[0]), n_startup_trials=STARTUP,
                constant_liar=workers > 1,
            )  # fmt: skip
            if number == 0:
                study.enqueue_trial({n: _stored(start[n]) for n in searching}, skip_if_exists=True)
            trial = study.ask(_distributions(searching, start))
            running[pool.submit(trial.number, watch)] = trial.number
        for ended in pool.wait(list(running)):
            number = running.pop(ended)
            try:
                how, value = pool.result(ended)
            except BaseException:
                study.tell(number, state=states.FAIL)
                raise
            study.tell(number, value, state=states.COMPLETE if how == "complete" else states.PRUNED)
            done += 1


def _distributions(searching: Mapping[str, Any], start: Mapping[str, Any]) -> dict[str, Any]:
    import optuna

    made: dict[str, Any] = {}
    for name, space in searching.items():
        if "among" in space:
            made[name] = optuna.distributions.CategoricalDistribution([_stored(v) for v in space["among"]])
        elif isinstance(space["low"], int) and isinstance(start[name], int):
            made[name] = optuna.distributions.IntDistribution(space["low"], space["high"], log=space["log"])
        else:
            made[name] = optuna.distributions.FloatDistribution(space["low"], space["high"], log=space["log"])
    return made


def _stored(value: Any) -> Any:
    """Lists as JSON text: Optuna keeps numbers, text and None only."""
    return "json:" + json.dumps(list(value)) if isinstance(value, list | tuple) else value


def _plain(params: Mapping[str, Any]) -> dict[str, Any]:
    return {n: json.loads(v[5:]) if isinstance(v, str) and v.startswith("json:") else v for n, v in params.items()}


def _study(job: Job) -> Any:
    import optuna

    storage = optuna.storages.RDBStorage(
        f"sqlite:///{job.folder}/study.db", engine_kwargs={"connect_args": {"timeout": 60}}
    )
    pruners: dict[str, Any] = {
        "median": lambda: optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=0),
        "hyperband": lambda: optuna.pruners.HyperbandPruner(min_resource=1, max_resource="auto"),
        "none": optuna.pruners.NopPruner,
    }
    return optuna.create_study(
        storage=storage, study_name="tune", direction="maximize", load_if_exists=True, pruner=pruners[job.pruner]()
    )


def _same(place: Path, asked: Mapping[str, Any]) -> None:
    """Refuse a folder that holds another search."""
    file = place / "search.json"
    if not file.exists():
        file.write_text(json.dumps(asked, indent=1) + "\n", "utf-8")
        return
    try:
        kept = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise StateError(f"{file} is damaged ({error}); name another folder.") from error
    other = [n for n in asked if kept.get(n) != asked[n]]
    if other:
        raise OptionError(f"{place} holds another search: its {', '.join(other)} differ; name another folder.")


def _found(job: Job, start: Mapping[str, Any]) -> Tuned:
    study = _study(job)
    names = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}
    rows = tuple(
        Trial(
            t.number, _plain(t.params), names.get(t.state.name, t.state.name.lower()), t.user_attrs.get("value"),
            len(t.intermediate_values), t.duration.total_seconds() if t.duration else 0.0, t.user_attrs.get("record"),
        )
        for t in study.get_trials(deepcopy=False)
    )  # fmt: skip
    best = study.best_trial
    key = best.user_attrs["record"]
    chosen = {**start, **_plain(best.params)}
    return Tuned(job.key, job.metric, best.user_attrs["value"], chosen, Path(job.folder) / "records" / key, rows)


def load(tuned: Tuned) -> Record:
    """The record of the best trial."""
    return Record.load(tuned.record)


@contextlib.contextmanager
def _pool(job: Job, workers: int, on: str) -> Iterator[Any]:
    from ethogram import workers as pools

    with pools.pool(job, workers, on) as made:
        yield made
