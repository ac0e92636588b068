"""``ethogram tune KEY --log LOG``: search the options that do best on the validation part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from ethogram.cli.evaluate import name_of
from ethogram.cli.opening import LogName, Reading, describes, open_log
from ethogram.cli.options import Set, chosen, shown
from ethogram.cli.output import Json, Output


def tune(
    key: str,
    /,
    *,
    log: Annotated[LogName, Parameter(name=("--log", "--data"))],
    trials: int = 20,
    folder: Path | None = None,
    protocol: Literal["temporal", "leave-last-out", "by-user"] | None = None,
    metric: str | None = None,
    pruner: Literal["median", "hyperband", "none"] = "median",
    workers: int = 1,
    on: Literal["here", "ray"] = "here",
    seed: int = 0,
    sets: Set = (),
    json: Json = None,
    reading: Reading | None = None,
) -> None:
    """Search the options of a system that do best on the validation part; the test part is not opened.

    The first trial is the system as it stands. A search that was stopped goes on when it is called again.

    Parameters
    ----------
    key
        The system; `ethogram show KEY` says which options have a space to search.
    log
        A log directory, a file or folder of events, or the name of a data set.
    trials
        How many, in all, with those that the folder has.
    folder
        Holds the search: trials and records; KEY.tune if not given.
    protocol
        How the log is cut; temporal if not given and the log has a clock.
    metric
        Of the validation part; if not given, ndcg@10 for lists and logloss for probabilities.
    pruner
        When a trial that does badly ends before its last epoch: median, below the median of the trials before it;
        hyperband, by successive halving; none, never.
    workers
        So many trials at a time.
    on
        here: processes of this machine. ray: workers of a Ray cluster, started here if there is none.
    seed
        Seed of the search and of each training.
    sets
        Options that are not searched.
    """
    from ethogram import tuning

    out = Output(json)
    given = chosen(key, sets)
    events = open_log(log, reading, out)
    out.line(f"{key}: searching on {describes(events)}")
    with out.progress(key) as watch:
        found = tuning.tune(
            key, events, protocol, folder=folder or Path(f"{key}.tune"), trials=trials, seed=seed, metric=metric,
            pruner=pruner, workers=workers, on=on, data=name_of(log), watch=watch, **given,
        )  # fmt: skip
    searched = list(dict.fromkeys(n for t in found.trials for n in t.options))
    out.table(
        ("trial", found.metric, "", "told", *searched),
        [(t.number, t.value, t.state, t.steps, *(shown(t.options.get(n)) for n in searched)) for t in found.trials],
    )
    out.line(f"best on validation: {found.metric} {found.value:.4g}")
    spelled = " ".join(f"--set {n}={shown(found.options[n])}" for n in [*given, *searched])
    out.line(f"fit it:    ethogram fit {key} {log} {spelled}")
    out.line(f"judge it:  ethogram run {found.record} --part test")
    out.result(_plain(asdict(found)))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {n: _plain(v) for n, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return str(value) if isinstance(value, Path) else value
