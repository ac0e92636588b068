"""``ethogram evaluate KEY --log LOG``: fit on one part, judge on another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from ethogram.cli.opening import LogName, Reading, describes, open_log
from ethogram.cli.options import Set, make
from ethogram.cli.output import Json, Output
from ethogram.errors import OptionError

if TYPE_CHECKING:
    from ethogram.evaluate import Record
    from ethogram.log import Log

Store = Annotated[
    Path | None,
    Parameter(help="Keep the record in this folder; what is there already is not run again."),
]


Protocol = Literal["temporal", "leave-last-out", "by-user", "sliding", "stream", "within-user", "new-user", "new-item"]


GROUPS = {
    "gauc": "AUC inside each slate; slates with one kind of answer are left out, the others weigh by their exposures",
    "user_auc": "AUC inside each user; users with one kind of answer are left out, the others weigh by their exposures",
}
"""Group metrics in words."""


def evaluate(
    key: str,
    /,
    *,
    log: LogName,
    protocol: Protocol | None = None,
    windows: int | None = None,
    folds: int | None = None,
    block: float | None = None,
    held: float | None = None,
    attribution: str | None = None,
    ties: Literal["groups", "order"] = "groups",
    seed: int = 0,
    sets: Set = (),
    ks: str = "5,10,20",
    exclude_seen: bool | None = None,
    part: Literal["valid", "test"] = "test",
    task: Literal["next", "slates"] | None = None,
    store: Store = None,
    json: Json = None,
    reading: Reading | None = None,
    **flags: str,
) -> None:
    """Fit a system on the training part of a log and judge it on the test part, with intervals.

    Parameters
    ----------
    key
        The system, as in `ethogram systems`.
    log
        A log directory, a file or folder of events, or the name of a data set.
    protocol
        How the log is cut; temporal if not given and the log has a clock. sliding: a new fit for each of several
        blocks of time. stream: each block is predicted, then revealed to the system. within-user, new-user, new-item:
        cross-validation of a log in which every event is an answer, over answers, people or items.
    windows
        Blocks of sliding and stream; 5 if not given.
    folds
        Folds of a cross-validation; 10 if not given.
    block
        Share of the events in each of them; 0.1 if not given.
    held
        Share of the events before a block that is held out for validation; if not given, 0.1 for sliding, none for
        stream.
    attribution
        Time until an answer is known in a stream, such as 6h: what is younger is not revealed before a block.
    ties
        groups: events of one user with equal time are one unordered group. order: the order of the rows is taken
        for the truth, for comparison with others who do.
    seed
        Seed of the training.
    ks
        Lengths of the lists that are judged.
    exclude_seen
        Take past items out of the ranking; if not given, where people hardly ever repeat (below 1%).
    part
        Which part judges.
    task
        next: rank the whole catalogue for what comes next. slates: probabilities of what was shown. If not given:
        slates for systems of area rank.
    """
    out = Output(json)
    built = scorer(key, sets, flags)
    if folds is not None and protocol not in ("within-user", "new-user", "new-item"):
        raise OptionError("--folds is for --protocol within-user, new-user and new-item.")
    blocks = {"windows": windows, "block": block, "held": held, "attribution": attribution}
    if (name := next((n for n, v in blocks.items() if v is not None), None)) and protocol not in ("sliding", "stream"):
        raise OptionError(f"--{name} is for --protocol sliding and stream.")
    told = {"windows": windows, "folds": folds, "test": block, "valid": held, "attribution": attribution}
    cut = {name: value for name, value in told.items() if value is not None} or None
    how: dict[str, Any] = {"split": cut, "task": task, "part": part, "exclude_seen": exclude_seen, "ks": lengths(ks)}
    events = open_log(log, reading, out)
    out.line(f"log: {describes(events)}")
    if ties == "order":
        tell_ties(events, protocol, out)
        events = events.ties("order")
    record = judge(built, events, protocol, out, seed=seed, data=name_of(log), store=store, **how)
    tell(record, out)
    out.result(as_json(record))


def scorer(key: str, sets: Sequence[str], flags: dict[str, Any] | None = None) -> Any:
    """A system that can score, which is what the metrics are computed from."""
    built = make(key, sets, flags)
    if "score" not in built.info.verbs:
        raise OptionError(f"{key} cannot score, and metrics are computed from scores; evaluate its parts.")
    return built


def lengths(text: str) -> tuple[int, ...]:
    """Lengths of lists from a text such as 5,10."""
    parts = text.replace(" ", "").split(",")
    if not all(p.isdigit() and int(p) > 0 for p in parts):
        raise OptionError(f"--ks {text}: write whole numbers from 1, separated by commas.")
    return tuple(map(int, parts))


def judge(built: Any, events: Log, protocol: str | None, out: Output, *, store: Path | None, **how: Any) -> Record:
    """Run, with progress, and keep the record where it was asked for."""
    from ethogram.evaluate import RecordStore, run

    kept = None if store is None else RecordStore(store)
    with out.progress(built.info.key) as watch:
        record = run(built, events, protocol, store=kept, watch=watch, **how)
    if kept is not None:
        out.line(f"record: {kept.path / record.key}")
    return record


def name_of(log: str) -> str:
    """How a record names its data: the data set, or the absolute path, so that `ethogram run` finds it again."""
    return str(Path(log).absolute()) if Path(log).exists() else log


def tell_ties(events: Log, protocol: str | None, out: Output) -> None:
    """The share of questions (of the last block, if there are several) whose target the order of the rows decides."""
    from ethogram.log import Rolling
    from ethogram.log.crossfold import CROSSED

    if protocol in CROSSED:
        raise OptionError(f"--ties is for protocols in time; {protocol} asks nothing that is later.")
    cut = events.split(protocol)
    asked = (cut.parts[-1] if isinstance(cut, Rolling) else cut).test.questions("next")
    counts = asked.candidates.counts(len(asked))
    out.line(
        f"ties: the order of the rows chooses among simultaneous targets for {(counts > 1).mean():.1%} "
        f"of {len(asked):,} questions"
    )


def tell(record: Record, out: Output) -> None:
    """A record as a table."""
    protocol = record.protocol
    told = [f"{record.system}", f"{protocol.get('name')} {protocol.get('part')}", f"seed {record.seed}"]
    if "exclude_seen" in record.facts:
        told.append("past items left out" if record.facts["exclude_seen"] else "past items stay in")
    out.line(", ".join(told))
    rows = []
    for name, value in record.metrics.items():
        low, high = record.intervals.get(name, (float("nan"), float("nan")))
        rows.append((name, value, low, high))
    out.table(("metric", "value", "95% from", "to"), rows)
    for name in ("gauc", "user_auc"):
        if name in record.metrics:
            out.line(f"{name}: {GROUPS[name]}")
    out.line(f"{seconds(record):.1f} s, peak {peak(record) or float('nan'):,.0f} MB above the start")


def seconds(record: Record) -> float:
    """Wall seconds of training and evaluation."""
    return sum(c.wall_seconds for c in record.costs.values())


def peak(record: Record) -> float | None:
    """Highest memory above that at the start, MiB."""
    known = [c.peak_mb for c in record.costs.values() if c.peak_mb is not None]
    return max(known) if known else None


def as_json(record: Record) -> dict[str, Any]:
    """A record as scripts read it."""
    return {
        "system": record.system,
        "options": record.options,
        "seed": record.seed,
        "data": record.data,
        "protocol": record.protocol,
        "metrics": record.metrics,
        "intervals": record.intervals,
        "facts": record.facts,
        "seconds": seconds(record),
        "cpu_seconds": sum(c.cpu_seconds for c in record.costs.values()),
        "peak_mb": peak(record),
        "key": record.key,
    }
